"""Ask servers for a write that are away, silent, busy, or let nobody in."""

import contextlib
import io
import os
import socket
import sys
import uuid

import mlflow
import psutil
import pytest
from mlflow_ftp import preflight


@pytest.fixture(autouse=True)
def nothing_left_over(monkeypatch) -> None:
    """Let no test see the experiment of another, nor the next one what tensorflow is told here."""
    monkeypatch.setattr("mlflow.tracking.fluent._active_experiment_id", None)
    for name in ("TF_CPP_MIN_LOG_LEVEL", "TF_ENABLE_ONEDNN_OPTS"):
        monkeypatch.setenv(name, "")


@pytest.fixture
def impatient(monkeypatch) -> None:
    """Wait for seconds only."""
    monkeypatch.setattr(preflight, "SILENCE", 0.5)
    monkeypatch.setattr(preflight, "PATIENCE", 1)


@pytest.fixture
def experiment(running_servers, monkeypatch) -> str:
    """Return the id of a new experiment, which is the active one."""
    experiment_id = mlflow.create_experiment(f"preflight {uuid.uuid4()}")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", experiment_id)
    return experiment_id


@pytest.fixture
def storeless(running_servers, free_port, monkeypatch) -> tuple[str, int]:
    """Return the name of the active experiment, and the port of its artifact store, where nothing listens."""
    name, port = f"storeless {uuid.uuid4()}", free_port()
    experiment_id = mlflow.create_experiment(name, artifact_location=f"ftps://127.0.0.1:{port}/artifacts")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", experiment_id)
    return name, port


def refused() -> str:
    """Return the sentence that a program ends with."""
    with pytest.raises(SystemExit, match=r"^train: ") as end:
        preflight.preflight("train")
    return str(end.value)


def test_servers_that_take_a_write_pass_and_nothing_is_left_in_the_store(experiment, store):
    preflight.preflight("train")
    assert mlflow.get_experiment(experiment).tags["preflight"] == "passed"
    assert [path for path in (store / "artifacts" / experiment).rglob("*") if path.is_file()] == []


def test_a_tracking_server_that_is_away_or_silent_is_named_with_the_next_command(monkeypatch, free_port, impatient):
    address = f"http://127.0.0.1:{free_port()}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address.replace("//", "//ada:lovelace@"))
    message = refused()
    assert f"The tracking server {address} does not answer. Is MLFLOW_TRACKING_URI right" in message
    assert "workshop.py servers" in message
    assert "lovelace" not in message
    with socket.create_server(("127.0.0.1", int(address.rpartition(":")[2]))):
        assert f"The tracking server {address} took the connection, and no answer came in 1 s." in refused()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no signal that stops a process for a while")
@pytest.mark.parametrize(("busy", "name"), [(0, "The artifact store"), (1, "The tracking server")])
def test_a_busy_server_gets_its_time_and_the_wait_is_shown(running_servers, experiment, monkeypatch, busy, name):
    server = psutil.Process(running_servers.started[busy].popen.pid)
    processes = [server, *server.children(recursive=True)]

    class Screen(io.StringIO):
        def write(self, text: str) -> int:
            for each in processes:
                each.resume()
            return super().write(text)

    monkeypatch.setattr(sys, "stderr", screen := Screen())
    with contextlib.ExitStack() as stopped:
        for each in processes:
            each.suspend()
            stopped.callback(each.resume)
        preflight.preflight("train")
    assert screen.getvalue().startswith(name)
    assert screen.getvalue().endswith(" has not answered yet; waiting for it, 60 s at the most ...\n")


def test_an_artifact_store_that_is_away_or_silent_is_named_with_the_next_command(storeless, impatient):
    _, port = storeless
    message = refused()
    assert f"127.0.0.1:{port}" in message
    assert "python ftpserver.py" in message
    with socket.create_server(("127.0.0.1", port)):
        assert f"answers at 127.0.0.1:{port}; it may be busy, see its log" in refused()


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
def test_a_project_ends_in_one_sentence_before_it_begins(mlflow_run, storeless, monkeypatch):
    """Type one of those that use forecasting; the lessons have tests of their own."""
    name, port = storeless
    monkeypatch.delenv("MLFLOW_EXPERIMENT_ID")
    done = mlflow_run("3_projects/scoring", name)
    assert done.returncode != 0
    assert "scoring: " in done.stderr
    assert f"127.0.0.1:{port}" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    (run,) = mlflow.search_runs(experiment_names=[name], output_format="list")
    assert run.info.status == "FAILED"
    assert not run.data.metrics
