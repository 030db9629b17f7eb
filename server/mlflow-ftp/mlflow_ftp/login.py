"""From an address to a connection that is ready for use, or to a sentence that says why there is none."""

import contextlib
import ipaddress
import ssl
import time

from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE, PERMISSION_DENIED, TEMPORARILY_UNAVAILABLE

from mlflow_ftp.connection import Connection, Server
from mlflow_ftp.errors import Busy, Trouble, reason


def log_in(server: Server, seconds: float) -> Connection:
    """Connect and log in within ``seconds``; raises Trouble, or Busy if the server may have a place free later."""
    deadline = time.monotonic() + seconds
    connection = None
    try:
        connection = Connection(server, seconds)
        for stage in (_greet, _secure, _name, _set_up):
            connection.wait(deadline - time.monotonic())
            stage(connection)
    except BaseException as error:
        if connection:
            connection.close()
        if isinstance(error, Busy | Trouble) or not isinstance(error, OSError | EOFError | UnicodeError):
            raise
        raise _no_answer(server, seconds, error) from None
    return connection


def _no_answer(server: Server, seconds: float, error: Exception) -> Trouble:
    """Return the error for a server that isn't there or says nothing."""
    local = server.host == "localhost"
    with contextlib.suppress(ValueError):
        local = ipaddress.ip_address(server.host).is_loopback
    advice = "start it with: python ftpserver.py" if local else "check the address and the network"
    why = reason(error)
    if isinstance(error, TimeoutError):
        why = f"nothing came within {seconds:.3g} s, see MLFLOW_FTP_TIMEOUT"
    return Trouble(f"no FTP server answers at {server}; {advice} ({why})", TEMPORARILY_UNAVAILABLE)


def _greet(connection: Connection) -> None:
    server, greeting = connection.server, connection.reply()
    if greeting.startswith("120"):  # ready soon
        greeting = connection.reply()
    if not greeting.startswith("2"):
        raise Trouble(f"the server at {server} takes nobody in ({server.quote(greeting)}); look at its log")


def _secure(connection: Connection) -> None:
    """Change to TLS if the address asks for it, before user and password are sent."""
    server = connection.server
    if not server.tls:
        return
    (reply,) = connection.ask("AUTH TLS")
    if not reply.startswith("2"):
        raise Trouble(
            f"the server at {server} offers no TLS ({server.quote(reply)}); switch it on there, or write ftp:// if "
            "everybody on the way may read the password and the data"
        )
    connection.context = _context(server.authorities)
    try:
        connection.use(connection.context.wrap_socket(connection.sock, server_hostname=server.host))
    except ssl.SSLCertVerificationError as error:
        raise Trouble(
            f"the certificate of {server} is not trusted ({reason(error)}); put it, or that of its authority, into a "
            "PEM file and name that file in MLFLOW_FTP_CA_FILE"
        ) from None
    except ssl.SSLError as error:
        raise Trouble(f"TLS with {server} failed ({reason(error)}); it has to know TLS 1.2 or newer") from None


def _context(authorities: str | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=authorities)
    except (OSError, ssl.SSLError) as error:
        raise Trouble(
            f"cannot read the certificates in {authorities} ({reason(error)}); name a PEM file in MLFLOW_FTP_CA_FILE",
            INVALID_PARAMETER_VALUE,
        ) from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _name(connection: Connection) -> None:
    """Say who we are."""
    server, login = connection.server, connection.server.login
    for command in (f"USER {login.user}", f"PASS {login.password}"):
        (reply,) = connection.ask(command)
        if reply[0] == "2":
            return
        if reply[0] != "3":
            break
    if not server.tls and any(word in reply.upper() for word in ("TLS", "SSL", "ENCRYPT")):
        advice = "it seems to want TLS, so write ftps:// in the address"
    else:
        advice = (
            "user and password are looked for in the address, in MLFLOW_FTP_USERNAME and MLFLOW_FTP_PASSWORD, and in "
            f"netrc; these came from {login.source}"
        )
    said = server.quote(reply)
    raise Trouble(
        f"the server at {server} does not let the user {login.user!r} in ({said}); {advice}", PERMISSION_DENIED
    )


def _set_up(connection: Connection) -> None:
    """Ask for plain bytes, and for TLS on data channels; also for UTF-8 and short listings, which not all offer."""
    server, needed = connection.server, ["TYPE I", *(["PBSZ 0", "PROT P"] if connection.context else [])]
    for reply in connection.ask(*needed, "OPTS UTF8 ON", "OPTS MLST type;size;")[: len(needed)]:
        if reply[0] != "2":
            raise Trouble(f"the server at {server} can't do what is needed ({server.quote(reply)})")
