"""FTP servers of two kinds, with and without TLS, and a relay that can break what goes through it."""

import contextlib
import os
import random
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from mlflow_ftp import FTPArtifactRepository
from stores import SCRIPT, started

PASSIVE = 24  # ports for data connections


@dataclass
class Store:
    """An FTP server that runs: its address, the folder behind that, its port, its ports for data, its process."""

    address: str
    folder: Path
    port: int
    passive: range
    process: subprocess.Popen

    def stop(self) -> None:
        """End the server, whatever it does at the moment."""
        self.process.kill()
        self.process.wait()


def stop_at_end(stack: contextlib.ExitStack, up: Store) -> Store:
    """Let a server be stopped when the stack ends."""
    stack.callback(up.stop)
    return up


@pytest.fixture(autouse=True)
def quick(monkeypatch) -> None:
    """Let no test wait for long."""
    monkeypatch.setenv("MLFLOW_FTP_TIMEOUT", "8")


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


def listening(command: list, log: Path, address: str, folder: Path, passive: range) -> Store:
    """Start a server and wait until it listens."""
    where = urlsplit(address)

    def listens() -> bool:
        with contextlib.suppress(OSError), socket.create_connection((where.hostname, where.port), timeout=1):
            return True
        return False

    return Store(address, folder, where.port, passive, started(command, log, listens))


@pytest.fixture(scope="session")
def start_store(login, free_ports) -> Callable[..., Store]:
    """Return a function that starts our server on a folder; the one who calls it stops the server."""

    def start(state: Path, *options: str, ports: tuple[int, range] | None = None, host: str = "127.0.0.1") -> Store:
        port, passive = ports or free_ports()
        command = [sys.executable, SCRIPT, "--host", host, "--port", port, "--root", state / "root"]
        command += ["--passive-ports", f"{passive[0]}-{passive[-1]}", *options]
        scheme = "ftps" if "--tls" in options else "ftp"
        address = f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}/artifacts/1"
        return listening(command, state / "log", address, state / "root/artifacts/1", passive)

    return start


@pytest.fixture(scope="module")
def plain_store(start_store, tmp_path_factory) -> Iterator[Store]:
    """Run our server."""
    up = start_store(tmp_path_factory.mktemp("plain_store"))
    yield up
    up.stop()


@pytest.fixture(scope="module")
def tls_store(start_store, tmp_path_factory) -> Iterator[Store]:
    """Run our server with TLS."""
    up = start_store(tmp_path_factory.mktemp("tls"), "--tls")
    yield up
    up.stop()


@pytest.fixture(scope="module")
def certificate(tls_store) -> Path:
    """Return the certificate of our server with TLS."""
    return tls_store.folder.parents[1].with_name("ftp_tls") / "certificate.pem"


@pytest.fixture
def start_bare(tmp_path, free_ports) -> Iterator[Callable[[tuple[str, ...]], Store]]:
    """Return a function that starts a plain pyftpdlib server without some commands."""
    with contextlib.ExitStack() as stack:

        def start(missing: tuple[str, ...]) -> Store:
            root, (port, passive) = tmp_path / "bare", free_ports()
            root.mkdir()
            code = f"""
from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler
from pyftpdlib.servers import FTPServer
FTPHandler.authorizer = DummyAuthorizer()
FTPHandler.authorizer.add_user("ada", "lovelace", {str(root)!r}, perm="elradfmw")
FTPHandler.proto_cmds = {{name: command for name, command in FTPHandler.proto_cmds.items() if name not in {missing}}}
FTPHandler.passive_ports = {passive}
FTPServer(("127.0.0.1", {port}), FTPHandler).serve_forever()
"""
            command, address = [sys.executable, "-c", code], f"ftp://ada:lovelace@127.0.0.1:{port}/a"
            return stop_at_end(stack, listening(command, tmp_path / "log of bare", address, root / "a", passive))

        yield start


