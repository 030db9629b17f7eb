import os
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import mlflow
import pytest
from mlflow_ftp.preflight import QUICK, environment
from processes import child_environment, process
from servers import SMALL, mlflow_answers

# In a process of its own, as MLflow keeps the active experiment and the tracking server of a process.
CODE = """
import sys, time
from mlflow_ftp.preflight import preflight
start = time.monotonic()
try:
    preflight("train")
finally:
    print(time.monotonic() - start)
"""
SECONDS = 2.5  # two for the check, the rest for this machine


@pytest.fixture
def silent():
    """Name a port that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.fixture
def experiment(running_servers, monkeypatch) -> str:
    """Return the id of a new experiment, which is the active one."""
    experiment_id = mlflow.create_experiment(f"preflight {uuid.uuid4()}")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", experiment_id)
    return experiment_id


@dataclass(frozen=True)
class Lonely:
    """An MLflow server, and the port of its artifact store, where nothing listens."""

    tracking_uri: str
    ftp_port: int


@pytest.fixture(scope="module")
def lonely(tmp_path_factory, free_port) -> Iterator[Lonely]:
    """Run an MLflow server whose artifact store is away."""
    state, port, ftp_port = tmp_path_factory.mktemp("lonely"), free_port(), free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--port", port, "--backend-store-uri", "sqlite:///mlruns.db"]
    command += ["--default-artifact-root", f"ftp://127.0.0.1:{ftp_port}/artifacts"]
    with process("The MLflow server", command, state / "log", cwd=state, env=child_environment(**SMALL)) as server:
        server.wait_until(lambda: mlflow_answers(port), 120)
        yield Lonely(f"http://127.0.0.1:{port}", ftp_port)


def run() -> subprocess.CompletedProcess:
    """Run the preflight of a program."""
    return subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, timeout=60, check=False)


def refused() -> str:
    """Return the sentence that a program ends with, which comes within its time."""
    done = run()
    assert done.returncode == 1
    assert float(done.stdout) < SECONDS
    assert done.stderr.startswith("train: ")
    assert done.stderr.count("\n") == 1
    return done.stderr


def test_servers_that_take_a_write_pass_and_nothing_is_left_in_the_store(experiment, store):
    done = run()
    assert done.returncode == 0, done.stderr
    assert mlflow.get_experiment(experiment).tags["preflight"] == "passed"
    assert [path for path in (store / "artifacts" / experiment).rglob("*") if path.is_file()] == []


def test_a_tracking_server_that_is_away_is_named_with_the_next_command(monkeypatch, free_port):
    address = f"http://127.0.0.1:{free_port()}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address.replace("//", "//ada:lovelace@"))
    message = refused()
    assert f"The tracking server {address} does not answer." in message
    assert "MLFLOW_TRACKING_URI" in message
    assert "workshop.py servers" in message
    assert "lovelace" not in message


def test_a_tracking_server_that_says_nothing_is_named(monkeypatch, silent):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{silent}")
    assert f"The tracking server http://127.0.0.1:{silent} does not answer." in refused()


def test_an_artifact_store_that_is_away_is_named_with_the_next_command(lonely, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", lonely.tracking_uri)
    message = refused()
    assert f"127.0.0.1:{lonely.ftp_port}" in message
    assert "python ftpserver.py" in message


def test_an_artifact_store_that_says_nothing_is_named(lonely, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", lonely.tracking_uri)
    with socket.create_server(("127.0.0.1", lonely.ftp_port)):
        assert f"127.0.0.1:{lonely.ftp_port}" in refused()


def test_an_artifact_store_that_does_not_let_us_in_is_named_with_the_variables(experiment, monkeypatch):
    monkeypatch.setenv("MLFLOW_FTP_USERNAME", "nobody")
    message = refused()
    assert "MLFLOW_FTP_PASSWORD" in message
    assert os.environ["MLFLOW_FTP_PASSWORD"] not in message


def test_the_own_time_outs_are_back_after_the_check(monkeypatch):
    monkeypatch.setenv("MLFLOW_FTP_TIMEOUT", "17")
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", raising=False)
    with environment(QUICK):
        assert QUICK.items() <= os.environ.items()
    assert os.environ["MLFLOW_FTP_TIMEOUT"] == "17"
    assert "MLFLOW_HTTP_REQUEST_MAX_RETRIES" not in os.environ


@pytest.mark.slow
@pytest.mark.parametrize("project", ["data", "lr", "rf", "keras", "boosting", "registry", "scoring", "workflow"])
def test_a_project_ends_in_one_sentence_before_it_begins(project, mlflow_run, lonely):
    done = mlflow_run(f"3_projects/{project}", project, tracking_uri=lonely.tracking_uri)
    assert done.returncode != 0
    assert f"{'promote' if project == 'registry' else project}: " in done.stderr
    assert f"127.0.0.1:{lonely.ftp_port}" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    client = mlflow.MlflowClient(lonely.tracking_uri)
    (run,) = client.search_runs([client.get_experiment_by_name(project).experiment_id])
    assert run.info.status == "FAILED"
    assert not run.data.metrics
