"""What the benchmarks share: servers with an empty state, contenders that take turns, and tables of ratios."""

import argparse
import contextlib
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import pandas as pd

from server.environment import child_environment
from server.servers import servers

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = ROOT / "1_starting_point" / "germany.csv"
QUIET = {"MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}


class Taken(NamedTuple):
    """What something took: seconds by the clock, and seconds of the processor, which tell more on a busy machine."""

    seconds: float
    processor: float


def options(question: str, rounds: int = 1, **more: tuple) -> argparse.Namespace:
    """Parse ``--rounds``, and one option for each of ``more``, which is its default value and its explanation."""
    parser = argparse.ArgumentParser(description=question)
    more = {"rounds": (rounds, "how often each contender is measured"), **more}
    for name, (default, text) in more.items():
        parser.add_argument(f"--{name}", type=type(default), default=default, help=f"{text}; default: %(default)s")
    return parser.parse_args()


def free_port() -> int:
    """Return a port on which nothing listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextlib.contextmanager
def empty_servers() -> Iterator[Path]:
    """Run both servers on free ports with an empty state, and name them in the environment; yields the state folder."""
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder)
        with servers(state, state / "logs", free_port(), free_port()) as up:
            named = child_environment(MLFLOW_TRACKING_URI=up.tracking_uri, **QUIET)
            with mock.patch.dict(os.environ, named):
                yield state


def call(*command: object, cwd: Path = ROOT) -> str:
    """Run a command and return what it prints; ends the benchmark if it fails."""
    command = [str(part) for part in command]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)[:200]} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def run_project(name: str | Path, *arguments: str, **parameters: object) -> str:
    """Run ``mlflow run`` on a folder of 3_projects, or any other folder, and return what it prints."""
    given = (f"-P{key}={value}" for key, value in parameters.items())
    command = (sys.executable, "-m", "mlflow", "run", ROOT / "3_projects" / name, "--env-manager", "local")
    return call(*command, *arguments, *given)


def put_into_production(data: Path, *projects: str) -> None:
    """Make the hourly table, train these projects, and let the best model into production."""
    run_project("data", csv=data.resolve())
    for project in projects:
        run_project(project)
    run_project("registry")
    run_project("registry", "-e", "approve", auto="true")


def measure(deed: Callable[[], object]) -> Taken:
    """Return what a call takes; the time of the processor is that of this process and its children."""
    start, before = time.perf_counter(), sum(os.times()[:4])
    deed()
    return Taken(time.perf_counter() - start, sum(os.times()[:4]) - before)


def take_turns(
    rounds: int,
    contenders: dict[str, Callable[[], object]],
    around: Callable[[], contextlib.AbstractContextManager] = contextlib.nullcontext,
) -> dict[str, list[Taken]]:
    """Measure the contenders one after the other, in so many rounds, each of which is inside of ``around()``."""
    taken = {name: [] for name in contenders}
    for _ in range(rounds):
        with around():
            for name, deed in contenders.items():
                taken[name].append(measure(deed))
    return taken


def median(taken: Iterable[Taken]) -> Taken:
    """Return the medians of seconds and of processor seconds."""
    return Taken(*map(statistics.median, zip(*taken, strict=True)))


def print_ratios(taken: dict[str, list[Taken]]) -> None:
    """Print the medians of each contender, and its ratio to the first one."""
    rows = [[name, *median(each)] for name, each in taken.items()]
    print_table(["", "seconds", "processor", "ratio"], [[*row, row[1] / rows[0][1]] for row in rows])


def print_table(head: Sequence[str], rows: Sequence[Sequence]) -> None:
    """Print a table with a name in the first column and numbers to the right of it."""
    frame = pd.DataFrame([row[1:] for row in rows], [row[0] for row in rows], head[1:])
    print(frame.rename_axis(columns=head[0]).to_string(float_format="{:,.2f}".format), flush=True)