@pytest.fixture(scope="module")
def start_vsftpd(tmp_path_factory, free_ports) -> Iterator[Callable[..., Store]]:
    """Return a function that starts Debian's vsftpd, which knows no MLSD; CI has to have it, and to be root."""
    program = shutil.which("vsftpd", path=os.environ["PATH"] + ":/usr/sbin")
    if program is None or os.geteuid() != 0:
        reason = "vsftpd is not installed, or this is not root"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)

    # Two sessions of vsftpd that pick the same port at the same moment fail, so by default there are many to pick from.
    def start(passive: range = range(10_000, 30_001), **settings: str) -> Store:
        state, (port, _) = tmp_path_factory.mktemp("vsftpd"), free_ports()
        folder = state / "root" / "writable"
        folder.mkdir(parents=True)
        (state / "empty").mkdir()
        folder.chmod(0o777)
        settings = {
            "listen": "YES",
            "listen_address": "127.0.0.1",
            "listen_port": port,
            "background": "NO",
            "seccomp_sandbox": "NO",
            "xferlog_enable": "NO",
            "secure_chroot_dir": state / "empty",
            "pasv_min_port": passive[0],
            "pasv_max_port": passive[-1],
            # Anybody, with the rights of a user who has a home; the root itself must not be writable.
            "anonymous_enable": "YES",
            "local_enable": "NO",
            "ftp_username": "daemon",
            "anon_root": state / "root",
            "anon_umask": "022",
            **dict.fromkeys(
                ("write_enable", "anon_upload_enable", "anon_mkdir_write_enable", "anon_other_write_enable"), "YES"
            ),
            **settings,
        }
        config = state / "vsftpd.conf"
        config.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        scheme = "ftps" if "ssl_enable" in settings else "ftp"
        address = f"{scheme}://anonymous:x@127.0.0.1:{port}/writable/artifacts/1"
        return listening([program, config], state / "log", address, folder / "artifacts/1", passive)

    with contextlib.ExitStack() as stack:
        yield lambda **settings: stop_at_end(stack, start(**settings))


@pytest.fixture(scope="module")
def vsftpd(start_vsftpd) -> Store:
    """Run vsftpd."""
    return start_vsftpd()


@pytest.fixture(scope="module")
def vsftpd_of_few_ports(start_vsftpd, free_ports) -> Store:
    """Run vsftpd so that a relay can listen on the same ports."""
    return start_vsftpd(passive=free_ports()[1])


@pytest.fixture(scope="module")
def vsftpd_tls(start_vsftpd, certificate) -> Store:
    """Run vsftpd with TLS, and let it insist on the session of the control channel."""
    settings = ("ssl_enable", "allow_anon_ssl", "force_anon_data_ssl", "force_anon_logins_ssl", "require_ssl_reuse")
    files = {"rsa_cert_file": certificate, "rsa_private_key_file": certificate.with_name("key.pem")}
    return start_vsftpd(**dict.fromkeys(settings, "YES"), **files)


@pytest.fixture(params=["plain_store", "tls_store", "vsftpd", "vsftpd_tls"])
def server(request, monkeypatch) -> Store:
    """Return one server of each kind in turn, with an empty folder."""
    if "tls" in request.param:
        monkeypatch.setenv("MLFLOW_FTP_CA_FILE", str(request.getfixturevalue("certificate")))
    up = request.getfixturevalue(request.param)
    shutil.rmtree(up.folder, ignore_errors=True)
    return up


@pytest.fixture
def repository(server) -> FTPArtifactRepository:
    """Return a repository on each kind of server in turn."""
    return FTPArtifactRepository(server.address)


