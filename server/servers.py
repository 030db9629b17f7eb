"""Start the artifact store and the MLflow server, or use those that already run.

By hand, in two terminals, it is:

    cd server
    python ftpserver.py
    mlflow server --backend-store-uri sqlite:///mlruns.db --default-artifact-root ftp://127.0.0.1:2121/artifacts

Everything else, workshop.py and the tests, starts the same two commands from here. Standard library only.
"""

import contextlib
import ftplib
import http.client
import re
import socket
import sqlite3
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from processes import Process, ProcessError, child_environment, process

HOST = "127.0.0.1"
# One worker and no job runner: 0.5 GB of memory instead of 3, and ready in a third of the time.
SMALL = {"MLFLOW_WORKERS": "1", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
# No proxy between this machine and itself.
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class Servers:
    """Where the two servers are, which were found running, and the processes of those that were not."""

    ftp_port: int
    mlflow_port: int
    found: tuple[str, ...]
    started: list[Process]

    @property
    def tracking_uri(self) -> str:
        """Return what MLFLOW_TRACKING_URI has to be."""
        return f"http://{HOST}:{self.mlflow_port}"


def get(url: str, seconds: float = 5) -> str | None:
    """Return the body that a loopback address answers with, or None if nothing listens there or it isn't ready."""
    try:
        with opener.open(url, timeout=seconds) as answer:
            return answer.read().decode()
    except (urllib.error.URLError, http.client.HTTPException, OSError, UnicodeDecodeError):
        return None


def listens(port: int) -> bool:
    """Return whether anything takes connections on a loopback port."""
    try:
        socket.create_connection((HOST, port), timeout=2).close()
    except OSError:
        return False
    return True


def ftp_answers(port: int) -> bool:
    """Return whether the artifact store lets us in; raises ProcessError if it has another login than ours."""
    env = child_environment()
    user = env["MLFLOW_FTP_USERNAME"]
    try:
        with ftplib.FTP(timeout=5) as ftp:
            ftp.connect(HOST, port)
            ftp.login(user, env["MLFLOW_FTP_PASSWORD"])
    except ftplib.error_perm:
        raise ProcessError(
            f"The artifact store on port {port} does not let {user!r} in. Set MLFLOW_FTP_USERNAME and "
            "MLFLOW_FTP_PASSWORD to what it was started with, or choose another port with --ftp-port."
        ) from None
    except (*ftplib.all_errors, UnicodeDecodeError):
        return False
    return True


def mlflow_answers(port: int) -> bool:
    """Return whether an MLflow server answers, and not one that has the same answer for every address."""
    version = get(f"http://{HOST}:{port}/health") == "OK" and get(f"http://{HOST}:{port}/version")
    return bool(version and re.match(r"\d+\.\d+", version))


def taken(port: int, wanted: str, option: str) -> ProcessError:
    """Return the error for a port on which something else answers."""
    return ProcessError(
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
def servers(
    state: Path,
    logs: Path,
    ftp_port: int = 2121,
    mlflow_port: int = 5000,
    watch: Callable[[list[str]], None] = lambda lines: None,
) -> Iterator[Servers]:
    """Have both servers up for as long as the ``with`` block lasts.

    The database ``mlruns.db`` and the store's folder ``ftp_root`` are made in ``state``. A healthy server on its port
    is used and left running. ``watch`` is called again and again while they start. Raises ProcessError if a port is
    taken by something else or a server doesn't come up, and OSError if ``state`` can't be written.
    """
    found = []
    with contextlib.ExitStack() as started:
        if ftp_answers(ftp_port):
            found.append("artifact store")
        elif listens(ftp_port):
            raise taken(ftp_port, "the artifact store", "--ftp-port")
        if mlflow_answers(mlflow_port):
            found.append("MLflow server")
        elif listens(mlflow_port):
            raise taken(mlflow_port, "an MLflow server", "--mlflow-port")
        state.mkdir(parents=True, exist_ok=True)
        port = store_port(state / "mlruns.db")
        if "MLflow server" not in found and port not in (None, ftp_port):
            raise ProcessError(
                f"The artifacts that {state / 'mlruns.db'} knows of are at port {port}, not {ftp_port}. Use "
                f"--ftp-port {port}, or another folder with --state."
            )
        waiting = []
        if "artifact store" not in found:
            command = [sys.executable, Path(__file__).with_name("ftpserver.py"), "--port", ftp_port]
            ftp = started.enter_context(
                process(
                    "The artifact store",
                    [*command, "--root", state / "ftp_root"],
                    logs / "ftpserver.log",
                    env=child_environment(),
                )
            )
            waiting.append((ftp, lambda: ftp_answers(ftp_port), 20))
        if "MLflow server" not in found:
            prepare(state / "mlruns.db")
            # No user and no password: the address is in the database, in every answer, and on every page.
            root = f"ftp://{HOST}:{ftp_port}/artifacts"
            command = [sys.executable, "-m", "mlflow", "server", "--host", HOST]
            command += ["--backend-store-uri", "sqlite:///mlruns.db"]
            mlflow = started.enter_context(
                process(
                    "The MLflow server",
                    [*command, "--default-artifact-root", root, "--port", mlflow_port],
                    logs / "mlflow.log",
                    cwd=state,
                    env=child_environment(**SMALL),
                )
            )
            waiting.append((mlflow, lambda: mlflow_answers(mlflow_port), 120))
        for child, ready, seconds in waiting:
            child.wait_until(ready, seconds, watch)
        yield Servers(ftp_port, mlflow_port, tuple(found), [child for child, _, _ in waiting])
