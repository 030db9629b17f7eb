"""Who may log in: one user, whose password is kept as a scrypt hash, and nobody who guesses.

Each failed login is answered later than the one before it from the same address. After ten within a minute no password
from there is looked at for a minute, not even the right one. Sessions that are logged in go on.
"""

import hashlib
import hmac
import ipaddress
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.exceptions import AuthenticationFailed
from pyftpdlib.handlers import FTPHandler

from forecasting.errors import UserError
from server.certificate import private
from server.uploads import check_carried

KNOWN_PASSWORD = "12345"  # printed in the documentation, so it is accepted on a loopback address only
# List, read, upload, append, make folders, rename and delete; no change of mode (M) or of time (T).
PERMISSIONS = "elradfmw"
LOGIN_SECONDS = 20  # to log in
LONGEST_LINE = 8192  # bytes of a command; a path has up to 4096
TELNET = b"\xff\xf4\xf2"  # what some clients send before ABOR
BEFORE_LOGIN = ("USER", "PASS", "AUTH", "PBSZ", "PROT", "FEAT", "QUIT")
LONGEST_DELAY = 4.0  # seconds
MOST_ADDRESSES = 10_000

logger = logging.getLogger("pyftpdlib")


class Logins(DummyAuthorizer):
    """The one user, and the failed logins of the last seconds.

    ``limit`` failures from one address within so many ``seconds`` lock it out for as long.
    """

    limit, seconds = 10, 60.0
    clock: Callable[[], float] = staticmethod(time.monotonic)

    def __init__(self, user: str, password: str, root: Path):
        """Keep no password, only its hash."""
        super().__init__()
        self.add_user(user, "", str(root), perm=PERMISSIONS)  # the password is checked here, not by the original
        self.user = user
        self.salt, self.key = os.urandom(16), os.urandom(32)
        self.slow, self.quick = self._slow(password), None
        self.failures: dict[str, list[float]] = {}  # address: when; the address that failed last comes last

    def right(self, user: str, password: str) -> bool:
        """Return whether both are right; a wrong user takes as long as a wrong password.

        scrypt takes 50 ms, in which nobody else is served. So once the right password has come, it and every other is
        known by a keyed digest, whose key no one outside this process has.
        """
        quick = hmac.digest(self.key, password.encode(), "sha256")
        if self.quick:
            same = hmac.compare_digest(quick, self.quick)
        else:
            same = hmac.compare_digest(self._slow(password), self.slow)
        right = hmac.compare_digest(user.encode(), self.user.encode()) & same
        if right:
            self.quick = quick
        return right

    def failed(self, address: str) -> float:
        """Count a failed login, and return for how many seconds to delay its answer."""
        address, now = network(address), self.clock()
        times = [when for when in self.failures.pop(address, []) if when > now - self.seconds]
        self.failures[address] = [*times, now]
        while len(self.failures) > MOST_ADDRESSES:
            del self.failures[next(iter(self.failures))]
        if len(times) + 1 == self.limit:
            logger.warning("%s locked out for %g s: %d failed logins", address, self.seconds, self.limit)
        return min(0.25 * 2 ** len(times), LONGEST_DELAY)

    def locked(self, address: str) -> float:
        """Return for how many seconds more an address is locked out."""
        times = self.failures.get(network(address), [])
        return max(0.0, times[-1] + self.seconds - self.clock()) if len(times) >= self.limit else 0.0

    def validate_authentication(self, username: str, password: str, handler: FTPHandler) -> None:
        """Raise AuthenticationFailed if they are wrong: pyftpdlib's way to ask."""
        if not self.right(username, password):
            raise AuthenticationFailed("Login failed.")

    def _slow(self, password: str) -> bytes:
        return hashlib.scrypt(password.encode(), salt=self.salt, n=2**14, r=8, p=1)


def network(address: str) -> str:
    """Return what failures are counted for: an IPv4 address, or the network /64 of IPv6 that one customer has."""
    ip = ipaddress.ip_address(address.split("%")[0])
    if ip.version == 4:
        return str(ip)
    return str(ip.ipv4_mapped or ipaddress.ip_network((ip, 64), strict=False))


