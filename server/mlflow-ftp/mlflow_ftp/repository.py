"""MLflow's artifacts on an FTP server."""

import contextlib
import math
import os
import posixpath
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from mlflow.entities import FileInfo
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST
from mlflow.store.artifact.artifact_repo import ArtifactRepository
from mlflow.utils.file_utils import create_tmp_dir, relative_path_to_artifact_path

from mlflow_ftp import pool
from mlflow_ftp.address import below, check_allowed, parse
from mlflow_ftp.connection import Connection, Server
from mlflow_ftp.deletion import delete
from mlflow_ftp.errors import refusal
from mlflow_ftp.listing import NOT_A_FOLDER, PARTIAL, Entry, entries
from mlflow_ftp.parallel import each
from mlflow_ftp.settings import find_login, timeout
from mlflow_ftp.transfer import Download, Upload, make_folders, size_of, temporary_name

Result = TypeVar("Result")

CLEAN_UP = 2.0  # seconds that a failed upload spends at most on taking its temporary file away


class FTPArtifactRepository(ArtifactRepository):
    """Artifacts below an ``ftp://`` or ``ftps://`` address. May be used by several threads at once.

    User and password come from the address, from MLFLOW_FTP_USERNAME and MLFLOW_FTP_PASSWORD, or from netrc.
    """

    def __init__(self, artifact_uri: str, tracking_uri: str | None = None, registry_uri: str | None = None):
        """Take the address apart; nothing is connected yet. Raises MlflowException if the address is none."""
        self._address = parse(artifact_uri)
        check_allowed(self._address)
        # What MLflow shows of an address has no password in it.
        super().__init__(self._address.public, tracking_uri, registry_uri)

    def log_artifact(self, local_file: str | Path, artifact_path: str | None = None) -> None:
        """Upload a file into the folder ``artifact_path``."""
        local = Path(local_file)
        self._upload(local, self._place(artifact_path, local.name))

    def log_artifacts(self, local_dir: str | Path, artifact_path: str | None = None) -> None:
        """Upload all that is below a local folder into the folder ``artifact_path``, empty folders too.

        As MLflow's other repositories do, it follows links to files and leaves out links to folders.
        """
        folders, files = {}, []
        for here, _, names in os.walk(local_dir, onerror=_fail):
            relative = relative_path_to_artifact_path(os.path.relpath(here, local_dir))
            folders[self._place(artifact_path, relative)] = names
            found = [(Path(here, name), self._place(artifact_path, relative, name)) for name in names]
            files += [(local, path) for local, path in found if local.is_file()]
        self._run("write", self._address.path, lambda connection: _make_all(connection, folders))
        each(lambda file: self._upload(*file, folder_exists=True), files, "Uploading artifacts")

    def list_artifacts(self, path: str | None = None) -> list[FileInfo]:
        """Return what is in a folder, sorted; nothing for a file or for what isn't there."""
        folder = below(self._address.path, path)
        prefix = "" if folder == self._address.path else posixpath.relpath(folder, self._address.path)
        found = self._run("list", folder, lambda connection: _visible(connection, folder))
        return [
            FileInfo(posixpath.join(prefix, entry.name), entry.kind == "dir", entry.size)
            for entry in sorted(found, key=lambda entry: entry.name)
        ]

    def download_artifacts(self, artifact_path: str | None, dst_path: str | Path | None = None) -> str:
        """Download a file or a folder into an existing local folder, or into a new one, and return where it is.

        MLflow's own method lists folders twice, and goes on after a server fell silent, waiting for it at each file.
        """
        target = _target(dst_path)
        path = (artifact_path or "").rstrip("/")
        whole = not path or self._is_directory(path)
        found = list(self._iter_artifacts_recursive(path)) if whole else [FileInfo(path, False, None)]
        files = []
        for info in found:
            # MLflow's method refuses what would lie outside of the target, and makes the folders above.
            inside = posixpath.join(info.path, "inside") if info.is_dir else info.path
            local = self._create_download_destination(inside, target)
            if not info.is_dir:
                files.append((info.path, local, info.file_size))
        each(lambda file: self._download_file(*file), files, "Downloading artifacts")
        return self._create_download_destination(path, target) if path else target

    def delete_artifacts(self, artifact_path: str | None = None) -> None:
        """Delete a file, a folder with all that is in it, or everything; what isn't there is no error."""
        path = below(self._address.path, artifact_path)
        self._run("delete", path, lambda connection: delete(connection, path))

    def _is_directory(self, artifact_path: str | None) -> bool:
        folder = below(self._address.path, artifact_path)
        return self._run("list", folder, lambda connection: _is_folder(connection, folder))

    def _download_file(self, remote_file_path: str, local_path: str | Path, listed: int | None = None) -> None:
        """Download a file; the local one appears, or changes, only when it is complete."""
        path, local = below(self._address.path, remote_file_path), Path(local_path)
        temporary = local.with_name(temporary_name())
        try:
            with temporary.open("xb") as file, Download(path, file, listed) as download:
                self._run("read", path, download, download.reached)
            temporary.replace(local)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

    def _upload(self, local: Path, path: str, folder_exists: bool = False) -> None:
        with local.open("rb") as file, Upload(path, file, folder_exists) as upload:
            try:
                self._run("write", path, upload, upload.reached)
            except BaseException as error:
                silent = getattr(error, "error_code", None) == "TEMPORARILY_UNAVAILABLE"
                if upload.sent is not None and not silent:
                    with contextlib.suppress(MlflowException):
                        self._run("delete", path, upload.forget, most=CLEAN_UP)
                raise

    def _place(self, artifact_path: str | None, *names: str) -> str:
        return below(self._address.path, posixpath.join(artifact_path or "", *names))

    def _run(
        self,
        doing: str,
        path: str,
        deed: Callable[[Connection], Result],
        reached: Callable[[], int] = lambda: 0,
        most: float = math.inf,
    ) -> Result:
        """Do something with this thread's connection; password and time-out are looked up again each time."""
        address = self._address
        login = find_login(address.host, address.user, address.password)
        authorities = os.environ.get("MLFLOW_FTP_CA_FILE") or None
        server = Server(address.host, address.port, address.scheme == "ftps", login, authorities)
        return pool.run(server, doing, path, deed, min(timeout(), most), reached)


