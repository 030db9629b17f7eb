"""Whole files up and down: under another name until they are complete, resumed where a connection broke."""

import ftplib
import os
import posixpath
import uuid
from collections.abc import Callable
from typing import BinaryIO

from mlflow_ftp.connection import BLOCK, Connection
from mlflow_ftp.errors import Trouble, is_loss, is_refusal
from mlflow_ftp.folders import make_folders, size_in, size_of


def temporary_name() -> str:
    """Return a name that nobody else uses and that listings leave out."""
    return f".partial-{uuid.uuid4().hex}"


class Transfer:
    """One file on its way. Called with a connection it makes an attempt, and goes on where the last one ended."""

    def __init__(self, path: str, file: BinaryIO, update: Callable[[], None]):
        """Take the path on the server, the open local file, and what to call for each block."""
        self.path, self.file, self.update = path, file, update
        self.done = self.shown = 0  # bytes

    def count(self, moved: int) -> None:
        """Count bytes that were sent or received."""
        self.done += moved
        if self.done > self.shown:
            self.shown += BLOCK
            self.update()


class Upload(Transfer):
    """A local file that goes to the server."""

    def __init__(self, path: str, file: BinaryIO, size: int, update: Callable[[], None], folder_exists: bool):
        """Prepare to send ``size`` bytes."""
        super().__init__(path, file, update)
        self.size, self.folder_exists = size, folder_exists
        self.temporary = posixpath.join(posixpath.dirname(path), temporary_name())
        self.begun, self.resumes = False, True
        self.kept = 0  # bytes the server had when it was asked: what was sent since may be in no one's hands

    def __call__(self, connection: Connection) -> None:
        """Send what the server doesn't have yet, compare the sizes, and only then give the file its name."""
        kept = (size_of(connection, self.temporary) or 0) if self.begun and self.resumes else 0
        self.kept = kept if kept <= self.size else 0
        try:
            self._send(connection)
        except ftplib.Error as error:
            if is_loss(error) or self.done > self.kept:
                raise
            if self.kept:  # from the beginning then
                self.resumes = False
                raise ConnectionError(str(error)) from None
            if self.folder_exists or not is_refusal(error, "550", "553"):
                raise
            make_folders(connection, [posixpath.dirname(self.path)])
            self.folder_exists = True
            self._send(connection)
        if self.done != self.size or os.fstat(self.file.fileno()).st_size != self.size:
            raise Trouble("the local file changed its size while it was read; repeat when it is complete")
        arrived = size_of(connection, self.temporary)
        if arrived != self.size:
            raise ConnectionError(f"{arrived} of {self.size} bytes arrived")
        connection.rename(self.temporary, self.path)

    def _send(self, connection: Connection) -> None:
        """Send the file from where the server's part ends; REST and not APPE, so that each byte comes to its place."""
        self.begun, self.done = True, self.kept
        connection.send(f"STOR {self.temporary}", self.file, self.kept, self.size, self.count)

    def forget(self, connection: Connection) -> None:
        """Take away what a failed upload left on the server."""
        connection.ask(f"DELE {self.temporary}")


class Download(Transfer):
    """A file of the server that comes here."""

    version: list[str] | None = None  # size and time of the server's file when the transfer began

    def __init__(self, path: str, file: BinaryIO, update: Callable[[], None], listed: int | None):
        """Take the size too, if a listing said it just now."""
        super().__init__(path, file, update)
        self.listed = listed

    def __call__(self, connection: Connection) -> None:
        """Fetch what isn't here yet and compare the sizes."""
        if self.listed is not None and self.listed <= BLOCK:  # so nothing else has to be asked
            size, self.listed = self.listed, None  # after a break it may be another file
        else:
            version = connection.ask(f"SIZE {self.path}", f"MDTM {self.path}")
            if version != self.version:  # the first attempt, or another file by now
                self._restart()
                self.version = version
            size = size_in(connection, version[0])
        try:
            connection.receive(f"RETR {self.path}", self._take, self.done)
        except ftplib.Error as error:
            if not self.done or is_loss(error):
                raise
            self._restart()
            raise ConnectionError(str(error)) from None
        if size is not None and self.done != size:
            lost = ConnectionError(f"{self.done} of {size} bytes arrived")
            if self.done > size:
                self._restart()
            raise lost

    def _take(self, block: bytes) -> None:
        self.file.write(block)
        self.count(len(block))

    def _restart(self) -> None:
        if self.done:  # to truncate an empty file would make some file systems write it out at once when it is closed
            self.file.seek(0)
            self.file.truncate()
        self.done = 0
