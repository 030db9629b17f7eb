"""What the small workflow has made, and programs that run in the test's own process."""

import re
import runpy
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import mlflow
import pandas as pd
import pytest


@pytest.fixture(scope="session")
def runs(workflow) -> dict:
    """Return the run of each step of the small workflow."""
    printed = dict(re.findall(r"^workflow: (\w+): run (\w+) in", workflow, re.MULTILINE))
    return {step: mlflow.get_run(printed[step]) for step in ("data", "lr", "rf", "keras", "boosting")}


@pytest.fixture(scope="session")
def table(runs) -> pd.DataFrame:
    path = mlflow.artifacts.download_artifacts(run_id=runs["data"].info.run_id, artifact_path="table.parquet")
    return pd.read_parquet(path)


@pytest.fixture
def here(running_servers, monkeypatch, capfd) -> Callable[..., CompletedProcess]:
    """Return a function that runs a program of a project in this process, which has imported MLflow already.

    Not for a workflow that is stopped or that fails: it would end all that this process has started, as the servers.
    """

    def run(program: Path, *options: object, **variables: str) -> CompletedProcess:
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        known, failed = {*sys.modules}, ""
        # What programs change is changed back.
        own = {"MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true", "OMP_WAIT_POLICY": "PASSIVE", "PYTHONUNBUFFERED": ""}
        capfd.readouterr()
        with monkeypatch.context() as patch:
            patch.syspath_prepend(program.parent)
            patch.setattr(sys, "argv", [str(program), *map(str, options)])
            for name, value in (own | variables).items():
                patch.setenv(name, value)
            try:
                runpy.run_path(str(program), run_name="__main__")
            except SystemExit as error:
                failed = str(error)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for name in sys.modules.keys() - known:
            if str(getattr(sys.modules[name], "__file__", "")).startswith(str(program.parent)):
                del sys.modules[name]
        printed = capfd.readouterr()
        return CompletedProcess(options, bool(failed), printed.out, printed.err + failed)

    return run