def _target(folder: str | Path | None) -> str:
    """Return the absolute path of the folder for a download."""
    if not folder:
        return create_tmp_dir()
    target = Path(folder).absolute()
    if not target.exists():
        raise MlflowException(f"The folder {target} for the download is not there. Make it.", RESOURCE_DOES_NOT_EXIST)
    if not target.is_dir():
        raise MlflowException.invalid_parameter_value(f"{target} is no folder to download into. Name another one.")
    return str(target)


def _fail(error: OSError) -> None:
    raise error


def _make_all(connection: Connection, folders: dict[str, list[str]]) -> None:
    made = make_folders(connection, list(folders))
    for folder, names in folders.items():
        # A file's upload says whether its folder is there; for an empty one there is nobody else to say it.
        if not (names or made.get(folder) or _is_folder(connection, folder)):
            connection.demand(f"MKD {folder}")


def _is_folder(connection: Connection, folder: str) -> bool:
    (reply,) = connection.ask(f"CWD {folder}")
    if reply[0] != "2" and not reply.startswith(NOT_A_FOLDER):
        raise refusal(reply)
    return reply[0] == "2"


def _visible(connection: Connection, folder: str) -> list[Entry]:
    """Return files and folders; a link counts as the file that it leads to, and is left out if it leads elsewhere."""
    found = []
    for entry in entries(connection, folder) or []:
        if entry.kind == "link" and (size := size_of(connection, posixpath.join(folder, entry.name))) is not None:
            found.append(Entry(entry.name, "file", size))
        elif entry.kind == "file" and not PARTIAL.fullmatch(entry.name):
            found.append(entry)
        elif entry.kind == "dir":
            found.append(Entry(entry.name, "dir", None))
    return found
