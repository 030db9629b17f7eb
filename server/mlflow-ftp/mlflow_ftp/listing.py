"""What is in a folder: MLSD says it exactly; a server that doesn't know MLSD is asked for what ``ls`` would show."""

import re
from collections.abc import Callable
from typing import NamedTuple

from mlflow_ftp.connection import Connection
from mlflow_ftp.errors import Refused, Trouble

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
    """Return all that is in a folder, files under upload too; None if it is no folder or isn't there."""
    try:
        if connection.has_mlsd:
            try:
                return _parse(connection, folder, f"MLSD {folder}", _from_facts)
            except Refused as error:
                if not error.starts(*UNKNOWN_COMMAND):
                    raise
                connection.has_mlsd = False
        # ls would take blanks, stars and a leading minus of a path for something else: go there first.
        connection.demand(f"CWD {folder}")
        return _parse(connection, folder, "LIST -a", _from_ls)
    except Refused as error:
        if error.starts(*NOT_A_FOLDER):
            return None
        raise


def _parse(connection: Connection, folder: str, command: str, read: Callable[[str], Entry | None]) -> list[Entry]:
    listing = bytearray()
    connection.receive(command, listing.extend)
    try:
        lines = listing.decode().split("\n")
    except UnicodeDecodeError:
        raise Trouble(f"a name in {folder} is not UTF-8; rename it on the server") from None
    found = []
    for line in filter(None, (line.removesuffix("\r") for line in lines)):
        entry = read(line)
        if entry is None or "/" in entry.name or "\r" in entry.name or "\0" in entry.name:
            raise Trouble(f"the server lists {line!a} in {folder}, which is not understood")
        if entry.kind not in ("cdir", "pdir") and entry.name not in (".", ".."):
            found.append(entry)
    return found


def _from_facts(line: str) -> Entry | None:
    """Read a line such as ``type=file;size=1234;modify=20240101000000; name``."""
    facts, _, name = line.partition(" ")
    if not name or facts[-1:] not in ("", ";"):
        return None
    kind, size = "file", None
    for fact in facts.lower().split(";"):
        key, _, value = fact.partition("=")
        if key == "type":
            kind = value
        elif key == "size" and value.isdecimal():
            size = int(value)
    if kind.startswith("os.unix=s"):  # slink, symlink
        kind = "link"
    elif kind not in ("file", "dir", "cdir", "pdir"):
        kind = "other"
    return Entry(name, kind, size)


def _from_ls(line: str) -> Entry | None:
    if line.startswith("total "):
        return Entry(".", "dir", None)
    match = LS.fullmatch(line)
    if not match:
        return None
    kind = {"-": "file", "d": "dir", "l": "link"}.get(match["kind"], "other")
    name = match["name"].split(" -> ")[0] if kind == "link" else match["name"]
    return Entry(name, kind, int(match["size"]))
