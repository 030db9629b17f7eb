"""One connection to an FTP server: commands and replies, and the channels on which files and listings come."""

import contextlib
import ftplib
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from mlflow_ftp.errors import Busy, Lost, Trouble, clean, is_loss, reason, refusal
from mlflow_ftp.settings import Login

BLOCK = 1024 * 1024  # bytes read or sent at a time
BATCH = 50  # commands sent before their replies are read: few enough for the buffers in between
LONGEST = 200  # characters of a reply that are kept
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
        """Return host and port as they stand in an address."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def quote(self, reply: str) -> str:
        """Return for people what the server said; it may have repeated the password."""
        return reply.replace(self.login.password, "***") if self.login.password else reply


class Connection(ftplib.FTP):
    """A connection whose methods raise Lost, Refused or Trouble, besides the errors of its sockets."""

    def __init__(self, server: Server, seconds: float):
        """Open the control channel; ``seconds`` is how long to wait for anything."""
        super().__init__(timeout=seconds)
        self.server, self.has_mlsd = server, True
        self.context: ssl.SSLContext | None = None
        self.buffer: memoryview | None = None
        self.heard = False  # whether a reply came since it was last set
        self.use(without_delay(socket.create_connection((server.host, server.port), seconds)))

    def use(self, control: socket.socket) -> None:
        """Talk on this channel from now on."""
        if self.file:
            self.file.close()
        self.sock, self.af = control, control.family
        # Of a reply, its number counts; text in an old encoding is only shown to people.
        self.file = control.makefile("r", encoding="utf-8", errors="replace")

    def wait(self, seconds: float) -> None:
        """Set how long to wait for each answer from now on."""
        self.timeout = max(seconds, 0.001)
        self.sock.settimeout(self.timeout)

    def ask(self, *commands: str) -> list[str]:
        """Send commands in one packet, for a round trip costs more than a command, and return their replies."""
        if any(end in command for command in commands for end in "\r\n\0"):
            raise Trouble("a name holds a line break or a NUL, which FTP can't carry; rename it")
        replies = []
        for start in range(0, len(commands), BATCH):
            batch = commands[start : start + BATCH]
            self.sock.sendall("".join(f"{command}\r\n" for command in batch).encode())
            replies += [self.reply() for _ in batch]
        return replies

    def demand(self, *commands: str) -> None:
        """Send commands which all have to succeed."""
        for reply in self.ask(*commands):
            if reply[0] not in "23":
                raise refusal(reply)

    def reply(self) -> str:
        """Return the next reply in one line; raises Busy if with it the server closes the connection."""
        text = self._line()
        code, more = text[:3], text[3:4] == "-"
        if not (code.isdecimal() and code.isascii() and len(code) == 3):
            said = self.server.quote(text)
            raise Trouble(f"what answers at {self.server} is not an FTP server, it says {said!r}; check host and port")
        while more:
            line = self._line()
            more = line[:4].strip() != code
            text = f"{text} {line}"[:LONGEST]
        if code == "421":
            raise Busy(text)
        self.heard = True
        return text

    def _line(self) -> str:
        try:
            return clean(self.getline())
        except ftplib.Error:
            raise Trouble(f"what answers at {self.server} is not an FTP server, its lines have no end") from None

    @property
    def passive(self) -> str:
        """Return the command that asks for a data channel."""
        return "PASV" if self.af == socket.AF_INET else "EPSV"

    def channel(self, command: str, passive: str | None = None, offset: int = 0) -> socket.socket:
        """Start a transfer at an offset and return its data channel. ``passive`` is the reply if asked already."""
        passive = passive or self.ask(self.passive)[0]
        if passive[0] != "2":
            raise refusal(passive)
        # Only the port counts: a server can't send us to another machine.
        peer = self.sock.getpeername()
        try:
            port = (ftplib.parse227(passive) if passive.startswith("227") else ftplib.parse229(passive, peer))[1]
        except (ftplib.Error, ValueError):
            said = self.server.quote(passive)
            raise Trouble(f"the server at {self.server} names no data channel, it says {said!r}") from None
        data = without_delay(socket.socket(self.af))
        try:
            data.settimeout(self.timeout)
            data.connect((peer[0], port % 65536, *peer[2:]))
            if offset:
                self.demand(f"REST {offset}")
            (reply,) = self.ask(command)
            if reply[0] == "2":  # some servers say one thing more
                reply = self.reply()
            if reply[0] != "1":
                raise refusal(reply)
            if self.context:
                # The session of the control channel, so that nobody else can take the data.
                data = self.context.wrap_socket(data, server_hostname=self.server.host, session=self.sock.session)
        except BaseException:
            data.close()
            raise
        return data

    def finish(self) -> None:
        """Read the reply that ends a transfer."""
        reply = self.reply()
        if reply[0] != "2":
            raise refusal(reply)

    def receive(self, command: str, take: Callable, passive: str | None = None, offset: int = 0) -> None:
        """Give all that comes to ``take``, in blocks that last only for its call."""
        self.buffer = self.buffer or memoryview(bytearray(BLOCK))
        with self.channel(command, passive, offset) as data:
            while count := data.recv_into(self.buffer):
                take(self.buffer[:count])
        self.finish()

    def send(self, command: str, file: BinaryIO, start: int, end: int, sent: Callable[[int], None]) -> None:
        """Send the bytes of a file from ``start`` to ``end``; ``sent`` is told how many, block by block."""
        lost = None
        with self.channel(command, offset=start) as data:
            try:
                for place in range(start, end, BLOCK):
                    sent(send_block(data, file, place, min(BLOCK, end - place)))
                if self.context:
                    close_tls(data)
            except (OSError, EOFError) as error:
                if not is_loss(error):
                    raise
                lost = reason(error)
        if lost:
            self.explain(lost)
        self.finish()

    def explain(self, lost: str) -> None:
        """Raise what the server says about a data channel that it closed, a full disk for instance, or Lost."""
        self.wait(min(self.timeout, LAST_WORD))
        with contextlib.suppress(OSError, EOFError, Lost):
            reply = self.reply()
            if reply[0] in "45":
                raise refusal(reply)
        raise Lost(lost)


def without_delay(channel: socket.socket) -> socket.socket:
    """Let small packets go at once: with TLS they would wait for each other."""
    channel.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return channel


def send_block(data: socket.socket, file: BinaryIO, place: int, count: int) -> int:
    """Send some bytes of a file and return how many there were."""
    if not isinstance(data, ssl.SSLSocket):
        return data.sendfile(file, place, count)  # the bytes don't pass through Python
    file.seek(place)
    block = file.read(count)
    data.sendall(block)
    return len(block)


def close_tls(data: ssl.SSLSocket) -> None:
    """Tell the server that this is the end and not a break; some servers close the channel without an answer."""
    try:
        data.unwrap()
    except (ConnectionError, ssl.SSLError, EOFError):
        return
