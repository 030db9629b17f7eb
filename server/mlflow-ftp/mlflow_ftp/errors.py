"""What can go wrong with an FTP server, and how it is told to people."""

import errno
import re
import ssl

from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import (
    INTERNAL_ERROR,
    PERMISSION_DENIED,
    RESOURCE_DOES_NOT_EXIST,
    TEMPORARILY_UNAVAILABLE,
)

# What the operating system says when a network is gone; a local disk has other numbers.
UNREACHABLE = {
    getattr(errno, name)
    for name in ("EHOSTUNREACH", "ENETUNREACH", "ENETDOWN", "ENETRESET", "EHOSTDOWN")
    if hasattr(errno, name)
}


class Trouble(Exception):
    """Nothing can be done but tell a person: the text says what is wrong and what to do."""

    def __init__(self, sentence: str, code: int = INTERNAL_ERROR):
        """Take the sentence and MLflow's number for errors of its kind."""
        super().__init__(sentence)
        self.code = code


class Lost(Exception):
    """The connection broke: another one may have more luck."""


class Busy(Lost):
    """The server has no connection free for now, or closes one that was idle."""


class Refused(Exception):
    """The server said no, and is ready for the next command. The text is its reply, which begins with a number."""

    def starts(self, *codes: str) -> bool:
        """Return whether the reply's number begins with one of these."""
        return str(self).startswith(codes)


def refusal(reply: str) -> Exception:
    """Return the error for a reply that is not the wanted one."""
    kinds = {"421": Busy, "425": Busy, "426": Lost}
    return kinds.get(reply[:3], Refused)(reply)


def is_loss(error: BaseException) -> bool:
    """Return whether the connection is gone. A certificate that is not trusted and a time-out are something else."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return False
    return isinstance(error, Lost | EOFError | ConnectionError | ssl.SSLError) or (
        isinstance(error, OSError) and error.errno in UNREACHABLE
    )


def reason(error: BaseException) -> str:
    """Return in a few words what an error of a socket, of TLS or of a file says."""
    if isinstance(error, EOFError):
        return "the connection was closed"
    names = ("verify_message", "reason", "strerror")
    return clean(next((text for name in names if (text := getattr(error, name, None))), str(error)))


def clean(text: str) -> str:
    """Return what a server said in one line of bearable length, with nothing in it that moves a cursor."""
    return re.sub(r"[^ -~\xa0-\U0010ffff]+", " ", text).strip()[:200]


def explain(error: BaseException, server: object, doing: str, path: str, seconds: float) -> MlflowException:
    """Return the error for people, which says what was being done, to which path, on which server."""
    text, code = server.quote(str(error)), INTERNAL_ERROR
    if isinstance(error, Trouble):
        text, code = str(error), error.code
    elif isinstance(error, Refused) and error.starts("452", "552"):
        text = f"the disk of the server at {server} is full ({text}); free space there and repeat"
    elif isinstance(error, Refused) and error.starts("550") and doing == "read":
        text, code = f"the server at {server} has no such file ({text})", RESOURCE_DOES_NOT_EXIST
    elif isinstance(error, Refused):
        may = f"what is there and what the user {server.login.user!r} may do"
        text = f"the server at {server} refuses it ({text}); look at {may}"
        code = PERMISSION_DENIED if error.starts("5") else INTERNAL_ERROR
    elif isinstance(error, Busy):
        text = f"the server at {server} had no connection free for {seconds:g} s ({text}); try again later"
        code = TEMPORARILY_UNAVAILABLE
    elif isinstance(error, TimeoutError):
        text = f"the server at {server} said nothing for {seconds:g} s; look at its log, or raise MLFLOW_FTP_TIMEOUT"
        code = TEMPORARILY_UNAVAILABLE
    elif is_loss(error):
        said = server.quote(reason(error))
        text = f"the connection to {server} broke ({said}); look at the server's log and the network"
        code = TEMPORARILY_UNAVAILABLE
    elif isinstance(error, OSError):
        text = f"{error.filename or 'a local file'}: {error.strerror or text}"
    return MlflowException(f"Cannot {doing} {path}: {text}", code)
