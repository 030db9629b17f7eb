"""What can go wrong with an FTP server, and the sentence for it. What the server refuses is an error of ``ftplib``."""

import errno
import ftplib
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
UNREACHABLE = ("EHOSTUNREACH", "ENETUNREACH", "ENETDOWN", "ENETRESET", "EHOSTDOWN", "ENOTCONN")
BUSY = ("421", "425")  # replies of a server that has no connection free
LEAVING = (*BUSY, "426")  # and of one that closes a connection


class Trouble(Exception):
    """Nothing can be done but tell a person: the text says what is wrong and what to do."""

    def __init__(self, sentence: str, code: int = INTERNAL_ERROR):
        """Take the sentence and MLflow's number for errors of its kind."""
        super().__init__(sentence)
        self.code = code


def is_refusal(error: BaseException, *codes: str) -> bool:
    """Return whether the server said no, with one of these codes if any are given, and is ready for a next command."""
    said_no = isinstance(error, ftplib.error_temp | ftplib.error_perm) and not is_loss(error)
    return said_no and (not codes or str(error).startswith(codes))


def is_loss(error: BaseException) -> bool:
    """Return whether the connection is gone. A certificate that is not trusted and a time-out are something else."""
    if isinstance(error, ssl.SSLCertVerificationError | TimeoutError):
        return False
    if isinstance(error, ftplib.Error):
        return str(error).startswith(LEAVING)
    return isinstance(error, EOFError | ConnectionError | ssl.SSLError) or (
        isinstance(error, OSError) and errno.errorcode.get(error.errno) in UNREACHABLE
    )


def reason(error: BaseException, server: object) -> str:
    """Return in one line what a server, a socket, TLS or a file says; the server may have repeated the password."""
    if isinstance(error, EOFError):
        return "the connection was closed"
    names = ("verify_message", "reason", "strerror")
    text = next((text for name in names if (text := getattr(error, name, None))), str(error))
    password = server.login.password
    # Nothing in it moves a cursor.
    return re.sub(r"[^ -~\xa0-\U0010ffff]+", " ", text.replace(password, "***") if password else text).strip()[:200]


def explain(error: BaseException, server: object, doing: str, path: str, seconds: float) -> MlflowException:
    """Return the error for people, which says what was being done, to which path, on which server."""
    said, code = reason(error, server), INTERNAL_ERROR
    if isinstance(error, Trouble):
        text, code = str(error), error.code
    elif is_refusal(error, "452", "552"):
        text = f"the disk of the server at {server} is full ({said}); free space there and repeat"
    elif is_refusal(error, "550") and doing == "read":
        text, code = f"the server at {server} has no such file ({said})", RESOURCE_DOES_NOT_EXIST
    elif is_refusal(error):
        may = f"what is there and what the user {server.login.user!r} may do"
        text = f"the server at {server} refuses it ({said}); look at {may}"
        code = PERMISSION_DENIED if is_refusal(error, "5") else INTERNAL_ERROR
    elif isinstance(error, TimeoutError):
        text = f"the server at {server} said nothing for {seconds:g} s; look at its log, or raise MLFLOW_FTP_TIMEOUT"
        code = TEMPORARILY_UNAVAILABLE
    elif isinstance(error, ftplib.Error) and str(error).startswith(BUSY):
        text = f"the server at {server} had no connection free for {seconds:g} s ({said}); try again later"
        code = TEMPORARILY_UNAVAILABLE
    elif is_loss(error):
        text = f"the connection to {server} broke ({said}); look at the server's log and the network"
        code = TEMPORARILY_UNAVAILABLE
    elif isinstance(error, ftplib.Error) and str(error)[:3].isdecimal():
        text = f"the server at {server} gives an answer that makes no sense here ({said}); look at its log"
    elif isinstance(error, ftplib.Error):
        text = f"what answers at {server} is not an FTP server, it says {said!r}; check host and port"
    else:
        text = f"{error.filename or 'a local file'}: {said}"
    return MlflowException(f"Cannot {doing} {path}: {text}", code)
