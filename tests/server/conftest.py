"""What the tests of the artifact store and of its client share."""

import contextlib
import random
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from stores import SCRIPT, FTPServer, Store, listening, store

PASSIVE = 24  # ports for data connections


@pytest.fixture(scope="module")
def running(request, tmp_path_factory, free_port) -> Iterator[Store]:
    """Run a store for all tests of a module, with the options that it names."""
    with store(tmp_path_factory.mktemp("store"), free_port(), *getattr(request.module, "OPTIONS", ())) as up:
        yield up


@pytest.fixture(scope="session")
def free_ports() -> Callable[[], tuple[int, range]]:
    """Return a function that names a port and a range of ports on which nothing listens."""

    def find() -> tuple[int, range]:
        while True:
            first = random.randrange(33000, 60000)
            with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
                for port in range(first, first + PASSIVE + 1):
                    stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
                return first, range(first + 1, first + PASSIVE + 1)

    return find


@pytest.fixture(scope="session")
def start_store(login, free_ports) -> Iterator[Callable[..., FTPServer]]:
    """Return a function that starts our server on a folder, until the tests are done."""
    with contextlib.ExitStack() as stack:

        def start(
            state: Path, *options: str, ports: tuple[int, range] | None = None, host: str = "127.0.0.1"
        ) -> FTPServer:
            port, passive = ports or free_ports()
            command = [sys.executable, SCRIPT, "--host", host, "--port", port, "--root", state / "root"]
            command += ["--passive-ports", f"{passive[0]}-{passive[-1]}", *options]
            scheme = "ftps" if "--tls" in options else "ftp"
            address = f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}/artifacts/1"
            up = listening(command, state / "log", address, state / "root/artifacts/1", passive)
            stack.callback(up.stop)
            return up

        yield start
