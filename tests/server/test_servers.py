"""Start the real servers, or find the ports taken by all sorts of programs."""

import contextlib
import os
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import mlflow
import processes
import psutil
import pytest
from processes import ProcessError
from servers import SMALL, ftp_answers, get, listens, mlflow_answers, servers

REFUSES_GUEST = [sys.executable, "-m", "pyftpdlib", "--interface", "127.0.0.1", "-u", "somebody", "-P", "else", "-p"]


@contextlib.contextmanager
def silent(free_port: Callable[[], int]) -> Iterator[int]:
    """Take connections and say nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def web(status: int, body: bytes, kind: str = "text/html") -> Callable:
    """Return a server of one answer to everything."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments):
            pass

    @contextlib.contextmanager
    def serve(free_port: Callable[[], int]) -> Iterator[int]:
        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            try:
                yield server.server_address[1]
            finally:
                server.shutdown()
                thread.join()

    return serve


@contextlib.contextmanager
def ftp_of_others(free_port: Callable[[], int]) -> Iterator[int]:
    """Run an FTP server that doesn't know our guest."""
    port = free_port()
    with subprocess.Popen(
        [*REFUSES_GUEST, str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as somebody_else:
        deadline = time.monotonic() + 20
        while not listens(port):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        try:
            yield port
        finally:
            somebody_else.terminate()


@pytest.mark.parametrize(
    ("wanted", "stranger"),
    [
        pytest.param("the artifact store", silent, id="silent for FTP"),
        pytest.param("the artifact store", web(200, b"<html>welcome</html>"), id="web for FTP"),
        pytest.param("an MLflow server", silent, id="silent for MLflow"),
        pytest.param("an MLflow server", web(404, b"nothing here"), id="web page not found"),
        pytest.param("an MLflow server", web(200, b"<html>welcome</html>"), id="web page"),
        pytest.param("an MLflow server", web(200, b"OK", "text/plain"), id="OK to everything"),
        pytest.param("an MLflow server", web(200, b"\xff\xfe", "text/plain"), id="not UTF-8"),
        pytest.param("an MLflow server", ftp_of_others, id="FTP for MLflow"),
    ],
)
def test_a_port_on_which_something_else_answers_is_named_soon_and_nothing_is_started(
    stranger, wanted, free_port, tmp_path
):
    with stranger(free_port) as taken:
        ports, option = ((taken, free_port()), "--ftp-port") if "store" in wanted else ((free_port(), taken), "--mlfl")
        start = time.monotonic()
        with (
            pytest.raises(ProcessError, match=f"^Port {taken} is taken by a program that is not {wanted}.*{option}"),
            servers(tmp_path / "state", tmp_path / "logs", *ports),
        ):
            pytest.fail("it is not our server")
    assert time.monotonic() - start < 15
    assert list(tmp_path.iterdir()) == []


def test_an_artifact_store_with_another_login_is_named_and_nothing_is_started(free_port, tmp_path):
    with (
        ftp_of_others(free_port) as port,
        pytest.raises(ProcessError, match=f"store on port {port} does not let 'guest' in. Set MLFLOW_FTP_USERNAME"),
        servers(tmp_path / "state", tmp_path / "logs", port, free_port()),
    ):
        pytest.fail("it has another login")
    assert list(tmp_path.iterdir()) == []


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
        leader = psutil.Process(child.popen.pid)
        for process in (leader, *leader.children(recursive=True)):
            assert password not in " ".join(process.cmdline())


def test_healthy_servers_are_used_and_left_running(running_servers, tmp_path):
    ports = running_servers.ftp_port, running_servers.mlflow_port
    with servers(tmp_path / "state", tmp_path / "logs", *ports) as up:
        assert up.found == ("artifact store", "MLflow server")
        assert up.started == []
        assert up.tracking_uri == running_servers.tracking_uri
    assert ftp_answers(running_servers.ftp_port)
    assert mlflow_answers(running_servers.mlflow_port)


def test_only_the_server_that_is_missing_is_started_and_only_it_is_stopped(running_servers, free_port, tmp_path):
    port, ticks = free_port(), []
    ports = port, running_servers.mlflow_port
    with servers(tmp_path / "state", tmp_path / "logs", *ports, watch=ticks.append) as up:
        assert up.found == ("MLflow server",)
        assert [child.name for child in up.started] == ["The artifact store"]
        assert ftp_answers(port)
        assert ticks, "a person is told that time goes by"
    assert not listens(port)
    assert mlflow_answers(running_servers.mlflow_port)


def test_servers_are_found_in_spite_of_a_proxy(running_servers, free_port):
    proxy = dict.fromkeys(("http_proxy", "HTTP_PROXY", "all_proxy"), f"http://127.0.0.1:{free_port()}")
    env = {name: value for name, value in os.environ.items() if name.lower() != "no_proxy"}
    env |= {**proxy, "PYTHONPATH": str(Path(processes.__file__).parent)}
    code = f"from servers import mlflow_answers; print(mlflow_answers({running_servers.mlflow_port}))"
    assert subprocess.run([sys.executable, "-c", code], env=env, stdout=subprocess.PIPE).stdout.strip() == b"True"


def test_a_server_that_does_not_come_up_is_named_with_its_log_and_the_other_one_is_stopped(free_port, tmp_path):
    (tmp_path / "mlruns.db").write_bytes(b"this is no database" * 1000)
    ftp_port, mlflow_port = free_port(), free_port()
    with (
        pytest.raises(ProcessError) as error,
        servers(tmp_path, tmp_path / "logs", ftp_port, mlflow_port),
    ):
        pytest.fail("it can't come up")
    assert str(error.value).startswith("The MLflow server ended with exit status")
    assert f"Its log is {tmp_path / 'logs' / 'mlflow.log'}, which ends with:" in str(error.value)
    assert "file is not a database" in str(error.value)
    assert not listens(ftp_port)
    assert not listens(mlflow_port)


def test_a_state_folder_that_is_a_file_is_named_and_nothing_is_started(free_port, tmp_path):
    state, port = tmp_path / "state", free_port()
    state.touch()
    with pytest.raises(OSError, match="state"), servers(state, tmp_path / "logs", port, free_port()):
        pytest.fail("there is no place for the database")
    assert not listens(port)


def test_nothing_is_got_from_a_port_where_nobody_listens(free_port):
    assert get(f"http://127.0.0.1:{free_port()}/health") is None


def test_a_database_is_refused_at_another_port_than_that_of_its_artifacts(running_servers, free_port):
    state = running_servers.started[0].log.parents[1]
    with (
        pytest.raises(ProcessError, match=rf"are at port {running_servers.ftp_port}, not \d+. Use --ftp-port"),
        servers(state, state / "logs", free_port(), free_port()),
    ):
        pass


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
