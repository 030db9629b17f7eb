"""Whole files up and down: under another name until they are complete, resumed where a connection broke."""

import os
import posixpath
import uuid
from typing import BinaryIO

from mlflow.utils.file_utils import ArtifactProgressBar

from mlflow_ftp.connection import BLOCK, Connection
from mlflow_ftp.errors import Lost, Refused, Trouble, refusal
from mlflow_ftp.listing import UNKNOWN_COMMAND, entries


def temporary_name() -> str:
    """Return a name that nobody else uses and that listings leave out."""
    return f".partial-{uuid.uuid4().hex}"


def make_folders(connection: Connection, folders: list[str]) -> dict[str, bool]:
    """Make folders with all above them and return of each whether it was made just now."""
    above = {folder for path in folders for folder in _ancestors(path)}
    ordered = sorted(above, key=lambda folder: folder.count("/"))
    # Most are there already, and the server says no: that is cheaper than to look first.
    replies = connection.ask(*(f"MKD {folder}" for folder in ordered))
    return {folder: reply[0] == "2" for folder, reply in zip(ordered, replies, strict=True)}


def _ancestors(folder: str) -> list[str]:
    parts = folder.strip("/").split("/")
    return ["/" + "/".join(parts[: count + 1]) for count in range(len(parts))] if folder != "/" else []


def size_of(connection: Connection, path: str, reply: str | None = None) -> int | None:
    """Return the size of a file, None if it isn't there or the server knows none; ``reply`` is that to SIZE."""
    reply = reply or connection.ask(f"SIZE {path}")[0]
    if reply.startswith("213") and reply[4:].strip().isdecimal():
        return int(reply[4:])
    if reply.startswith(UNKNOWN_COMMAND):
        folder, name = posixpath.split(path)
        return next((entry.size for entry in entries(connection, folder) or [] if entry.name == name), None)
    return None


class Transfer:
    """One file on its way. Called with a connection it makes an attempt, and goes on where the last one ended."""

    def __init__(self, path: str, file: BinaryIO):
        """Take the path on the server and the open local file."""
        self.path, self.file = path, file
        self.size: int | None = None
        self.done = self.shown = 0
        self.bar = ArtifactProgressBar.chunks(0, "", BLOCK)

    def __enter__(self):
        """Begin; nothing has to be done for it."""
        return self

    def __exit__(self, *error):
        """Take the progress bar away."""
        self.bar.__exit__(*error)

    def reached(self) -> int:
        """Return how many bytes have arrived, as far as is known."""
        return self.done

    def expect(self, size: int | None, verb: str) -> None:
        """Show a progress bar for a file of this size, if it is a large one."""
        self.size = size
        self.bar.__exit__()
        self.bar = ArtifactProgressBar.chunks(size or 0, f"{verb} {self.path}", BLOCK)

    def show(self) -> None:
        """Let the progress bar follow."""
        while self.shown < self.done:
            self.shown += BLOCK
            self.bar.update()


class Upload(Transfer):
    """A local file that goes to the server."""

    def __init__(self, path: str, file: BinaryIO, folder_exists: bool = False):
        """Take the path on the server and the open local file."""
        super().__init__(path, file)
        self.expect(os.fstat(file.fileno()).st_size, "Uploading")
        self.folder, self.folder_exists = posixpath.dirname(path), folder_exists
        self.temporary = posixpath.join(self.folder, temporary_name())
        self.sent: int | None = None  # None as long as there is no temporary file
        self.kept, self.resumes = 0, True

    def reached(self) -> int:
        """Return how many bytes the server had when it was asked: what was sent since may be in no one's hands."""
        return self.kept

    def __call__(self, connection: Connection) -> None:
        """Send what the server doesn't have yet, compare the sizes, and only then give the file its name."""
        if self.sent is not None:
            kept = (size_of(connection, self.temporary) or 0) if self.resumes else 0
            self.done = self.kept = kept if kept <= self.size else 0
        try:
            self._send(connection)
        except Refused as error:
            if self.done:  # from the beginning then
                self.resumes = False
                raise Lost(str(error)) from None
            if self.folder_exists or not error.starts("550", "553"):
                raise
            make_folders(connection, [self.folder])
            self.folder_exists = True
            self._send(connection)
        if self.sent != self.size or os.fstat(self.file.fileno()).st_size != self.size:
            raise Trouble("the local file changed its size while it was read; repeat when it is complete")
        size, ready = connection.ask(f"SIZE {self.temporary}", f"RNFR {self.temporary}")
        arrived = size_of(connection, self.temporary, size)
        if arrived != self.size:
            raise Lost(f"{arrived} of {self.size} bytes arrived")
        if not size.startswith("213"):  # RNTO has to follow RNFR at once
            (ready,) = connection.ask(f"RNFR {self.temporary}")
        if ready[0] != "3":
            raise refusal(ready)
        connection.demand(f"RNTO {self.path}")

    def _send(self, connection: Connection) -> None:
        """Send the file from where the server's part ends; REST and not APPE, so that each byte comes to its place."""
        self.sent = self.done
        connection.send(f"STOR {self.temporary}", self.file, self.done, self.size, self._count)

    def forget(self, connection: Connection) -> None:
        """Take away what a failed upload left on the server."""
        connection.ask(f"DELE {self.temporary}")

    def _count(self, sent: int) -> None:
        self.sent += sent
        self.done = self.sent
        self.show()


class Download(Transfer):
    """A file of the server that comes here."""

    def __init__(self, path: str, file: BinaryIO, listed: int | None = None):
        """Take the path on the server, the local file to be written, and the size if a listing said it just now."""
        super().__init__(path, file)
        self.listed, self.version = listed, None

    def __call__(self, connection: Connection) -> None:
        """Fetch what isn't here yet and compare the sizes."""
        # A small file begins anew after a break, so there is nothing to ask but its bytes.
        passive, small = None, self.listed is not None and self.listed <= BLOCK
        if small:
            self.size, self.listed = self.listed, None
        else:
            *version, passive = connection.ask(f"SIZE {self.path}", f"MDTM {self.path}", connection.passive)
            if version != self.version:  # the first attempt, or another file by now
                self._restart()
                self.version = version
                self.expect(size_of(connection, self.path, version[0]), "Downloading")
            elif self.done == self.size:  # only the last word of the server was lost
                return
        try:
            connection.receive(f"RETR {self.path}", self._take, passive, self.done)
        except Refused as error:
            if not self.done:
                raise
            self._restart()
            raise Lost(str(error)) from None
        if self.size is not None and self.done != self.size:
            arrived = self.done
            if arrived > self.size:
                self._restart()
            raise Lost(f"{arrived} of {self.size} bytes arrived")

    def _take(self, block: memoryview) -> None:
        self.file.write(block)
        self.done += len(block)
        self.show()

    def _restart(self) -> None:
        if self.done:  # to truncate an empty file would make some file systems write it out at once when it is closed
            self.file.seek(0)
            self.file.truncate()
        self.done = 0
