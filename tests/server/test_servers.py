"""Start the real servers, or find the ports taken by all sorts of programs."""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import mlflow
import pytest
from stores import answering, command_lines
from stores import store as started_store

from forecasting.errors import UserError
from server import processes
from server import servers as servers_module
from server.servers import SMALL, ftp_answers, get, listens, mlflow_answers, present, servers


@pytest.mark.parametrize(
    ("wanted", "answer"),
    [("the artifact store", b""), *(("an MLflow server", said) for said in (b"", b"<html>", b"OK", b"\xff\xfe"))],
)
def test_a_port_on_which_something_else_answers_is_named_soon_and_nothing_is_started(
    wanted, answer, free_port, tmp_path, monkeypatch
):
    monkeypatch.setattr(servers_module, "SILENCE", 0.5)
    monkeypatch.setattr(servers_module, "PATIENCE", 1)
    with answering(answer) as taken:
        ports, option = ((taken, free_port()), "--ftp-port") if "store" in wanted else ((free_port(), taken), "--mlfl")
        with (
            pytest.raises(UserError, match=f"^Port {taken} is taken by a program that is not {wanted}.*{option}"),
            servers(tmp_path / "state", tmp_path / "logs", *ports),
        ):
            pytest.fail("it is not our server")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="Windows has no signal that stops a process")
@pytest.mark.parametrize("answers", [ftp_answers, mlflow_answers])
def test_a_server_that_is_too_busy_to_answer_at_once_is_waited_for(running_servers, answers, monkeypatch):
    monkeypatch.setattr(servers_module, "SILENCE", 0.3)
    which = 0 if answers is ftp_answers else 1
    port, leader = (running_servers.ftp_port, running_servers.mlflow_port)[which], running_servers.started[which]
    tries = []

    def ask(port: int) -> bool:
        tries.append(port)
        if len(tries) == 2:
            os.killpg(leader.popen.pid, signal.SIGCONT)
            monkeypatch.setattr(servers_module, "SILENCE", 60)
        return answers(port)

    os.killpg(leader.popen.pid, signal.SIGSTOP)
    try:
        assert present(ask, port, "the server", "--port")
    finally:
        os.killpg(leader.popen.pid, signal.SIGCONT)
    assert len(tries) == 2


def test_an_artifact_store_with_another_login_is_named_and_nothing_is_started(login, free_port, tmp_path):
    state = tmp_path / "state"
    with (
        started_store(tmp_path, free_port()) as other,
        pytest.raises(UserError, match=f"store on port {other.port} does not let 'guest' in. Set MLFLOW_FTP_USERNAME"),
        servers(state, state, other.port, free_port()),
    ):
        pytest.fail("it has another password")
    assert not state.exists()


def test_the_database_is_for_its_owner_only_and_takes_readers_beside_a_writer(running_servers):
    database = running_servers.started[0].log.parents[1] / "mlruns.db"
    if os.name == "posix":
        assert [oct(path.stat().st_mode & 0o777) for path in database.parent.glob("mlruns.db*")] == ["0o600"] * 3
    with contextlib.closing(sqlite3.connect(database)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_neither_an_address_nor_a_command_line_holds_the_password(running_servers):
    password = os.environ["MLFLOW_FTP_PASSWORD"]
    addresses = [experiment.artifact_location for experiment in mlflow.search_experiments()]
    assert f"ftp://127.0.0.1:{running_servers.ftp_port}/artifacts/0" in addresses
    assert not [address for address in addresses if "@" in address]
    for child in running_servers.started:
        assert password not in command_lines(child.popen)


def test_servers_are_found_in_spite_of_a_proxy(running_servers, free_port):
    proxy = dict.fromkeys(("http_proxy", "HTTP_PROXY", "all_proxy"), f"http://127.0.0.1:{free_port()}")
    env = {name: value for name, value in os.environ.items() if name.lower() != "no_proxy"} | proxy
    code = f"from server.servers import mlflow_answers; print(mlflow_answers({running_servers.mlflow_port}))"
    assert subprocess.run([sys.executable, "-c", code], env=env, stdout=subprocess.PIPE).stdout.strip() == b"True"


def test_a_server_that_does_not_come_up_is_named_with_its_log_and_the_other_one_is_stopped(free_port, tmp_path):
    (tmp_path / "mlruns.db").write_bytes(b"this is no database" * 1000)
    ports = free_port(), free_port()
    with pytest.raises(UserError) as error, servers(tmp_path, tmp_path / "logs", *ports):
        pytest.fail("it can't come up")
    assert str(error.value).startswith("The MLflow server ended with exit status")
    assert f"Its log is {tmp_path / 'logs' / 'mlflow.log'}, which ends with:" in str(error.value)
    assert "file is not a database" in str(error.value)
    assert not any(listens(port) for port in ports)


def test_a_database_is_refused_at_another_port_than_that_of_its_artifacts(running_servers, free_port):
    state = running_servers.started[0].log.parents[1]
    with (
        pytest.raises(UserError, match=rf"are at port {running_servers.ftp_port}, not \d+. Use --ftp-port"),
        servers(state, state / "logs", free_port(), free_port()),
    ):
        pytest.fail("its artifacts are elsewhere")


@pytest.mark.slow
def test_the_address_of_older_tutorials_works_too_with_the_password_in_it(free_port, tmp_path, monkeypatch):
    for name in ("MLFLOW_FTP_USERNAME", "MLFLOW_FTP_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    ftp_port, port, folder = free_port(), free_port(), Path(processes.__file__).parent
    store = [sys.executable, "ftpserver.py", "--port", ftp_port, "--root", tmp_path / "root"]
    server = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", "sqlite:///mlruns.db", "--port", port]
    server += ["--default-artifact-root", f"ftp://guest:12345@127.0.0.1:{ftp_port}/artifacts"]
    plain = os.environ | SMALL | {"MLFLOW_DISABLE_TELEMETRY": "true"}
    with (
        processes.process("The artifact store", store, tmp_path / "ftp.log", cwd=folder, env=plain) as one,
        processes.process("The MLflow server", server, tmp_path / "mlflow.log", cwd=tmp_path, env=plain) as other,
    ):
        one.wait_until(lambda: listens(ftp_port), 20)
        other.wait_until(lambda: mlflow_answers(port), 120)
        client = mlflow.MlflowClient(f"http://127.0.0.1:{port}")
        run_id = client.create_run("0").info.run_id
        client.log_text(run_id, "whole", "note.txt")
        assert Path(client.download_artifacts(run_id, "note.txt")).read_text() == "whole"
        listed = get(f"http://127.0.0.1:{port}/ajax-api/2.0/mlflow/artifacts/list?run_id={run_id}")
    assert "note.txt" in listed
