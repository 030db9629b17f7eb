"""What the environment says: how long to wait, and who logs in with which password."""

import contextlib
import netrc
import os
from dataclasses import dataclass, field
from pathlib import Path

from mlflow.exceptions import MlflowException

from mlflow_ftp.address import UNCARRIED

invalid = MlflowException.invalid_parameter_value


@dataclass(frozen=True)
class Login:
    """Who logs in. ``source`` says where user and password were found, for people."""

    user: str
    password: str = field(repr=False)
    source: str = field(compare=False)

    def __post_init__(self):
        """Raise MlflowException for what a command of FTP can't hold."""
        for name, text in (("user", self.user), ("password", self.password)):
            if UNCARRIED.search(text):
                raise invalid(
                    f"The {name} from {self.source} holds a line break (a file with Windows line ends puts one at its "
                    "end), a NUL or a byte that is not UTF-8, which FTP can't carry. Set it again."
                )


def timeout() -> float:
    """Return the seconds of MLFLOW_FTP_TIMEOUT, which is read again at every use."""
    text = os.environ.get("MLFLOW_FTP_TIMEOUT") or "20"
    with contextlib.suppress(ValueError):
        if 0 < float(text) <= 86400:
            return float(text)
    raise invalid(
        f"MLFLOW_FTP_TIMEOUT has to be a number of seconds above 0 and up to a day, found {text!r}. "
        "Set it to 20, for instance, or unset it."
    )


def find_login(host: str, user: str | None, password: str | None) -> Login:
    """Return user and password: from the address, else from the environment, else from netrc, else anonymous.

    What the address says about the user holds: a password of another user is not taken.
    """
    if user and password is not None:
        return Login(user, password, "the address")
    named, known = os.environ.get("MLFLOW_FTP_USERNAME") or None, os.environ.get("MLFLOW_FTP_PASSWORD")
    if known is not None and not (user or named):
        raise invalid("MLFLOW_FTP_PASSWORD is set, but no user is named. Set MLFLOW_FTP_USERNAME too.")
    if known is not None and user in (None, named or user):
        return Login(user or named, known, "MLFLOW_FTP_USERNAME and MLFLOW_FTP_PASSWORD")
    user = user or named
    if login := _ask_netrc(host, user):
        return login
    if user:
        return Login(user, "", "nowhere, so an empty one was sent")
    return Login("anonymous", "anonymous@", "nowhere, so the user is anonymous")


def _ask_netrc(host: str, user: str | None) -> Login | None:
    """Return the login of the netrc file for a host, None if it has none for it or for that user."""
    named = os.environ.get("NETRC")
    file = Path(named or os.path.expanduser("~/.netrc"))  # noqa: PTH111, Path.home() raises where there is no home
    if not (named or file.exists()):
        return None
    try:
        # Without an argument, Python also refuses a file of ~ that others can read.
        entry = netrc.netrc(file if named else None).authenticators(host)
    except OSError as error:
        reason = error.strerror
    except (netrc.NetrcParseError, UnicodeDecodeError):  # their text may quote the password
        reason = "its format is wrong, or others can read it"
    else:
        login, _, password = entry or ("", "", "")
        return Login(login, password or "", f"the netrc file {file}") if login and user in (None, login) else None
    raise invalid(
        f"Cannot take the password for {host} from the netrc file {file}: {reason}. Correct the file, or set "
        "MLFLOW_FTP_USERNAME and MLFLOW_FTP_PASSWORD."
    )
