"""Whole files: what is uploaded has its name only when it is complete and on disk, never before.

A file on its way in is called ``.partial-`` and 32 hex digits, in the folder of its final name, and is renamed at the
end. A client may upload to such a name itself, which it can resume, and rename the file when its size is right.
"""

import contextlib
import errno
import os
import re
import secrets
import shutil
import stat
import time
from pathlib import Path
from typing import BinaryIO

from pyftpdlib.exceptions import FilesystemError
from pyftpdlib.filesystems import AbstractedFS

from forecasting.errors import UserError

PARTIAL = re.compile(r"\.partial-[0-9a-f]{32}")
UNNAMEABLE = re.compile("[\r\n\0\ud800-\udfff]")  # would break a command or a listing, or is not text
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
SYNC_EVERY = 16 << 20  # bytes: a long upload is synced as it comes, or its end would stall everybody else


def check_carried(text: str, source: str) -> None:
    """Raise UserError for a user's name or a password that a command of FTP can't hold."""
    if UNNAMEABLE.search(text):
        raise UserError(
            f"{source} holds a line break (a file with Windows line ends puts one at its end), a NUL or a byte that is "
            "not UTF-8, which FTP can't carry; set it again."
        )


def is_partial(path: Path) -> bool:
    """Return whether a path is that of a file on its way in."""
    return PARTIAL.fullmatch(path.name) is not None


def sweep(root: Path, seconds: float = 3600) -> int:
    """Remove the partial files that nobody has written to for so long; return how many. Links are not followed."""
    removed = 0
    for folder, _, names in os.walk(root):
        for path in filter(is_partial, (Path(folder, name) for name in names)):
            with contextlib.suppress(OSError):
                info = path.lstat()
                if stat.S_ISREG(info.st_mode) and info.st_mtime < time.time() - seconds:
                    path.unlink()
                    removed += 1
    return removed


class Upload:
    """A file on its way in, written without a buffer: nothing is left that could fail unseen when it is closed."""

    def __init__(self, final: Path, mode: str):
        """Open it in the mode of ``open``; what is appended to, or resumed, is a copy of the final file."""
        self.name = str(final)  # for pyftpdlib's log
        self.final = None if is_partial(final) else final
        self.path = final.with_name(f".partial-{secrets.token_hex(16)}") if self.final else final
        self.file: BinaryIO | None = None
        self.error: OSError | None = None
        self.kept = False
        self.unsynced = 0
        try:
            if self.final and ("+" in mode or ("a" in mode and final.exists())):
                shutil.copyfile(final, self.path)
            self.file = self.path.open(mode, buffering=0)
        except OSError as error:
            self._fail(error)
            if error.errno not in FULL:  # of a full disk the client hears when it has sent its data
                raise

    @property
    def closed(self) -> bool:
        """Return whether there is nothing left to do."""
        return self.file is None

    def seek(self, position: int) -> None:
        """Go on at a position, and drop what lies behind it."""
        if self.file:
            self.file.seek(position)
            self.file.truncate()

    def write(self, data: bytes) -> None:
        """Write all of it. After a failure the rest is dropped, as a client listens only when it has sent all."""
        try:
            view = memoryview(data)
            while view and self.file:
                view = view[self.file.write(view) :]
            self.unsynced += len(data)
            if self.unsynced > SYNC_EVERY and self.file:
                self.sync()
        except OSError as error:
            self._fail(error)

    def sync(self) -> None:
        """Have the content on disk; raises OSError, also that of an earlier write."""
        if self.error:
            raise self.error
        try:
            os.fsync(self.file.fileno())
            self.unsynced = 0
        except OSError as error:
            self._fail(error)
            raise

    def keep(self) -> None:
        """Give the synced file its final name; raises OSError, and then nothing has changed under that name."""
        try:
            self.file.close()
            if self.final:
                self.path.replace(self.final)
            self.file, self.kept = None, True
        except OSError as error:
            self._fail(error)
            raise

    def close(self) -> None:
        """Give up what was not kept; only a partial file of the client's own stays, to be resumed."""
        file, self.file = self.file, None
        with contextlib.suppress(OSError):
            if file:
                file.close()
        if not self.kept and (self.final or self.error):
            self.path.unlink(missing_ok=True)

    def _fail(self, error: OSError) -> None:
        self.error = error
        with contextlib.suppress(OSError):
            self.close()


class WholeFiles(AbstractedFS):
    """The folder that is served: uploads are whole, partial files don't show, links don't lead out."""

    def open(self, filename: str, mode: str) -> BinaryIO | Upload:
        """Open a file to be sent, or an upload; refuse a name that can't be that of a file before any data are sent."""
        path = Path(self.realpath(filename))  # an upload goes through a link, not onto it
        with contextlib.suppress(FileNotFoundError):
            mode_bits = path.stat().st_mode
            if not stat.S_ISREG(mode_bits):
                raise FilesystemError("Is a directory" if stat.S_ISDIR(mode_bits) else "Not a regular file")
        return super().open(filename, mode) if mode == "rb" else Upload(path, mode)

    def listdir(self, path: str) -> list[str]:
        """Return the names in a folder that a client can use."""
        with os.scandir(path) as entries:
            return [
                entry.name
                for entry in entries
                if not PARTIAL.fullmatch(entry.name)
                and not UNNAMEABLE.search(entry.name)
                and not (entry.is_symlink() and not self.validpath(entry.path))
            ]

    def lstat(self, path: str) -> os.stat_result:
        """Show no partial file in the listing of a single file either."""
        if is_partial(Path(path)):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return super().lstat(path)

    def rename(self, src: str, dst: str) -> None:
        """Rename, atomically over a file; never over a folder, of which the system would replace an empty one."""
        if Path(dst).is_dir():
            raise FilesystemError("Is a directory")
        Path(src).replace(dst)

    def rmdir(self, path: str) -> None:
        """Remove a folder in which there is nothing, or nothing but partial files."""
        folder = Path(path)
        try:
            folder.rmdir()
        except OSError:
            if folder.is_symlink() or not all(map(is_partial, folder.iterdir())):
                raise
            for partial in folder.iterdir():
                partial.unlink()
            folder.rmdir()
