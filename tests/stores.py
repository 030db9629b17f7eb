"""An artifact store as a process of its own, and a client that says exactly what a test wants."""

import contextlib
import ftplib
import io
import os
import re
import secrets
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from unittest import mock
from urllib.parse import urlsplit

import psutil
import pytest

from server import ftpserver

SCRIPT = Path(ftpserver.__file__).with_name("ftpserver.py")
SECONDS = 60  # what nothing here comes near


@dataclass
class Store:
    """An artifact store that runs: where, on which folder, and who may log in."""

    port: int
    root: Path
    process: subprocess.Popen
    log: Path
    password: str
    user: str = "guest"

    @contextlib.contextmanager
    def login(self, client: ftplib.FTP | None = None, host: str = "127.0.0.1") -> Iterator[ftplib.FTP]:
        """Be logged in."""
        with client or ftplib.FTP(timeout=SECONDS) as ftp:
            ftp.connect(host, self.port)
            ftp.login(self.user, self.password)
            if isinstance(ftp, ftplib.FTP_TLS):
                ftp.prot_p()
            ftp.voidcmd("TYPE I")
            try:
                yield ftp
            finally:
                ftp.close()  # a QUIT in the middle of a transfer would wait for its end

    @contextlib.contextmanager
    def stranger(self, host: str = "127.0.0.1") -> Iterator["Stranger"]:
        """Be connected, not logged in."""
        with (
            socket.create_connection((host, self.port), timeout=SECONDS) as connection,
            connection.makefile("rb") as lines,
        ):
            yield Stranger(connection, lines)

    def partial(self) -> list[Path]:
        """Return the files on their way in."""
        return [path for path in self.root.rglob("*") if re.fullmatch(r"\.partial-[0-9a-f]{32}", path.name)]


@dataclass
class FTPServer:
    """An FTP server of any kind: its address, the folder behind that, its port, its ports for data, its process."""

    address: str
    folder: Path
    port: int
    passive: range
    process: subprocess.Popen

    def stop(self) -> None:
        """End the server, whatever it does at the moment."""
        self.process.kill()
        self.process.wait()


class Stranger:
    """Somebody who sends bytes and reads lines."""

    def __init__(self, connection: socket.socket, lines: BinaryIO):
        self.connection, self.lines = connection, lines

    def send(self, text: str | bytes) -> None:
        """Send exactly this."""
        self.connection.sendall(text if isinstance(text, bytes) else text.encode())

    def line(self) -> str:
        """Return the next line; the empty text if the server has ended the connection."""
        try:
            return self.lines.readline().decode().strip()
        except ConnectionError:
            return ""

    def rest(self) -> list[str]:
        """Return all lines until the server ends the connection; fails if it does not."""
        return list(iter(self.line, ""))


def environment(**variables: str) -> dict[str, str]:
    """Return an environment in which nothing but these variables is about a login."""
    return {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_FTP_")} | variables


def started(command: list, log: Path, ready: Callable[[], object], env: dict | None = None) -> subprocess.Popen:
    """Return a server's process when it is ready."""
    with log.open("ab") as output:
        process = subprocess.Popen(list(map(str, command)), stdout=output, stderr=output, env=env)
    until(lambda: process.poll() is not None or ready())
    assert process.poll() is None, log.read_text()
    return process


def listening(command: list, log: Path, address: str, folder: Path, passive: range) -> FTPServer:
    """Start an FTP server and wait until it listens."""
    where = urlsplit(address)

    def listens() -> bool:
        with contextlib.suppress(OSError), socket.create_connection((where.hostname, where.port), timeout=1):
            return True
        return False

    return FTPServer(address, folder, where.port, passive, started(command, log, listens))


@contextlib.contextmanager
def store(
    folder: Path, port: int, *arguments: str, first: str = "", root: Path | None = None, **variables: str
) -> Iterator[Store]:
    """Have a store in a process of its own; its log must hold no password and no traceback.

    ``first`` is Python that runs in that process before, to make a time shorter or longer.
    """
    code = f"from server import ftpserver, logins, transfers; {first}\n"
    root, log = root or folder / "root", folder / "log"
    variables.setdefault("MLFLOW_FTP_PASSWORD", secrets.token_urlsafe(12))
    command = [sys.executable, "-c", f"{code}ftpserver.main()", "--port", port, "--root", root, *arguments]
    process = started(command, log, lambda: b" serving " in log.read_bytes(), environment(**variables))
    up = Store(port, root, process, log, variables["MLFLOW_FTP_PASSWORD"])
    try:
        yield up
    finally:
        process.terminate()
        process.wait(SECONDS)
    assert process.returncode == 0
    text = log.read_text()
    assert "Traceback" not in text, text
    assert up.password not in text


def until(condition: Callable[[], object], seconds: float = SECONDS) -> object:
    """Return the first true answer of ``condition``."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)
    return answer


@contextlib.contextmanager
def answering(answer: bytes, port: int = 0) -> Iterator[int]:
    """Run a server that has one answer to whatever is sent to it, or says nothing; yields its port."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            while answer and self.request.recv(10_000):
                self.request.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(answer), answer))
            ended.wait()

    ended = threading.Event()
    with socketserver.ThreadingTCPServer(("127.0.0.1", port), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        try:
            yield server.server_address[1]
        finally:
            ended.set()
            server.shutdown()


def command_lines(process: subprocess.Popen) -> str:
    """Return the commands of a process and of all that it started, which every user of the machine can read."""
    leader = psutil.Process(process.pid)
    return "\n".join(" ".join(each.cmdline()) for each in (leader, *leader.children(recursive=True)))


def refused(*arguments: str, **variables: str) -> str:
    """Return the one line with which the program refuses to start, typed without the seconds of another process."""
    said = io.StringIO()
    with (
        mock.patch.dict(os.environ, environment(**variables), clear=True),
        mock.patch.multiple(sys, argv=["ftpserver.py", *arguments], stderr=said),
        mock.patch.object(os, "umask"),
        mock.patch.object(ftpserver.Server, "run", side_effect=AssertionError("it serves")),
        pytest.raises(SystemExit) as end,
    ):
        ftpserver.main()
    return said.getvalue().splitlines()[-1] if end.value.code == 2 else end.value.code
