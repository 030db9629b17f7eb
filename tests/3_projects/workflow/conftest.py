"""A workflow of four small steps, run by the real runner, on the real servers."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import mlflow
import psutil
import pytest
from mlflow.entities import Run

RUNNER = Path(__file__).parents[3] / "3_projects" / "workflow" / "run.py"


@pytest.fixture
def said() -> Callable[[subprocess.CompletedProcess], dict[str, str]]:
    """Return a function that returns the last word on each step of a workflow that ended well."""

    def steps(done: subprocess.CompletedProcess | str) -> dict[str, str]:
        if not isinstance(done, str):
            assert done.returncode == 0, done.stdout + done.stderr
        return dict(
            re.findall(r"^workflow: (\w+): (.*)$", done if isinstance(done, str) else done.stdout, re.MULTILINE)
        )

    return steps


class Flow:
    """A copy of the small workflow in a folder of its own, whose name no other test's workflow has."""

    def __init__(self, folder: Path, here: Callable, said: Callable):
        shutil.copytree(Path(__file__).parent / "tiny", folder, ignore=shutil.ignore_patterns("__pycache__"))
        self.folder, self.work, self.experiment = folder, folder / "3_projects" / "work", "tiny"
        self.home = (folder / "3_projects" / "flow").rename(folder / "3_projects" / folder.parent.name)
        self.input = folder / "input.txt"
        self.input.write_text("x")
        self.orders = folder / "orders"
        self.orders.mkdir()
        self.here, self.said = here, said

    def order(self, name: str, text: str = "") -> None:
        (self.orders / name).write_text(text)

    @property
    def variables(self) -> dict[str, str]:
        return {"ORDERS": str(self.orders), "MLFLOW_EXPERIMENT_NAME": self.experiment, "PYTHONWARNINGS": "ignore"}

    def runs(self, *options: str) -> dict[str, str]:
        """Run the workflow to its good end and return what it said of each step."""
        return self.said(self.here(RUNNER, "--steps", self.home / "steps.py", *options, **self.variables))

    def dry(self, *options: str) -> dict[str, str]:
        return self.runs("--dry-run=true", *options)

    def start(self) -> subprocess.Popen:
        """Start the workflow in a process and leave it to itself; what it says is in two files."""
        with (self.folder / "said").open("w") as output, (self.folder / "errors").open("w") as errors:
            return subprocess.Popen(
                [sys.executable, RUNNER, "--steps", self.home / "steps.py"],
                env=os.environ | self.variables,
                stdout=output,
                stderr=errors,
                start_new_session=True,
            )

    def fails(self) -> str:
        """Run the workflow to its bad end and return its last words."""
        assert self.start().wait(120) != 0
        errors = (self.folder / "errors").read_text()
        assert "Traceback" not in (self.folder / "said").read_text() + errors
        return errors.splitlines()[-1]

    def hangs(self, name: str) -> bool:
        return (self.orders / f"{name}.deep").exists()

    def processes(self) -> list[psutil.Process]:
        """Return the processes at work for this workflow."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("ORDERS") == str(self.orders) and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def newest(self, step: str) -> Run:
        """Return the newest run of a step; the workflow itself has the name of its folder."""
        condition = f"tags.`cache.step` = '{self.home.name}/{step}'" if step else f"tags.project = '{self.home.name}'"
        return mlflow.search_runs(search_all_experiments=True, filter_string=condition, output_format="list")[0]


@pytest.fixture
def flow(here, said, tmp_path) -> Flow:
    flow = Flow(tmp_path / "copy", here, said)
    yield flow
    for process in flow.processes():
        process.kill()


@pytest.fixture
def until() -> Callable[[Callable[[], bool]], None]:
    """Return a function that waits until a condition holds."""

    def wait(condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < deadline, "it did not come to that"
            time.sleep(0.02)

    return wait
