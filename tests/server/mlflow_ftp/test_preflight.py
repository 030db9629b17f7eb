import contextlib
import os
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import mlflow
import psutil
import pytest

from server.environment import child_environment
from server.processes import process
from server.servers import SMALL, mlflow_answers

# In a process of its own, as MLflow keeps the active experiment and the tracking server of a process.
CODE = """
import sys
from mlflow_ftp import preflight
preflight.PATIENCE = int(sys.argv[1])
preflight.preflight("train")
"""


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


def run(patience: int = 60) -> subprocess.CompletedProcess:
    """Run the preflight of a program."""
    command = [sys.executable, "-c", CODE, str(patience)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def refused(patience: int = 60) -> str:
    """Return the sentence that a program ends with."""
    done = run(patience)
    assert done.returncode == 1
    *waits, sentence = done.stderr.splitlines()
    assert all(wait.endswith(f" has not answered yet; waiting for it, {patience} s at the most ...") for wait in waits)
    assert sentence.startswith("train: ")
    return sentence


def test_servers_that_take_a_write_pass_and_nothing_is_left_in_the_store(experiment, store):
    done = run()
    assert done.returncode == 0, done.stderr
    assert mlflow.get_experiment(experiment).tags["preflight"] == "passed"
    assert [path for path in (store / "artifacts" / experiment).rglob("*") if path.is_file()] == []


def test_a_tracking_server_that_is_away_or_says_nothing_is_named_with_the_next_command(monkeypatch, free_port):
    address = f"http://127.0.0.1:{free_port()}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address.replace("//", "//ada:lovelace@"))
    message = refused()
    assert f"The tracking server {address} does not answer. Is MLFLOW_TRACKING_URI right" in message
    assert "workshop.py servers" in message
    assert "lovelace" not in message
    with socket.create_server(("127.0.0.1", int(address.rpartition(":")[2]))):
        assert f"The tracking server {address} took the connection, and no answer came in 3 s." in refused(patience=3)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no signal that stops a process for a while")
@pytest.mark.parametrize(("busy", "name"), [("artifact", "The artifact store"), ("mlflow", "The tracking server")])
def test_a_busy_server_gets_its_time_and_the_wait_is_shown(other_servers, monkeypatch, busy, name):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", other_servers.tracking_uri)
    (server,) = (child.popen.pid for child in other_servers.started if busy in child.name.lower())
    processes = [psutil.Process(server), *psutil.Process(server).children(recursive=True)]
    with contextlib.ExitStack() as stopped:
        for each in processes:
            each.suspend()
            stopped.callback(each.resume)
        command = [sys.executable, "-c", CODE, "60"]
        program = stopped.enter_context(subprocess.Popen(command, stderr=subprocess.PIPE, text=True))
        stopped.callback(program.kill)
        assert program.stderr.readline().startswith(f"{name} ")  # it does not end, it waits
        for each in processes:
            each.resume()
        assert (program.wait(60), program.stderr.read()) == (0, "")


def test_an_artifact_store_that_is_away_or_says_nothing_is_named_with_the_next_command(lonely, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", lonely.tracking_uri)
    message = refused()
    assert f"127.0.0.1:{lonely.ftp_port}" in message
    assert "python ftpserver.py" in message
    with socket.create_server(("127.0.0.1", lonely.ftp_port)):
        assert f"answers at 127.0.0.1:{lonely.ftp_port}; it may be busy, see its log" in refused(patience=3)


def test_an_artifact_store_that_does_not_let_us_in_is_named_with_the_variables(experiment, monkeypatch):
    monkeypatch.setenv("MLFLOW_FTP_USERNAME", "nobody")
    message = refused()
    assert "MLFLOW_FTP_PASSWORD" in message
    assert os.environ["MLFLOW_FTP_PASSWORD"] not in message


def test_an_experiment_left_over_from_other_work_is_not_taken_for_a_server_that_is_away(running_servers, monkeypatch):
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "987654")
    said = refused()
    assert "MLFLOW_EXPERIMENT_ID environment variable value `987654` does not exist" in said
    assert said.endswith(". Unset it, if it is left over from other work")


@pytest.mark.slow
@pytest.mark.parametrize("project", ["registry", "scoring", "workflow"])  # the lessons have tests of their own
def test_a_project_ends_in_one_sentence_before_it_begins(project, mlflow_run, lonely):
    done = mlflow_run(f"3_projects/{project}", project, tracking_uri=lonely.tracking_uri)
    assert done.returncode != 0
    assert f"{'validate' if project == 'registry' else project}: " in done.stderr
    assert f"127.0.0.1:{lonely.ftp_port}" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    client = mlflow.MlflowClient(lonely.tracking_uri)
    (run,) = client.search_runs([client.get_experiment_by_name(project).experiment_id])
    assert run.info.status == "FAILED"
    assert not run.data.metrics
