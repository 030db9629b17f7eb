"""What an ``ftp://`` or ``ftps://`` address says, and which addresses the MLflow server may use."""

import contextlib
import os
import posixpath
import re
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from mlflow.environment_variables import MLFLOW_ALLOWED_HOST_ADDRESSED_ARTIFACT_SCHEMES
from mlflow.exceptions import MlflowException

# What `mlflow server` tells its workers and jobs about its own artifacts; see mlflow.store.artifact.host_policy.
ROOT_OF_SERVER = "_MLFLOW_SERVER_ARTIFACT_ROOT"
DESTINATION_OF_SERVER = "_MLFLOW_SERVER_ARTIFACT_DESTINATION"
# What would end a command, or is not text at all; FTP has no way to write it.
UNCARRIED = re.compile("[\r\n\0\ud800-\udfff]")


@dataclass(frozen=True)
class Address:
    """The parts of an address, decoded. ``path`` is absolute and normal."""

    scheme: str
    host: str
    port: int
    path: str
    public: str
    """The address without user and password."""
    user: str | None = field(repr=False)
    password: str | None = field(repr=False)

    @property
    def target(self) -> tuple[str, str, int]:
        """Return what has to be equal in two addresses of one server."""
        return self.scheme, self.host, self.port


def parse(uri: str) -> Address:
    """Take an address apart; raises MlflowException, without its text, as that may hold a password."""
    # An invalid port, brackets that don't close, escapes that aren't UTF-8: the errors may quote the password.
    with contextlib.suppress(ValueError):
        parts = urlsplit(uri)
        user, password, path = (
            part and unquote(part, errors="strict") for part in (parts.username, parts.password, parts.path)
        )
        port, host = 21 if parts.port is None else parts.port, (parts.hostname or "").lower()
        wrong = (
            parts.scheme not in ("ftp", "ftps")
            or port == 0
            or not re.fullmatch(r"[^\s\\%]+", host)
            or parts.query
            or parts.fragment
            or uri.endswith(("?", "#"))
            # urlsplit leaves line breaks and tabs out without a word, so the address itself is asked too.
            or re.search(r"[\x00-\x1f]", uri)
            or any(UNCARRIED.search(part or "") for part in (user, password, path))
            or ".." in path.split("/")
        )
        if not wrong:
            public = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
            # normpath keeps two leading slashes, which mean something else to POSIX.
            path = posixpath.normpath("/" + path.lstrip("/"))
            return Address(parts.scheme, host, port, path, public, user, password)
    raise MlflowException.invalid_parameter_value(
        "The address of the artifacts can't be used. Expected ftp://HOST:PORT/PATH or ftps://HOST:PORT/PATH, with "
        "special characters of user, password and path, ? and # too, written as %20 and the like, and no '..' in the "
        "path."
    )


def below(root: str, path: str | None) -> str:
    """Return the absolute path on the server of an artifact; raises MlflowException for one that leaves the root."""
    path = path or ""
    if UNCARRIED.search(path):
        raise MlflowException.invalid_parameter_value(
            f"The name {path!a} holds a line break, a NUL or what is not UTF-8, which FTP can't carry. Rename it."
        )
    if path.startswith("/") or ".." in path.split("/"):
        raise MlflowException.invalid_parameter_value(
            f"Invalid artifact path: {path!r}. Expected a path below the root of the artifacts, without '..'."
        )
    return posixpath.normpath(posixpath.join(root, path))


def check_allowed(address: Address) -> None:
    """Raise MlflowException inside an MLflow server if the address names another server than that of its own artifacts.

    Clients name artifact locations to the server; it shall not connect wherever they say. MLflow itself checks ``ftp``
    but doesn't know ``ftps``. Scheme, host and port have to match, so that TLS can't be left out either.
    """
    if ROOT_OF_SERVER not in os.environ:
        return
    if address.scheme in {scheme.lower() for scheme in MLFLOW_ALLOWED_HOST_ADDRESSED_ARTIFACT_SCHEMES.get()}:
        return
    own = [os.environ.get(name, "") for name in (ROOT_OF_SERVER, DESTINATION_OF_SERVER)]
    if address.target in [parse(uri).target for uri in own if uri.lower().startswith(("ftp://", "ftps://"))]:
        return
    raise MlflowException.invalid_parameter_value(
        f"The MLflow server does not connect to {address.public}: scheme, host and port are not those of its own "
        "artifacts. Start it with that address as --default-artifact-root, or allow the scheme with "
        f"{MLFLOW_ALLOWED_HOST_ADDRESSED_ARTIFACT_SCHEMES.name}={address.scheme}."
    )
