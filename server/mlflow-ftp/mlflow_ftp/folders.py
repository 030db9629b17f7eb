"""Folders on a server: list, make and delete them.

MLSD says exactly what is in a folder; a server that doesn't know MLSD is asked for what ``ls`` would show.
"""

import ftplib
import posixpath
import re
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import NamedTuple

from mlflow_ftp.connection import Connection
from mlflow_ftp.errors import Trouble, is_refusal

# Files under upload. They are nobody's business until they have their final name.
PARTIAL = re.compile(r"\.partial-[0-9a-f]{32}")
NOT_A_FOLDER = ("501", "550", "553")
UNKNOWN_COMMAND = ("500", "502", "504")
# -rw-r--r--    1 1000     1000         1234 Nov 21 08:35 name
LS = re.compile(
    r"(?P<kind>[a-z-])\S{9,}\s+\d+\s+\S+\s+\S+\s+(?P<size>\d+)\s+\w+\s+\d+\s+[\d:]+ (?P<name>.+)", re.DOTALL
)


class Entry(NamedTuple):
    """A name in a folder; ``kind`` is "file", "dir", "link" or "other", ``size`` is in bytes if it is known."""

    name: str
    kind: str
    size: int | None


def entries(connection: Connection, folder: str) -> list[Entry] | None:
    """Return all that is in a folder, files under upload too; None if it is not a folder or doesn't exist."""
    try:
        if connection.has_mlsd:
            try:
                return _parse(connection, folder, f"MLSD {folder}", _from_facts)
            except ftplib.Error as error:
                if not is_refusal(error, *UNKNOWN_COMMAND):
                    raise
                connection.has_mlsd = False
        # ls would take blanks, stars and a leading minus of a path for something else: go there first.
        connection.voidcmd(f"CWD {folder}")
        return _parse(connection, folder, "LIST -a", _from_ls)
    except ftplib.Error as error:
        if is_refusal(error, *NOT_A_FOLDER):
            return None
        raise


def _parse(connection: Connection, folder: str, command: str, read: Callable[[str], Entry | None]) -> list[Entry]:
    listing = bytearray()
    connection.receive(command, listing.extend)
    try:
        lines = listing.decode().split("\n")
    except UnicodeDecodeError:
        raise Trouble(f"a name in {folder} is not UTF-8; rename it on the server") from None
    listed = []
    for line in filter(None, (line.removesuffix("\r") for line in lines)):
        entry = read(line)
        if entry is None or set("/\r\0") & set(entry.name):
            raise Trouble(f"the server lists {line!a} in {folder}, which is not understood")
        if entry.kind not in ("cdir", "pdir") and entry.name not in (".", ".."):
            listed.append(entry)
    return listed


def _from_facts(line: str) -> Entry | None:
    """Read a line such as ``type=file;size=1234;modify=20240101000000; name``."""
    text, _, name = line.partition(" ")
    if not name or text[-1:] not in ("", ";"):
        return None
    facts = dict(fact.split("=", 1) for fact in text.lower().split(";") if "=" in fact)
    kind, size = facts.get("type", "file"), facts.get("size", "")
    if kind.startswith("os.unix=s"):  # slink, symlink
        kind = "link"
    elif kind not in ("file", "dir", "cdir", "pdir"):
        kind = "other"
    return Entry(name, kind, int(size) if size.isdecimal() else None)


def _from_ls(line: str) -> Entry | None:
    if line.startswith("total "):
        return Entry(".", "dir", None)
    match = LS.fullmatch(line)
    if not match:
        return None
    kind = {"-": "file", "d": "dir", "l": "link"}.get(match["kind"], "other")
    name = match["name"].split(" -> ")[0] if kind == "link" else match["name"]
    return Entry(name, kind, int(match["size"]))


def visible(connection: Connection, folder: str) -> list[Entry]:
    """Return files and folders; a link counts as the file that it leads to, and is left out if it leads elsewhere."""
    shown = []
    for entry in entries(connection, folder) or []:
        if entry.kind == "link" and (size := size_of(connection, posixpath.join(folder, entry.name))) is not None:
            shown.append(Entry(entry.name, "file", size))
        elif entry.kind == "dir" or (entry.kind == "file" and not PARTIAL.fullmatch(entry.name)):
            shown.append(entry)
    return shown


def size_of(connection: Connection, path: str) -> int | None:
    """Return the size of a file; None if there is none; raises Trouble if the server doesn't know SIZE."""
    (reply,) = connection.ask(f"SIZE {path}")
    return size_in(connection, reply)


def size_in(connection: Connection, reply: str) -> int | None:
    """Return the size of a file as the server's reply to SIZE says it, see ``size_of``."""
    if reply.startswith("213") and reply[4:].strip().isdecimal():
        return int(reply[4:])
    if reply.startswith(("213", *UNKNOWN_COMMAND)):
        raise Trouble(f"the server at {connection.server} does not say how large a file is; it has to know SIZE")
    return None


def is_folder(connection: Connection, folder: str) -> bool:
    """Return whether there is a folder of that name; raises ftplib.Error if the server does not say."""
    try:
        connection.voidcmd(f"CWD {folder}")
    except ftplib.Error as error:
        if is_refusal(error, *NOT_A_FOLDER):
            return False
        raise
    return True


def make_folders(connection: Connection, folders: list[str]) -> dict[str, bool]:
    """Make folders with all above them and return of each whether it was made just now."""
    above = {str(folder) for path in map(PurePosixPath, folders) for folder in (path, *path.parents)}
    ordered = sorted(above - {"/"}, key=lambda folder: folder.count("/"))
    # Most are there already, and the server says no: that is cheaper than to look first.
    replies = connection.ask(*(f"MKD {folder}" for folder in ordered))
    return {folder: reply[0] == "2" for folder, reply in zip(ordered, replies, strict=True)}


def delete(connection: Connection, path: str) -> None:
    """Delete a file, a link, or a folder with all that is in it; it is not an error if it doesn't exist."""
    (reply,) = connection.ask(f"DELE {path}") if path != "/" else ("550",)
    # DELE takes a link away but no folder, whatever the server's listing calls a link to a folder.
    if reply[0] == "2":
        return
    listed = entries(connection, path)
    if listed is None:
        _missing_or_refused(connection, path, reply)
        return
    files = [posixpath.join(path, entry.name) for entry in listed if entry.kind != "dir"]
    for file, reply in zip(files, connection.ask(*(f"DELE {file}" for file in files)), strict=True):
        if reply[0] != "2":
            _missing_or_refused(connection, file, reply)
    for entry in listed:
        if entry.kind == "dir":
            delete(connection, posixpath.join(path, entry.name))
    if path != "/":
        connection.voidcmd(f"RMD {path}")


def _missing_or_refused(connection: Connection, path: str, reply: str) -> None:
    """Raise the server's refusal to delete a file unless somebody else deleted it."""
    if size_of(connection, path) is not None:
        raise ftplib.error_perm(reply)