@dataclass
class Relay:
    """Pass on what goes between clients at 127.0.0.2 and a server at the same ports of 127.0.0.1.

    With ``cuts`` of (direction, bytes), that many bytes of a file go through before all connections are cut, one cut
    after the other. From ``freeze_after``, of the same form, or from a command that begins with ``freeze_at``, nothing
    comes through any more. At a command of ``cut_at`` all is cut, and the server still gets it.
    """

    port: int
    passive: range
    cuts: list[tuple[str, int]] = field(default_factory=list)
    freeze_after: tuple[str, int] | None = None
    freeze_at: str | None = None
    cut_at: list[str] = field(default_factory=list)
    before_cut: Callable[[], None] = lambda: None
    after_cut: Callable[[], None] = lambda: None
    commands: list[str] = field(default_factory=list)
    clients: int = 0

    def __post_init__(self):
        self.frozen, self.ended, self.lock = threading.Event(), threading.Event(), threading.Lock()
        self.open: list[socket.socket] = []
        self.threads: list[threading.Thread] = []
        self.listeners = [socket.create_server(("127.0.0.2", port)) for port in (self.port, *self.passive)]
        for listener in self.listeners:
            listener.settimeout(0.2)
            self.start(self.listen, listener)

    def start(self, target: Callable, *arguments) -> None:
        thread = threading.Thread(target=target, args=arguments)
        with self.lock:
            self.threads.append(thread)
        thread.start()

    def listen(self, listener: socket.socket) -> None:
        port = listener.getsockname()[1]
        while not self.ended.is_set():
            try:
                client, _ = listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", port), timeout=5)
            except OSError:
                client.close()
                continue
            self.clients += port == self.port
            with self.lock:
                self.open += [client, server]
            budget = {"up": None, "down": None}
            if port != self.port:
                budget |= dict([*self.cuts, self.freeze_after or ("", 0)][:1])
            with contextlib.suppress(OSError):  # another thread may have cut it already
                for source, target, direction in ((client, server, "up"), (server, client, "down")):
                    source.settimeout(None)
                    source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    self.start(self.pump, source, target, direction, port == self.port, budget[direction])

    def pump(self, source, target, direction: str, control: bool, budget: int | None) -> None:
        with contextlib.suppress(OSError):
            while block := source.recv(65536):
                if control and direction == "up":
                    lines = block.decode("latin-1").split("\r\n")[:-1]
                    self.commands += lines
                    if self.freeze_at and any(line.startswith(self.freeze_at) for line in lines):
                        self.frozen.set()
                    if self.cut_at and any(line.startswith(self.cut_at[0]) for line in lines):
                        self.cut_at.pop(0)
                        target.sendall(block)
                        time.sleep(0.2)  # the server does it, and its reply is lost
                        self.break_off()
                        return
                if budget is not None:
                    block, budget = block[:budget], budget - len(block)
                if not self.frozen.is_set():
                    target.sendall(block)
                if budget is not None and budget <= 0:
                    if not self.cuts:
                        self.frozen.set()
                    else:
                        self.cuts.pop(0)
                        self.break_off()
                        return
                if self.frozen.is_set():
                    self.ended.wait()
            target.shutdown(socket.SHUT_WR)

    def break_off(self) -> None:
        self.before_cut()
        self.cut()
        self.after_cut()

    def cut(self) -> None:
        """Break all connections, as a network or a server does that goes away."""
        with self.lock:
            for end in self.open:
                with contextlib.suppress(OSError):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    end.shutdown(socket.SHUT_RDWR)
                end.close()
            self.open.clear()

    def close(self) -> None:
        """End everything."""
        self.ended.set()
        for listener in self.listeners:
            listener.close()
        self.cut()
        for thread in self.threads:
            thread.join(10)


@pytest.fixture
def relay() -> Iterator[Callable[..., tuple[Relay, FTPArtifactRepository]]]:
    """Return a function that puts a relay before a server, and a repository that goes through it."""
    if not sys.platform.startswith("linux"):
        pytest.skip("only Linux has 127.0.0.2 without being asked")
    with contextlib.ExitStack() as stack:

        def make(up: Store, **faults) -> tuple[Relay, FTPArtifactRepository]:
            made = Relay(up.port, up.passive, **faults)
            stack.callback(made.close)
            return made, FTPArtifactRepository(up.address.replace("127.0.0.1", "127.0.0.2"))

        yield make
