"""What the tests of the page "For a team" and of its containers share: the page's passages, and a PostgreSQL server."""

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path

import mlflow
import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from server import servers
from server.processes import process

SERVER = Path(servers.__file__).parent
X = np.arange(12.0).reshape(4, 3)


def log(number: int) -> None:
    """Log a run and register its model, as a person does on the servers that the environment names."""
    known = mlflow.get_experiment_by_name("wind")
    with mlflow.start_run(experiment_id=known.experiment_id if known else mlflow.create_experiment("wind")):
        mlflow.log_param("number", number)
        for step in range(20):
            mlflow.log_metric("error", number / (step + 1), step=step)
        mlflow.log_text("wind" * number, "größe 1.txt")
        mlflow.sklearn.log_model(
            LinearRegression().fit(X, X[:, 0] * number),
            name="model",
            registered_model_name="wind",
            serialization_format="cloudpickle",
            pip_requirements=["scikit-learn"],
        )


def load() -> dict[str, list]:
    """Return what every registered version predicts, with the data of its run."""
    client, loaded = mlflow.MlflowClient(), {}
    for version in client.search_model_versions("name = 'wind'"):
        run = client.get_run(version.run_id)
        loaded[version.version] = [
            run.data.params["number"],
            [metric.value for metric in client.get_metric_history(version.run_id, "error")],
            mlflow.sklearn.load_model(f"models:/wind/{version.version}").predict(X).round(6).tolist(),
            mlflow.artifacts.load_text(f"runs:/{version.run_id}/größe 1.txt"),
        ]
    return loaded


def blocks() -> list[str]:
    """Return the indented passages of the page."""
    page = (SERVER / "TEAM.md").read_text(encoding="utf-8")
    found = re.findall(r"(?:^ {4,}\S.*\n|^\n(?= {4}))+", page, re.MULTILINE)
    return [textwrap.dedent(block).strip("\n") for block in found if block.strip()]


def block(start: str) -> str:
    """Return the one passage that begins so."""
    (found,) = (text for text in blocks() if text.startswith(start))
    return found


@contextlib.contextmanager
def postgresql(port: int) -> Iterator[None]:
    """Run a PostgreSQL of our own, which does not want to be root, without the database that the page makes."""
    found = [shutil.which("initdb"), *sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin/initdb")))]
    if not any(found):
        reason = "there is no PostgreSQL here; on Debian: apt-get install postgresql"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    programs = Path(next(filter(None, reversed(found)))).parent
    nobody = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] if os.geteuid() == 0 else []
    folder = Path(tempfile.mkdtemp(prefix="pg"))  # where nobody may go, and short enough for a socket's name
    try:
        if nobody:
            shutil.chown(folder, "nobody")
        initdb = [*nobody, programs / "initdb", "--username=postgres", "--auth-local=trust", "--auth-host=trust"]
        subprocess.run([*initdb, "--no-sync", "-D", folder / "data"], check=True, capture_output=True, timeout=120)
        # Only its own administrator gets in without a password.
        lines = "host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
        (folder / "data" / "pg_hba.conf").write_text(lines)
        command = [*nobody, programs / "postgres", "-D", folder / "data", "-k", folder, "-p", str(port)]
        with process("postgres", command, folder / "log", folder) as server:
            ready = [programs / "pg_isready", "-h", "127.0.0.1", "-p", str(port)]
            server.wait_until(lambda: subprocess.run(ready, capture_output=True, timeout=20).returncode == 0, 60)
            yield
    finally:
        shutil.rmtree(folder)
