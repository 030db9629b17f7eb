"""Delete what is under a path, and nothing that a link in it points to."""

import posixpath

from mlflow_ftp.connection import Connection
from mlflow_ftp.errors import refusal
from mlflow_ftp.listing import entries


def delete(connection: Connection, path: str) -> None:
    """Delete a file, a link, or a folder with all that is in it; what isn't there is no error."""
    (reply,) = connection.ask(f"DELE {path}") if path != "/" else ("550",)
    # DELE takes a link away but no folder, whatever the server's listing calls a link to a folder.
    if reply[0] == "2":
        return
    found = entries(connection, path)
    if found is None:
        _missing_or_refused(connection, path, reply)
        return
    files = [posixpath.join(path, entry.name) for entry in found if entry.kind != "dir"]
    for file, reply in zip(files, connection.ask(*(f"DELE {file}" for file in files)), strict=True):
        if reply[0] != "2":
            _missing_or_refused(connection, file, reply)
    for entry in found:
        if entry.kind == "dir":
            delete(connection, posixpath.join(path, entry.name))
    if path != "/":
        connection.demand(f"RMD {path}")


def _missing_or_refused(connection: Connection, path: str, reply: str) -> None:
    """Raise the server's refusal to delete a file unless somebody else deleted it."""
    if connection.ask(f"SIZE {path}")[0][0] == "2":
        raise refusal(reply)
