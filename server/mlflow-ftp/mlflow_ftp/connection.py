"""One connection to an FTP server: the login, commands and replies, and the channels on which data come and go."""

import contextlib
import ftplib
import ipaddress
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from mlflow.protos.databricks_pb2 import (
    INTERNAL_ERROR,
    INVALID_PARAMETER_VALUE,
    PERMISSION_DENIED,
    TEMPORARILY_UNAVAILABLE,
)

from mlflow_ftp.errors import Trouble, is_loss, reason
from mlflow_ftp.settings import Login

BLOCK = 1024 * 1024  # bytes read or sent at a time
TLS_BLOCK = 64 * 1024  # bytes sent at a time over TLS: each block has to go out within the time-out
BATCH = 50  # commands sent before their replies are read: few enough for the buffers in between
LAST_WORD = 2.0  # seconds to wait for a server's reason after it closed a data channel


@dataclass(frozen=True)
class Server:
    """Where to log in, and as whom: what has to be equal for a connection to be used again."""

    host: str
    port: int
    tls: bool
    login: Login
    authorities: str | None
    """The PEM file of the certificates to trust; None for those that the system trusts."""

    def __str__(self) -> str:
        """Return host and port as they are written in an address."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Connection(ftplib.FTP_TLS):
    """A connection, with or without TLS. Commands are sent in UTF-8."""

    def __init__(self, server: Server, seconds: float):
        """Prepare a connection; ``seconds`` is how long to wait for anything."""
        context = tls_context(server) if server.tls else None
        super().__init__(context=context, timeout=seconds, encoding="latin-1")  # which takes any byte of a reply
        self.server, self.has_mlsd = server, True
        self.heard = False  # whether a reply came since it was last set

    def wait(self, seconds: float) -> None:
        """Set how long to wait for each answer from now on."""
        self.timeout = max(seconds, 0.001)
        self.sock.settimeout(self.timeout)

    def putline(self, line: str) -> None:
        """Send a command."""
        self.sock.sendall(f"{line}\r\n".encode())

    def getmultiline(self) -> str:
        """Return the next reply; raises ftplib.error_proto if it is not one of FTP."""
        reply = super().getmultiline().encode("latin-1").decode(errors="replace")
        if not reply[:3].isdecimal():
            raise ftplib.error_proto(reply)
        self.heard = not reply.startswith("421")  # which a server says to who was idle for long
        return reply

    def ask(self, *commands: str) -> list[str]:
        """Send commands together, for a round trip costs more than a command, and return their replies."""
        replies = []
        for start in range(0, len(commands), BATCH):
            batch = commands[start : start + BATCH]
            self.putline("\r\n".join(batch))
            replies += [self.getmultiline() for _ in batch]
        for reply in replies:
            if reply.startswith("421"):
                raise ftplib.error_temp(reply)
        return replies

    def makepasv(self) -> tuple[str, int]:
        """Return host and port of a data channel; raises Trouble if the server names none."""
        try:
            host, port = super().makepasv()
        except ValueError:
            host, port = self.host, 0
        if not 0 < port < 65536:
            raise Trouble(f"the server at {self.server} names no port for data; look at its settings for passive mode")
        return host, port

    def ntransfercmd(self, cmd: str, rest: int | None = None) -> tuple[socket.socket, int | None]:
        """Open a data channel, over TLS with the session of the control channel: nobody else can take the data."""
        data, size = ftplib.FTP.ntransfercmd(self, cmd, rest)
        without_delay(data)
        if self.server.tls:
            data = self.context.wrap_socket(data, server_hostname=self.host, session=self.sock.session)
        return data, size

    def receive(self, command: str, take: Callable[[bytes], object], offset: int = 0) -> None:
        """Give all that comes to ``take``, block by block."""
        with self.transfercmd(command, offset or None) as data:
            while block := data.recv(BLOCK):
                take(block)
        self.voidresp()

    def send(self, command: str, file: BinaryIO, start: int, end: int, sent: Callable[[int], None]) -> None:
        """Send the bytes of a file from ``start`` to ``end``; ``sent`` is told how many, block by block."""
        try:
            with self.transfercmd(command, start or None) as data:
                block = TLS_BLOCK if self.server.tls else BLOCK
                for place in range(start, end, block):
                    sent(send_block(data, file, place, min(block, end - place)))
                if self.server.tls:  # say that this is the end; some servers close the channel without an answer
                    with contextlib.suppress(ConnectionError, ssl.SSLError, EOFError):
                        data.unwrap()
        except (OSError, EOFError) as error:
            if is_loss(error):  # the server may have closed the channel, and say why, such as a full disk
                self.wait(min(self.timeout, LAST_WORD))
                with contextlib.suppress(OSError, EOFError):
                    self.getresp()
            raise
        self.voidresp()


def send_block(data: socket.socket, file: BinaryIO, place: int, count: int) -> int:
    """Send some bytes of a file and return how many there were."""
    if not isinstance(data, ssl.SSLSocket):
        return data.sendfile(file, place, count)  # the bytes don't pass through Python
    file.seek(place)  # its own sendfile would read 8 KiB at a time
    block = file.read(count)
    data.sendall(block)
    return len(block)


def log_in(server: Server, seconds: float) -> Connection:
    """Connect and log in within ``seconds``; raises Trouble, or the error for a server that is busy for now."""
    connection, deadline = Connection(server, seconds), time.monotonic() + seconds
    code, complaint = INTERNAL_ERROR, "takes nobody in ({said}); look at its log"
    try:
        welcome = connection.connect(server.host, server.port)
        without_delay(connection.sock)
        connection.wait(deadline - time.monotonic())
        if welcome.startswith("120"):  # ready soon
            connection.voidresp()
        if server.tls:
            complaint = (
                "offers no TLS ({said}); switch it on there, or write ftp:// if everybody on the way may read the "
                "password and the data"
            )
            connection.auth()
        code, complaint = PERMISSION_DENIED, "does not let the user {user!r} in ({said}); {advice}"
        connection.wait(deadline - time.monotonic())
        connection.login(server.login.user, server.login.password, secure=False)
        code, complaint = INTERNAL_ERROR, "can't do what is needed ({said})"
        connection.wait(deadline - time.monotonic())
        if server.tls:
            connection.prot_p()
        connection.voidcmd("TYPE I")
        connection.ask("OPTS UTF8 ON", "OPTS MLST type;size;")  # not all offer them
    except BaseException as error:
        connection.close()
        if is_loss(error) and isinstance(error, ftplib.Error):
            raise
        if isinstance(error, ftplib.error_temp | ftplib.error_perm | ftplib.error_reply):
            said = reason(error, server)
            sentence = complaint.format(said=said, user=server.login.user, advice=advice(server, said))
            raise Trouble(f"the server at {server} {sentence}", code) from None
        if isinstance(error, ssl.SSLError):
            raise tls_trouble(error, server) from None
        if isinstance(error, OSError | EOFError | UnicodeError):
            raise no_answer(error, server, seconds) from None
        raise
    return connection


def advice(server: Server, said: str) -> str:
    """Return what to do about a login that was refused."""
    if not server.tls and any(word in said.upper() for word in ("TLS", "SSL", "ENCRYPT")):
        return "it seems to want TLS, so write ftps:// in the address"
    return (
        "user and password are looked for in the address, in MLFLOW_FTP_USERNAME and MLFLOW_FTP_PASSWORD, and in "
        f"netrc; these came from {server.login.source}"
    )


def tls_trouble(error: ssl.SSLError, server: Server) -> Trouble:
    """Return the error for a certificate that is not trusted, or for TLS that failed."""
    said = reason(error, server)
    if isinstance(error, ssl.SSLCertVerificationError):
        return Trouble(
            f"the certificate of {server} is not trusted ({said}); put it, or that of its authority, into a PEM file "
            "and name that file in MLFLOW_FTP_CA_FILE"
        )
    return Trouble(f"TLS with {server} failed ({said}); it has to know TLS 1.2 or newer")


def no_answer(error: Exception, server: Server, seconds: float) -> Trouble:
    """Return the error for a server that isn't there or says nothing."""
    local = server.host == "localhost"
    with contextlib.suppress(ValueError):
        local = ipaddress.ip_address(server.host).is_loopback
    advice = "start it with: python ftpserver.py" if local else "check the address and the network"
    why = reason(error, server)
    if isinstance(error, TimeoutError):
        advice = "it may be busy, see its log" if local else advice
        why = f"nothing came within {seconds:.3g} s, see MLFLOW_FTP_TIMEOUT"
    return Trouble(f"no FTP server answers at {server}; {advice} ({why})", TEMPORARILY_UNAVAILABLE)


def tls_context(server: Server) -> ssl.SSLContext:
    """Return what to trust; raises Trouble if the file of certificates can't be read."""
    try:
        context = ssl.create_default_context(cafile=server.authorities)
    except OSError as error:
        raise Trouble(
            f"cannot read the certificates in {server.authorities} ({reason(error, server)}); name a PEM file in "
            "MLFLOW_FTP_CA_FILE",
            INVALID_PARAMETER_VALUE,
        ) from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def without_delay(channel: socket.socket) -> None:
    """Let small packets go at once: with TLS they would wait for each other."""
    channel.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