def printable(text: str) -> str:
    """Return a text that can't begin a new line of the log or hide one."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


class LoginHandler(FTPHandler):
    """A control connection that takes nothing but a login until there is one, and logs nothing that may be secret."""

    log_cmds_list = ("DELE", "MKD", "RMD", "RNTO", "XMKD", "XRMD")
    leaving = False  # the last word has been said, or will be after a delay

    def on_connect(self) -> None:
        """Begin the time to log in; refuse who is locked out."""
        self.call_later(LOGIN_SECONDS, self.login_overdue)
        if self.authorizer.locked(self.remote_ip):
            self.refuse_locked()

    def login_overdue(self) -> None:
        """End a connection on which nobody has logged in."""
        if not self.authenticated:
            self.handle_timeout()

    def leave(self, answer: str) -> None:
        """Say the last word; whatever came or comes behind is not looked at."""
        self.leaving = True
        self.respond(answer)
        self.close_when_done()

    def refuse_locked(self) -> None:
        """Say for how long no password is looked at."""
        seconds = int(self.authorizer.locked(self.remote_ip)) + 1
        self.leave(f"421 Too many failed logins, try again in {seconds} s.")

    def collect_incoming_data(self, data: bytes) -> None:
        """Collect a command; of one that is too long nothing is kept, and nothing is taken for the next one."""
        self._in_buffer_len += len(data)
        if self._in_buffer_len <= LONGEST_LINE:
            self._in_buffer.append(data)
        elif not self.authenticated and not self.leaving:
            self.leave("530 Log in first.")

    def found_terminator(self) -> None:
        """Take a whole command, if it can be read."""
        line, length = b"".join(self._in_buffer).lstrip(TELNET), self._in_buffer_len
        self._in_buffer, self._in_buffer_len = [], 0
        if self.leaving or self._closed:  # asynchat goes on with what it has read after a connection is closed
            return
        if length > LONGEST_LINE:
            self.respond("500 Command too long.")
            return
        try:
            line.decode()
        except UnicodeDecodeError:
            answer = self.respond if self.authenticated else self.leave
            answer("501 Commands have to be in UTF-8.")
            return
        self._in_buffer = [line]
        super().found_terminator()

    def pre_process_command(self, line: str, cmd: str, arg: str) -> None:
        """Cut off who sends anything but a login, such as a web page that makes a browser send an HTTP request."""
        if self.authenticated or cmd in BEFORE_LOGIN:
            super().pre_process_command(line, cmd, arg)
        else:
            self.leave("530 Log in first.")

    def ftp_USER(self, line: str) -> None:
        """Take the name of a user, once."""
        if self.authenticated:
            self.respond("503 Already logged in.")
        else:
            super().ftp_USER(line)

    def ftp_PASS(self, line: str) -> None:
        """Check a password, unless there have been too many wrong ones."""
        if self.authorizer.locked(self.remote_ip) and not self.authenticated:
            self.refuse_locked()
        else:
            super().ftp_PASS(line)

    def handle_auth_success(self, home: str, password: str, msg_login: str) -> None:
        """Let them in, and don't keep the password."""
        super().handle_auth_success(home, "", msg_login)

    def handle_auth_failed(self, msg: str, password: str) -> None:
        """Count it at once and answer later, so that many guesses at a time are as slow as one after the other."""
        self.leaving = True
        logger.warning("%s:%s login failed", self.remote_ip, self.remote_port)
        self.call_later(self.authorizer.failed(self.remote_ip), self.leave, f"530 {msg}")

    def on_login(self, username: str) -> None:
        """Log it."""
        self.log("logged in")

    def log(self, msg: str, logfun: Callable = logger.info) -> None:
        """Log what a user does; strangers could fill the disk, or type a password into the wrong field."""
        if self.authenticated:
            logfun("%s:%s %s %s", self.remote_ip, self.remote_port, self.username, printable(msg))

    def log_exception(self, instance: object) -> None:
        """Log a mistake of ours without what the client sent."""
        logger.exception("%s:%s unexpected error", self.remote_ip, self.remote_port)


def loopback(host: str) -> bool:
    """Return whether nobody but this machine can connect to an address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def choose_password(file: Path | None, host: str) -> str:
    """Return the password of the file, of MLFLOW_FTP_PASSWORD, or the known one; raises UserError if it won't do."""
    variable = os.environ.pop("MLFLOW_FTP_PASSWORD", None)  # no child is to inherit it
    if file:
        if not file.is_file():
            raise UserError(f"there is no file {file}.")
        private(file)
        variable = file.read_text(encoding="utf-8-sig", errors="surrogateescape").rstrip("\r\n")
    check_carried(variable or "", str(file or "MLFLOW_FTP_PASSWORD"))
    if variable == "":
        raise UserError(f"the password in {file or 'MLFLOW_FTP_PASSWORD'} is empty; choose one.")
    if variable in (None, KNOWN_PASSWORD) and not loopback(host):
        raise UserError(
            f"others can reach {host or 'every address'}, and the password {KNOWN_PASSWORD} is known to everybody; set "
            "one of your own in the environment variable MLFLOW_FTP_PASSWORD or with --password-file."
        )
    return variable or KNOWN_PASSWORD
