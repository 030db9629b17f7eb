"""What the environment says: how long to wait, and who logs in with which password."""

import math
import netrc
import os
from dataclasses import dataclass, field
from pathlib import Path

from mlflow.exceptions import MlflowException

DEFAULT_TIMEOUT = 20.0  # seconds


@dataclass(frozen=True)
class Login:
    """Who logs in. ``source`` says where user and password were found, for people."""

    user: str
    password: str = field(repr=False)
    source: str = field(compare=False)


def timeout() -> float:
    """Return the seconds of MLFLOW_FTP_TIMEOUT, which is read again at every use."""
    text = os.environ.get("MLFLOW_FTP_TIMEOUT", "").strip()
    if not text:
        return DEFAULT_TIMEOUT
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= 86400:
        raise MlflowException.invalid_parameter_value(
            f"MLFLOW_FTP_TIMEOUT has to be a number of seconds above 0 and up to a day, found {text!r}. "
            "Set it to 20, for instance, or unset it."
        )
    return seconds


def find_login(host: str, user: str | None, password: str | None) -> Login:
    """Return user and password: from the address, else from the environment, else from netrc, else anonymous.

    What the address says about the user holds: a password of another user is not taken.
    """
    if user and password is not None:
        return Login(user, password, "the address")
    named, known = os.environ.get("MLFLOW_FTP_USERNAME") or None, os.environ.get("MLFLOW_FTP_PASSWORD")
    if known is not None and not (user or named):
        raise MlflowException.invalid_parameter_value(
            "MLFLOW_FTP_PASSWORD is set, but no user is named. Set MLFLOW_FTP_USERNAME too."
        )
    if known is not None and user in (None, named or user):
        return Login(user or named, known, "MLFLOW_FTP_USERNAME and MLFLOW_FTP_PASSWORD")
    user = user or named
    # Path.home() raises where the user has no home.
    file = Path(os.environ.get("NETRC") or os.path.expanduser("~/.netrc"))  # noqa: PTH111
    if found := _ask_netrc(file, host, user):
        return Login(*found, f"the netrc file {file}")
    if user:
        return Login(user, "", "nowhere, so an empty one was sent")
    return Login("anonymous", "anonymous@", "nowhere, so the user is anonymous")


def _ask_netrc(file: Path, host: str, user: str | None) -> tuple[str, str] | None:
    """Return user and password of a netrc file for a host, None if it has none for it or for that user."""
    told = bool(os.environ.get("NETRC"))
    if not (told or file.exists()):
        return None
    try:
        # Without an argument, Python also refuses a file of ~ that others can read.
        entry = netrc.netrc(file if told else None).authenticators(host)
    except netrc.NetrcParseError as error:  # its text may quote the password
        reason = f"line {error.lineno} is wrong" if error.lineno else "it is another user's, or others can read it"
    except UnicodeDecodeError:
        reason = "it is not text"
    except OSError as error:
        reason = error.strerror
    else:
        login, _, password = entry or ("", "", "")
        return (login, password or "") if login and user in (None, login) else None
    raise MlflowException.invalid_parameter_value(
        f"Cannot take the password for {host} from the netrc file {file}: {reason}. Mend the file, or set "
        "MLFLOW_FTP_USERNAME and MLFLOW_FTP_PASSWORD."
    )
