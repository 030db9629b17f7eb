"""How data come and go: an upload is kept only when its end is known to be the end of the file."""

import contextlib
import errno
import logging
import os
import socket
import time

from OpenSSL import SSL
from pyftpdlib.exceptions import _RetryError
from pyftpdlib.handlers import DTPHandler, FTPHandler, TLS_DTPHandler
from pyftpdlib.handlers.ftp.dispatchers import PassiveDTP

from server.uploads import FULL, UNNAMEABLE, WholeFiles

# When a client is killed, its connections end one after the other, mostly the data connection first: 0.02 ms apart, on
# a busy machine 1.5 ms. Files of up to ATOMIC bytes need not wait for that: all clients send as much in one piece.
GRACE = 0.02  # seconds
ATOMIC = 4096
LOST = "426 Connection lost; nothing was stored."

logger = logging.getLogger("pyftpdlib")


class PassivePort(PassiveDTP):
    """A passive port of the fixed range; the original takes any other when the range is used up."""

    ranged = False

    def bind(self, addr: tuple) -> None:
        """Refuse a port outside the range; with port 0 the original at first only finds out the address family."""
        if addr[1] == 0 and self.ranged:
            self.close()
            raise OSError(errno.EADDRINUSE, "no passive port is free")
        self.ranged = self.ranged or addr[1] != 0
        super().bind(addr)

    def handle_timeout(self) -> None:
        """Forget the transfer that was to begin."""
        super().handle_timeout()
        if self.cmd_channel.connected:
            self.cmd_channel.drop_waiting()


class Channel(DTPHandler):
    """A data connection."""

    timeout = 120  # seconds without a byte
    ac_in_buffer_size = ac_out_buffer_size = 1 << 20
    ended = False

    def __init__(self, sock: socket.socket, cmd_channel: FTPHandler):
        """Take over the connection; without TCP_NODELAY the small records of TLS wait for each other."""
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().__init__(sock, cmd_channel)

    def recv(self, buffer_size: int) -> bytes:
        """Tell the client's end of the data from a lost connection; the original takes both for the end."""
        try:
            data = self.socket.recv(buffer_size)
        except BlockingIOError as error:
            raise _RetryError from error
        except OSError:
            self.handle_close()
            return b""
        if not data:
            self.ended = True
            self.handle_close()
        return data

    def complete(self) -> bool:
        """Return whether the client has ended the data in order."""
        return self.ended

    def doubtful(self) -> bool:
        """Return whether the death of the client would look the same so far; a partial file it has to rename itself."""
        return self.file_obj.final is not None and not 0 < self.tot_bytes_received <= ATOMIC

    def handle_close(self) -> None:
        """Sync an upload, and keep it as soon as the client is known to be alive."""
        if not self.receive or self._closed:
            super().handle_close()
        elif not self.complete():
            self.fail(LOST)
        else:
            start = time.monotonic()
            try:
                self.file_obj.sync()
            except OSError as error:
                self.fail_with(error)
                return
            wait = start + GRACE - time.monotonic() if self.doubtful() else 0
            if wait > 0:
                self.del_channel()
                self.call_later(wait, self.keep)  # if the control connection ends before, it closes this one too
            else:
                self.keep()

    def keep(self) -> None:
        """Give a whole file its name, if there is still somebody who waits for it."""
        if self.cmd_channel.lost():
            self.fail(LOST)
            return
        try:
            self.file_obj.keep()
        except OSError as error:
            self.fail_with(error)
        else:
            super().handle_close()

    def fail_with(self, error: OSError) -> None:
        """Say why the file could not be stored."""
        self.fail(f"{452 if error.errno in FULL else 451} {os.strerror(error.errno)}; nothing was stored.")

    def fail(self, answer: str) -> None:
        """End a transfer that failed."""
        self._resp = (answer, logger.warning)
        self.close()

    def close(self) -> None:
        """Close; whatever was not kept by now is given up."""
        if self.receive and self.file_obj:
            self.transfer_finished = self.file_obj.kept
        super().close()


class TLSChannel(TLS_DTPHandler, Channel):
    """A data connection over TLS, where a client says itself that it has sent everything.

    A stream that ends without that word (close_notify) was cut off, by a killed client or by an attacker, and does not
    count. Python's ftplib, curl, lftp and FileZilla send it, as RFC 4217 asks. So here is nothing to wait for.
    """

    def complete(self) -> bool:
        """Return whether the client has said that this was all."""
        return isinstance(self.socket, SSL.Connection) and bool(self.socket.get_shutdown() & SSL.RECEIVED_SHUTDOWN)

    def doubtful(self) -> bool:
        """Return that there is no doubt."""
        return False

    def modify_ioloop_events(self, events: int, logdebug: bool = False) -> None:
        """Wait for the client while TLS begins; the original tries all the time to write, or ends an empty listing."""
        waits = self._ssl_accepting and not self._ssl_want_write
        super().modify_ioloop_events(self.ioloop.READ if waits else events, logdebug)

    def send(self, data: bytes) -> int:
        """Send nothing before TLS has begun."""
        return 0 if self._ssl_accepting else super().send(data)

    def handle_ssl_established(self) -> None:
        """Go on with what has waited for TLS."""
        self.modify_ioloop_events(self._wanted_io_events)

    def handle_error(self) -> None:
        """Answer like the original without TLS; the one with TLS leaves the client waiting."""
        self._error = True  # so that the connection is closed without another word over TLS
        DTPHandler.handle_error(self)


class TransferHandler(FTPHandler):
    """What a control connection has to do with transfers."""

    abstracted_fs = WholeFiles
    passive_dtp = PassivePort
    dtp_handler = Channel
    transfers = ("STOR", "APPE", "RETR", "LIST", "NLST", "MLSD")

    def lost(self) -> bool:
        """Return whether the client has ended this connection, though pyftpdlib may not have read that yet."""
        if isinstance(self.socket, SSL.Connection):  # what a killed client has sent is not complete, see TLSChannel
            return False
        try:
            return self.socket.recv(1, socket.MSG_PEEK) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    def pre_process_command(self, line: str, cmd: str, arg: str) -> None:
        """Refuse names that would break a listing, and a second transfer, which would go on in the first one's file."""
        busy = self._in_dtp_queue or self._out_dtp_queue or (self.data_channel and self.data_channel._initialized)
        if UNNAMEABLE.search(arg):
            self.respond("501 Line breaks and NUL can't be part of a name.")
        elif cmd in self.transfers and busy:
            self.respond("450 Another transfer is under way.")
        else:
            super().pre_process_command(line, cmd, arg)
            if not self._closed and not self.data_channel and not self._dtp_acceptor and self.drop_waiting():
                self.respond("425 Send PASV or EPSV first.")

    def ftp_ABOR(self, line: str) -> None:
        """Abort the transfer, also one that waits for its connection."""
        self.drop_waiting()
        super().ftp_ABOR(line)

    def drop_waiting(self) -> bool:
        """Close the file of a transfer whose connection has not come; return whether there was one."""
        waiting = bool(self._in_dtp_queue or self._out_dtp_queue)
        for queue, place in ((self._in_dtp_queue, 0), (self._out_dtp_queue, 2)):
            if queue and queue[place]:
                queue[place].close()
        self._in_dtp_queue = self._out_dtp_queue = None
        return waiting

    def _make_epasv(self, extmode: bool = False) -> None:
        self.drop_waiting()
        try:
            super()._make_epasv(extmode)
        except OSError as error:
            self.respond(f"425 {os.strerror(error.errno)}; try again later.")
