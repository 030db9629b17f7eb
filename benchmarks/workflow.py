"""What the workflow costs beside the work itself: with every step reused, and for each step that it starts.

    python benchmarks/workflow.py

It starts both servers from an empty folder on free ports, and runs the workflow once, one step after the other. Of each
step the table shows the time of the whole step, the part of it that is the workflow's (the run, its tags, the process),
and the part in which the step's script imports its libraries. Both together are its overhead; the rest is its own work.
Ratios are to an empty `mlflow run`, a project whose command is `python -c pass`. Medians of some rounds, in which all
take turns.
"""

import argparse
import ast
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "server"))

from processes import child_environment  # noqa: E402  (found in the folder just named)
from servers import servers  # noqa: E402

INTERPRETER, EMPTY_RUN, REUSED = "start of the interpreter", "an empty mlflow run", "every step reused, python run.py"
PARAMETERS = {"csv": "1_starting_point/germany.csv", "n_estimators": 8, "epochs": 2, "trials": 2}
EMPTY = """
name: empty
entry_points:
  main:
    command: "python -c pass"
"""
# The workflow with one step at a time; prints the seconds of each step and of its process, its folder and command.
SERIAL = """
import json, os, subprocess, sys, time
sys.path.insert(0, "3_projects/workflow")
os.cpu_count = lambda: 1
import run

steps, processes = {}, {}
launch = run.Workflow.launch

class Process(subprocess.Popen):
    def __init__(self, args, **more):
        self.start, self.run_id = time.perf_counter(), (more.get("env") or {}).get("MLFLOW_RUN_ID")
        self.script = more.get("cwd"), args[-1]
        super().__init__(args, **more)

    def wait(self, *arguments, **more):
        result = super().wait(*arguments, **more)
        processes[self.run_id] = time.perf_counter() - self.start, *self.script
        return result

def timed(workflow, name, *arguments):
    start = time.perf_counter()
    result = launch(workflow, name, *arguments)
    steps[name] = time.perf_counter() - start, *processes[workflow.begun[name]]
    return result

subprocess.Popen, run.Workflow.launch = Process, timed
run.main()
print(json.dumps(steps))
"""


def free_port() -> int:
    """Return a port on which nothing listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def call(command: list, env: dict[str, str], cwd: Path = ROOT) -> str:
    """Return what a command prints; ends the benchmark if it fails."""
    command = [str(part) for part in command]
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def call_reused(command: list, env: dict[str, str]) -> None:
    """Run the workflow; ends the benchmark if a step was not reused, which happens if somebody edits a project."""
    said = call(command, env)
    if re.search(r"^workflow: \w+ runs", said, re.MULTILINE):
        sys.exit(f"expected every step to be reused, found:\n{said}")


def medians(rounds: int, deeds: dict[str, Callable[[], object]]) -> dict[str, tuple[float, float]]:
    """Return the medians of the seconds that each of several things takes, and of its seconds of the processor.

    They take turns in every round. The latter tell more on a busy machine; Windows does not count them.
    """
    taken = {name: [] for name in deeds}
    for _ in range(rounds):
        for name, deed in deeds.items():
            start, before = time.perf_counter(), os.times()
            deed()
            seconds, now = time.perf_counter() - start, os.times()
            processor = now.children_user + now.children_system - before.children_user - before.children_system
            taken[name].append((seconds, processor))
    return {name: tuple(map(statistics.median, zip(*pairs, strict=True))) for name, pairs in taken.items()}


def imports(script: Path) -> str:
    """Return the imports of a script, as a program of their own."""
    tree = ast.parse(script.read_text(encoding="utf-8"))
    return ast.unparse([node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))])


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description="Time the workflow with every step reused, and each step's overhead.")
    parser.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    rounds = parser.parse_args().rounds
    python = sys.executable
    typed = [python, "-m", "mlflow", "run", "--env-manager", "local"]
    options = [f"--{name.replace('_', '-')}={value}" for name, value in PARAMETERS.items()]
    by_mlflow = [part for name, value in PARAMETERS.items() for part in ("-P", f"{name}={value}")]
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder)
        (state / "empty").mkdir()
        (state / "empty" / "MLproject").write_text(EMPTY)
        with servers(state, state / "logs", free_port(), free_port()) as up:
            env = child_environment(MLFLOW_TRACKING_URI=up.tracking_uri)
            steps = json.loads(call([python, "-c", SERIAL, *options], env).splitlines()[-1])
            programs = {
                name: (imports(Path(home, command.split()[1])), home) for name, (_, _, home, command) in steps.items()
            }
            deeds = {
                INTERPRETER: lambda: call([python, "-c", "pass"], env),
                EMPTY_RUN: lambda: call([*typed, state / "empty"], env),
                REUSED: lambda: call_reused([python, ROOT / "3_projects" / "workflow" / "run.py", *options], env),
                "every step reused, mlflow run": lambda: call_reused(
                    [*typed, ROOT / "3_projects" / "workflow", *by_mlflow], env
                ),
            }
            deeds |= {
                name: lambda program=program, home=home: call([python, "-c", program], env, home)
                for name, (program, home) in programs.items()
            }
            taken = medians(rounds, deeds)
    empty, _ = taken[EMPTY_RUN]
    print(f"{'':40}{'seconds':>9}{'processor':>11}{'ratio':>8}")
    for title in [title for title in taken if title not in steps]:
        seconds, processor = taken[title]
        print(f"{title:40}{seconds:9.2f}{processor:11.2f}{seconds / empty:8.2f}")
    after, processor = (taken[REUSED][i] - taken[INTERPRETER][i] for i in (0, 1))
    print(f"every step reused, after the start of the interpreter: {after:.2f} s, {processor:.2f} s of the processor")
    print("promised: under 5 s\n")
    print(f"{'step':12}{'whole':>9}{'workflow':>10}{'imports':>9}{'overhead':>10}{'ratio':>8}; promised: at most 2")
    for name, (whole, process, *_) in steps.items():
        libraries, _ = taken[name]
        overhead = whole - process + libraries
        print(f"{name:12}{whole:9.2f}{whole - process:10.2f}{libraries:9.2f}{overhead:10.2f}{overhead / empty:8.2f}")


if __name__ == "__main__":
    main()
