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

WORKFLOW = Path(__file__).parents[3] / "3_projects" / "workflow"


def said(output: str) -> dict[str, str]:
    """Return the last word on each step."""
    return dict(re.findall(r"^workflow: (\w+): (.*)$", output, re.MULTILINE))


class Flow:
    """A copy of the small workflow in a folder of its own, whose name no other test's workflow has."""

    def __init__(self, folder: Path):
        shutil.copytree(Path(__file__).parent / "tiny", folder, ignore=shutil.ignore_patterns("__pycache__"))
        self.folder, self.work, self.experiment = folder, folder / "3_projects" / "work", "tiny"
        self.home = (folder / "3_projects" / "flow").rename(folder / "3_projects" / folder.parent.name)
        self.input = folder / "input.txt"
        self.input.write_text("x")
        self.orders = folder / "orders"
        self.orders.mkdir()

    def order(self, name: str, text: str = "") -> None:
        (self.orders / name).write_text(text)

    def command(self, *options: str) -> dict:
        env = os.environ | {
            "ORDERS": str(self.orders),
            "MLFLOW_EXPERIMENT_NAME": self.experiment,
            "PYTHONWARNINGS": "ignore",
        }
        arguments = [sys.executable, WORKFLOW / "run.py", "--steps", self.home / "steps.py", *options]
        return {"args": arguments, "cwd": self.folder, "env": env, "text": True}

    def __call__(self, *options: str) -> subprocess.CompletedProcess:
        return subprocess.run(**self.command(*options), capture_output=True, timeout=120, check=False)

    def runs(self, *options: str) -> dict[str, str]:
        """Run the workflow to its good end and return what it said of each step."""
        done = self(*options)
        assert done.returncode == 0, done.stdout + done.stderr
        return said(done.stdout)

    def dry(self, *options: str) -> dict[str, str]:
        return self.runs("--dry-run=true", *options)

    def start(self, *options: str) -> subprocess.Popen:
        """Start the workflow and leave it to itself."""
        with (self.folder / "log").open("w") as log:
            where = {"stdout": log, "stderr": subprocess.STDOUT, "start_new_session": True}
            return subprocess.Popen(**self.command(*options), **where)

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
def flow(running_servers, tmp_path) -> Flow:
    flow = Flow(tmp_path / "copy")
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
