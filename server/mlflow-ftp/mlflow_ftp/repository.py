"""MLflow's artifacts on an FTP server."""

import contextlib
import ftplib
import math
import os
import posixpath
import threading
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from mlflow.entities import FileInfo
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST
from mlflow.store.artifact.artifact_repo import ArtifactRepository
from mlflow.utils.file_utils import ArtifactProgressBar, create_tmp_dir, relative_path_to_artifact_path

from mlflow_ftp import pool
from mlflow_ftp.address import below, check_allowed, parse
from mlflow_ftp.connection import BLOCK, Connection, Server
from mlflow_ftp.errors import Trouble, explain
from mlflow_ftp.folders import delete, is_folder, make_folders, size_of, visible
from mlflow_ftp.settings import find_login, timeout
from mlflow_ftp.transfer import Download, Upload, temporary_name

WORTH = 16  # files that pay for one log-in more
CLEAN_UP = 2.0  # seconds to wait for the server when what failed is taken away

Item = TypeVar("Item")
Result = TypeVar("Result")


class FTPArtifactRepository(ArtifactRepository):
    """Artifacts below an ``ftp://`` or ``ftps://`` address. May be used by several threads at once.

    User and password come from the address, from MLFLOW_FTP_USERNAME and MLFLOW_FTP_PASSWORD, or from netrc.
    """

    def __init__(self, artifact_uri: str, tracking_uri: str | None = None, registry_uri: str | None = None):
        """Take the address apart; nothing is connected yet. Raises MlflowException if the address is invalid."""
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
            pairs = [(Path(here, name), self._place(artifact_path, relative, name)) for name in names]
            files += [(local, path) for local, path in pairs if local.is_file()]
        self._run("write", self._address.path, lambda connection: _make_all(connection, folders))
        each(lambda file: self._upload(*file, folder_exists=True), files, "Uploading artifacts")

    def list_artifacts(self, path: str | None = None) -> list[FileInfo]:
        """Return what is in a folder, sorted; nothing for a file or for what isn't there."""
        folder = below(self._address.path, path)
        prefix = "" if folder == self._address.path else posixpath.relpath(folder, self._address.path)
        shown = self._run("list", folder, lambda connection: visible(connection, folder))
        return [
            FileInfo(posixpath.join(prefix, name), kind == "dir", None if kind == "dir" else size)
            for name, kind, size in sorted(shown)
        ]

    def download_artifacts(self, artifact_path: str | None, dst_path: str | Path | None = None) -> str:
        """Download a file or a folder into an existing local folder, or into a new one, and return where it is.

        MLflow's own method lists folders twice, and goes on after a server fell silent, waiting for it at each file.
        """
        target = str(Path(dst_path or create_tmp_dir()).absolute())
        if not Path(target).is_dir():
            raise MlflowException(
                f"There is no folder {target} to download into. Name one that exists.", RESOURCE_DOES_NOT_EXIST
            )
        path = (artifact_path or "").rstrip("/")
        remote = below(self._address.path, path)
        whole = not path or self._run("list", remote, lambda connection: is_folder(connection, remote))
        wanted = list(self._iter_artifacts_recursive(path)) if whole else [FileInfo(path, False, None)]
        files = []
        for info in wanted:
            # MLflow's method refuses what would lie outside of the target, and makes the folders above.
            inside = posixpath.join(info.path, "inside") if info.is_dir else info.path
            local = self._create_download_destination(inside, target)
            if not info.is_dir:
                files.append((info.path, local, info.file_size))
        each(lambda file: self._download_file(*file), files, "Downloading artifacts")
        return self._create_download_destination(path, target) if path else target

    def delete_artifacts(self, artifact_path: str | None = None) -> None:
        """Delete a file, a folder with all that is in it, or everything; it is not an error if it doesn't exist."""
        path = below(self._address.path, artifact_path)
        self._run("delete", path, lambda connection: delete(connection, path))

    def _download_file(self, remote_file_path: str, local_path: str | Path, size: int | None = None) -> None:
        """Download a file; the local one appears, or changes, only when it is complete."""
        path, local = below(self._address.path, remote_file_path), Path(local_path)
        if size is None:
            size = self._run("read", path, lambda connection: size_of(connection, path))
        temporary = local.with_name(temporary_name())
        try:
            with temporary.open("xb") as file, _progress("Downloading", path, size) as bar:
                download = Download(path, file, bar.update, size)
                self._run("read", path, download, lambda: download.done)
            temporary.replace(local)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

    def _upload(self, local: Path, path: str, folder_exists: bool = False) -> None:
        size = local.stat().st_size
        with local.open("rb") as file, _progress("Uploading", path, size) as bar:
            upload = Upload(path, file, size, bar.update, folder_exists)
            try:
                self._run("write", path, upload, lambda: upload.kept)
            except BaseException as error:
                if upload.begun and getattr(error, "error_code", None) != "TEMPORARILY_UNAVAILABLE":
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
        """Do something with a connection, whose password and time-out are looked up again; raises MlflowException."""
        address = self._address
        login = find_login(address.host, address.user, address.password)
        authorities = os.environ.get("MLFLOW_FTP_CA_FILE") or None
        server = Server(address.host, address.port, address.scheme == "ftps", login, authorities)
        seconds = min(timeout(), most)
        try:
            return pool.run(server, deed, seconds, reached)
        except (Trouble, ftplib.Error, OSError, EOFError) as error:
            failure = explain(error, server, doing, path, seconds)
        # Out of the except clause: what the failure came from may have seen the password.
        raise failure


def each(task: Callable[[Item], None], items: Collection[Item], title: str) -> None:
    """Do a task for all items, in some threads if there are many; the first error ends it and is raised."""
    failed = threading.Event()

    def unless_failed(item: Item) -> None:
        if failed.is_set():
            return
        try:
            task(item)
        except BaseException:
            failed.set()
            raise

    workers = min(pool.MOST, 1 + len(items) // WORTH)
    with ArtifactProgressBar.files(title, len(items)) as bar, contextlib.ExitStack() as stack:
        stack.callback(pool.close_surplus)
        do = stack.enter_context(ThreadPoolExecutor(workers)).map if workers > 1 else map
        for _ in do(unless_failed, items):  # after Ctrl-C, too, what has not begun is left out
            bar.update()


def _progress(verb: str, path: str, size: int | None) -> ArtifactProgressBar:
    return ArtifactProgressBar.chunks(size or 0, f"{verb} {path}", BLOCK)


def _fail(error: OSError) -> None:
    raise error


def _make_all(connection: Connection, folders: dict[str, list[str]]) -> None:
    made = make_folders(connection, list(folders))
    for folder, names in folders.items():
        # A file's upload says whether its folder is there; for an empty one there is nobody else to say it.
        if not (names or made.get(folder) or is_folder(connection, folder)):
            connection.voidcmd(f"MKD {folder}")
