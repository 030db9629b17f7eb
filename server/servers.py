"""Start the artifact store and the MLflow server, or use those that already run.

By hand, in two terminals, it is:

    cd server
    python ftpserver.py
    mlflow server --backend-store-uri sqlite:///mlruns.db --default-artifact-root ftp://127.0.0.1:2121/artifacts

Everything else, workshop.py and the tests, starts the same two commands from here.
"""

import contextlib
import ftplib
import re
import socket
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from forecasting.errors import UserError
from server.environment import child_environment
from server.processes import Process, process, watch_over
from server.uploads import check_carried

HOST = "127.0.0.1"
# One worker and no job runner: 0.5 GB of memory instead of 3, and ready in a third of the time.
SMALL = {"MLFLOW_WORKERS": "1", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
SILENCE = 5  # seconds without an answer, after which a server is asked again
PATIENCE = 20  # seconds for a server that takes connections and may be busy
# No proxy between this machine and itself, and a new connection for each question.
http = httpx.Client(trust_env=False, limits=httpx.Limits(max_keepalive_connections=0))


@dataclass(frozen=True)
class Servers:
    """Where the two servers are, which of them ran already, and the processes of those that did not."""

    ftp_port: int
    mlflow_port: int
    already_running: tuple[str, ...]
    started: list[Process]

    @property
    def tracking_uri(self) -> str:
        """Return what MLFLOW_TRACKING_URI has to be."""
        return f"http://{HOST}:{self.mlflow_port}"


def get(url: str, seconds: float = PATIENCE) -> str | None:
    """Return the body of the answer, or None if nothing listens there or it isn't ready.

    Raises TimeoutError if it takes the connection and then is silent for ``seconds``.
    """
    try:
        answer = http.get(url, timeout=seconds)
    except httpx.TimeoutException:
        raise TimeoutError(f"{url} takes connections, but has said nothing for {seconds:g} s. Try again.") from None
    except httpx.HTTPError:
        return None
    return answer.text if answer.is_success else None


def listens(port: int) -> bool:
    """Return whether anything takes connections on a loopback port."""
    try:
        socket.create_connection((HOST, port), timeout=2).close()
    except OSError:
        return False
    return True


def ftp_answers(port: int) -> bool:
    """Check that the artifact store accepts our login; raises UserError if not, TimeoutError if it is silent."""
    env = child_environment()
    user = env["MLFLOW_FTP_USERNAME"]
    for name in ("MLFLOW_FTP_USERNAME", "MLFLOW_FTP_PASSWORD"):
        check_carried(env[name], name)
    try:
        with ftplib.FTP(timeout=SILENCE) as ftp:
            ftp.connect(HOST, port)
            ftp.login(user, env["MLFLOW_FTP_PASSWORD"])
    except ftplib.error_perm:
        raise UserError(
            f"The artifact store on port {port} does not let {user!r} in. Set MLFLOW_FTP_USERNAME and "
            "MLFLOW_FTP_PASSWORD to what it was started with, or choose another port with --ftp-port."
        ) from None
    except TimeoutError:
        raise
    except (*ftplib.all_errors, UnicodeDecodeError):
        return False
    return True


def mlflow_answers(port: int) -> bool:
    """Check that an MLflow server answers, not one that says the same to all; raises TimeoutError if it is silent."""
    version = get(f"http://{HOST}:{port}/health", SILENCE) == "OK" and get(f"http://{HOST}:{port}/version", SILENCE)
    return bool(version and re.match(r"\d+\.\d+", version))


def present(answers: Callable[[int], bool], port: int, wanted: str, option: str) -> bool:
    """Check a port for the wanted server, and wait for a busy one; raises UserError if another program has it."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            if answers(port):
                return True
            if not listens(port):
                return False
            break
        except TimeoutError:
            if time.monotonic() > deadline:
                wanted += f", or is {wanted} and too busy to answer"
                break
    raise UserError(
        f"Port {port} is taken by a program that is not {wanted}. Stop that program, or choose another port with "
        f"{option}."
    )


def store_port(database: Path) -> int | None:
    """Return the port of the artifact store that a database's experiments were made with, None if it has none.

    An experiment keeps the address of its artifacts, so a database goes with one port.
    """
    if not database.exists():
        return None
    with contextlib.closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
        try:
            rows = connection.execute("SELECT artifact_location FROM experiments WHERE artifact_location LIKE 'ftp:%'")
            addresses = [address for (address,) in rows]
        except sqlite3.DatabaseError:  # the MLflow server says better what is wrong with it
            return None
    return urlsplit(addresses[0]).port if addresses else None


def prepare(database: Path) -> None:
    """Let readers and a writer of the database work at the same time, and nobody but its owner see it.

    SQLite gives the files that it makes beside a database the database's own mode.
    """
    database.touch(mode=0o600)
    database.chmod(0o600)
    with contextlib.closing(sqlite3.connect(database)) as connection:
        try:
            connection.execute("PRAGMA journal_mode=WAL")  # kept in the file
        except sqlite3.DatabaseError:
            return  # the MLflow server says better what is wrong with it


@contextlib.contextmanager
def servers(state: Path, logs: Path, ftp_port: int = 2121, mlflow_port: int = 5000) -> Iterator[Servers]:
    """Have both servers up for as long as the ``with`` block lasts.

    The database ``mlruns.db`` and the store's folder ``ftp_root`` are made in ``state``. A healthy server on its port
    is used and left running. Raises UserError if a port is taken by something else or a server doesn't come up, and
    OSError if ``state`` can't be written.
    """
    store_runs = present(ftp_answers, ftp_port, "the artifact store", "--ftp-port")
    mlflow_runs = present(mlflow_answers, mlflow_port, "an MLflow server", "--mlflow-port")
    state.mkdir(parents=True, exist_ok=True)
    database = state / "mlruns.db"
    if not mlflow_runs and (port := store_port(database)) not in (None, ftp_port):
        raise UserError(
            f"The artifacts that {database} knows of are at port {port}, not {ftp_port}. Use --ftp-port {port}, or "
            "another folder with --state."
        )
    with contextlib.ExitStack() as started:
        waiting = []
        if not store_runs:
            command = [sys.executable, Path(__file__).with_name("ftpserver.py"), "--port", ftp_port]
            command += ["--root", state / "ftp_root"]
            store = process("The artifact store", command, logs / "ftpserver.log", env=child_environment())
            waiting.append((started.enter_context(store), lambda: ftp_answers(ftp_port)))
        if not mlflow_runs:
            prepare(database)
            # No user and no password: the address is in the database, in every answer, and on every page.
            root = f"ftp://{HOST}:{ftp_port}/artifacts"
            command = [sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", mlflow_port]
            command += ["--backend-store-uri", "sqlite:///mlruns.db", "--default-artifact-root", root]
            env = child_environment(**SMALL)
            mlflow = process("The MLflow server", command, logs / "mlflow.log", cwd=state, env=env)
            waiting.append((started.enter_context(mlflow), lambda: mlflow_answers(mlflow_port)))
        children = [child for child, _ in waiting]
        for child, ready in waiting:
            child.wait_until(ready, 120, lambda: watch_over(children, state))
        running = [name for name, runs in (("artifact store", store_runs), ("MLflow server", mlflow_runs)) if runs]
        yield Servers(ftp_port, mlflow_port, tuple(running), children)
