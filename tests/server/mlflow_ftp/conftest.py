"""FTP servers of two kinds, with and without TLS, and a relay that can break what goes through it."""

import contextlib
import os
import shutil
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from mlflow_ftp import FTPArtifactRepository
from stores import FTPServer, listening


@pytest.fixture(autouse=True)
def quick(monkeypatch) -> None:
    """Let no test wait for long."""
    monkeypatch.setenv("MLFLOW_FTP_TIMEOUT", "8")


@pytest.fixture(scope="session")
def plain_store(start_store, tmp_path_factory) -> FTPServer:
    """Run our server."""
    return start_store(tmp_path_factory.mktemp("plain_store"))


@pytest.fixture(scope="session")
def tls_store(start_store, tmp_path_factory) -> FTPServer:
    """Run our server with TLS."""
    return start_store(tmp_path_factory.mktemp("tls"), "--tls")


@pytest.fixture(scope="session")
def certificate(tls_store) -> Path:
    """Return the certificate of our server with TLS."""
    return tls_store.folder.parents[1].with_name("ftp_tls") / "certificate.pem"


@pytest.fixture
def start_bare(tmp_path, free_ports) -> Iterator[Callable[[tuple[str, ...]], FTPServer]]:
    """Return a function that starts a plain pyftpdlib server without some commands."""
    with contextlib.ExitStack() as stack:

        def start(missing: tuple[str, ...]) -> FTPServer:
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
            up = listening(command, tmp_path / "log of bare", address, root / "a", passive)
            stack.callback(up.stop)
            return up

        yield start


@pytest.fixture(scope="session")
def start_vsftpd(tmp_path_factory, free_ports) -> Iterator[Callable[..., FTPServer]]:
    """Return a function that starts Debian's vsftpd, which knows no MLSD; CI has to have it, and to be root."""
    program = shutil.which("vsftpd", path=os.environ["PATH"] + ":/usr/sbin")
    if program is None or os.geteuid() != 0:
        reason = "vsftpd is not installed, or this is not root"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)

    # Two sessions of vsftpd that pick the same port at the same moment fail, so by default there are many to pick from.
    def start(passive: range = range(10_000, 30_001), **settings: str) -> FTPServer:
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
        up = listening([program, config], state / "log", address, folder / "artifacts/1", passive)
        stack.callback(up.stop)
        return up

    with contextlib.ExitStack() as stack:
        yield start


@pytest.fixture(scope="session")
def vsftpd(start_vsftpd) -> FTPServer:
    """Run vsftpd."""
    return start_vsftpd()


@pytest.fixture(scope="session")
def vsftpd_of_few_ports(start_vsftpd, free_ports) -> FTPServer:
    """Run vsftpd so that a relay can listen on the same ports."""
    return start_vsftpd(passive=free_ports()[1])


@pytest.fixture(scope="session")
def vsftpd_tls(start_vsftpd, certificate) -> FTPServer:
    """Run vsftpd with TLS, and let it insist on the session of the control channel."""
    settings = ("ssl_enable", "allow_anon_ssl", "force_anon_data_ssl", "force_anon_logins_ssl", "require_ssl_reuse")
    files = {"rsa_cert_file": certificate, "rsa_private_key_file": certificate.with_name("key.pem")}
    return start_vsftpd(**dict.fromkeys(settings, "YES"), **files)


@pytest.fixture(params=["plain_store", "tls_store", "vsftpd", "vsftpd_tls"])
def server(request, monkeypatch) -> FTPServer:
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

    The ``faults`` come one after the other: "cut" or "freeze", and at what. That is a command that begins so, or a
    direction and how many bytes of a file go through before. A cut breaks all connections, and the server still gets
    the command. After a freeze nothing comes through any more.
    """

    port: int
    passive: range
    faults: list[tuple[str, str | tuple[str, int]]] = field(default_factory=list)
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
            where = self.faults[0][1] if self.faults else ""
            budget = dict([where]) if port != self.port and isinstance(where, tuple) else {}
            with contextlib.suppress(OSError):  # another thread may have cut it already
                for source, target, direction in ((client, server, "up"), (server, client, "down")):
                    source.settimeout(None)
                    source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    self.start(self.pump, source, target, direction, port == self.port, budget.get(direction))

    def pump(self, source, target, direction: str, control: bool, budget: int | None) -> None:
        with contextlib.suppress(OSError):
            while block := source.recv(65536):
                faulty = False
                if control and direction == "up":
                    lines = block.decode("latin-1").split("\r\n")[:-1]
                    self.commands += lines
                    at = self.faults[0][1] if self.faults else None
                    faulty = isinstance(at, str) and any(line.startswith(at) for line in lines)
                elif budget is not None:
                    block, budget = block[:budget], budget - len(block)
                    faulty = budget <= 0
                fault = self.faults.pop(0)[0] if faulty else ""
                if fault == "freeze":
                    self.frozen.set()
                if self.frozen.is_set():
                    self.ended.wait()
                    return
                target.sendall(block)
                if fault == "cut":
                    if control:
                        time.sleep(0.2)  # the server does it, and its reply is lost
                    self.before_cut()
                    self.cut()
                    self.after_cut()
                    return
            target.shutdown(socket.SHUT_WR)

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

        def make(up: FTPServer, *faults) -> tuple[Relay, FTPArtifactRepository]:
            made = Relay(up.port, up.passive, list(faults))
            stack.callback(made.close)
            return made, FTPArtifactRepository(up.address.replace("127.0.0.1", "127.0.0.2"))

        yield make
