"""Back up the MLflow database and the artifacts together, and restore them.

    python server/backup.py save DIR
    python server/backup.py restore DIR --state NEW

For the SQLite database ``mlruns.db`` and the artifact store's folder ``ftp_root`` in one state folder. The servers may
keep running during a backup, but ``mlflow gc`` and ``sweep.py --delete`` have to wait. A backup is a folder with both
in it and a file ``SHA256SUMS``, which ``sha256sum -c SHA256SUMS`` checks too.
"""

import argparse
import contextlib
import os
import shutil
import sqlite3
import sys
from pathlib import Path

from rich.progress import track

from forecasting.errors import UserError
from forecasting.files import replacing, sha256
from server.servers import store_port
from server.uploads import is_partial

DATABASE, ARTIFACTS, SUMS = "mlruns.db", "ftp_root", "SHA256SUMS"
TEXT = {"encoding": "utf-8", "errors": "surrogateescape", "newline": "\n"}  # any file name survives it


def save(target: Path, state: Path) -> None:
    """Save the database and the artifacts in ``state`` as the new folder ``target``; raises UserError or OSError."""
    database, artifacts = state / DATABASE, state / ARTIFACTS
    if not database.is_file():
        raise UserError(f"There is no database {database}. Name the folder of the servers' state with --state.")
    if target.exists():
        raise UserError(f"{target} exists already. Name a new folder, so that no older backup is lost.")
    if artifacts.resolve() in target.resolve().parents:
        raise UserError(f"{target} lies in {artifacts}, which is to be saved. Name a folder outside of it.")
    with replacing(target) as copy:
        copy.mkdir(mode=0o700)
        # The database comes first: MLflow calls a model complete after its last file is in the store, so every model
        # that is complete in this copy has its files when they are copied.
        copy_database(database, copy / DATABASE)
        lines = [
            f"{sha256(copy / DATABASE)}  {DATABASE}",
            *copy_artifacts("Saving the artifacts", artifacts, copy / ARTIFACTS),
        ]
        (copy / SUMS).write_text("".join(f"{line}\n" for line in lines), **TEXT)
        flush()
    print(f"{target} has the database and {len(lines) - 1} artifacts.")


def restore(source: Path, state: Path) -> None:
    """Restore a backup into ``state``, which has neither database nor artifacts; raises UserError or OSError.

    Every file is checked after it has been copied, and nothing gets its name before all of them were right.
    """
    if not (source / SUMS).is_file():
        raise UserError(f"There is no file {source / SUMS}, so {source} is not a complete backup.")
    # SQLite would replay the journal of another database into the restored one.
    for path in (*state.glob(f"{DATABASE}*"), state / ARTIFACTS):
        if path.exists():
            raise UserError(f"{path} exists and is not overwritten. Move it away, or name another --state.")
    with (source / SUMS).open(**TEXT) as file:
        saved = set(file.read().removesuffix("\n").split("\n"))
    with replacing(state / DATABASE) as database, replacing(state / ARTIFACTS) as artifacts:
        copied = set(copy_artifacts("Restoring the artifacts", source / ARTIFACTS, artifacts))
        if (source / DATABASE).is_file():
            shutil.copy(source / DATABASE, database)
            copied.add(f"{sha256(database)}  {DATABASE}")
        if wrong := {line[66:] for line in saved ^ copied}:
            raise UserError(
                f"{len(wrong)} files of {source} are not what was saved, the first one {min(wrong)!r}; nothing was "
                f"restored. Take another backup; this lists the damaged ones: cd {source} && sha256sum -c {SUMS}"
            )
        flush()
        port = store_port(database)
    print(f"{state} has the database and {len(copied) - 1} artifacts, whose address has the port {port}.")


def copy_database(source: Path, target: Path) -> None:
    """Copy a database as it is at one moment, while a server writes to it; raises UserError if it is damaged."""
    target.touch(mode=0o600)
    with (
        contextlib.closing(sqlite3.connect(f"{source.resolve().as_uri()}?mode=rw", uri=True, timeout=60)) as database,
        contextlib.closing(sqlite3.connect(target)) as copy,
    ):
        try:
            database.backup(copy)
            ((verdict,), *_) = copy.execute("PRAGMA quick_check")
        except sqlite3.Error as error:
            verdict = error
    if verdict != "ok":
        raise UserError(f"The database {source} can't be saved: {verdict}.")


def copy_artifacts(title: str, source: Path, target: Path) -> list[str]:
    """Copy the artifacts, empty folders included; return the line of SHA256SUMS for each file, made from the copy."""
    target.mkdir(mode=0o700)
    sizes, lines = {}, []
    for path in sorted(source.rglob("*")):
        if path.is_symlink():
            raise UserError(f"{path} is a link. Replace it by what it points to.")
        if "\n" in path.name or "\r" in path.name:
            raise UserError(f"The name {str(path)!r} has a line break, which {SUMS} can't hold. Rename it.")
        with contextlib.suppress(FileNotFoundError):  # deleted since it was listed
            if not is_partial(path):
                sizes[path] = path.stat().st_size
    total, free = sum(sizes.values()), shutil.disk_usage(target).free
    if total > free:
        raise UserError(f"{target.parent} has {free / 1e9:.2f} GB free, and {total / 1e9:.2f} GB are to be copied.")
    for path in track(sizes, title):
        name = path.relative_to(source)
        if path.is_dir():
            (target / name).mkdir()
            continue
        with contextlib.suppress(FileNotFoundError):
            shutil.copyfile(path, target / name)
            lines.append(f"{sha256(target / name)}  {ARTIFACTS}/{name.as_posix()}")
            shutil.copystat(path, target / name)
    return lines


def flush() -> None:
    """Wait until everything written is on the disk."""
    if hasattr(os, "sync"):  # not on Windows
        os.sync()


def main() -> int | str:
    """Save or restore, and return the exit status."""
    parser = argparse.ArgumentParser(description="Back up the MLflow database and the artifacts, and restore them.")
    parser.add_argument("command", choices=["save", "restore"], help="save both while the servers run, or restore both")
    parser.add_argument("backup", type=Path, metavar="DIR", help="folder of the backup; save makes it")
    parser.add_argument(
        "--state",
        type=Path,
        default=os.environ.get("WORKSHOP_STATE", Path(__file__).resolve().parent),
        metavar="DIR",
        help="folder of database and artifacts (default: WORKSHOP_STATE, else server)",
    )
    options = parser.parse_args()
    try:
        {"save": save, "restore": restore}[options.command](options.backup, options.state)
    except (UserError, OSError) as error:
        return f"backup: {error}"
    except KeyboardInterrupt:
        return "backup: stopped; the unfinished copy was removed"
    return 0


if __name__ == "__main__":
    sys.exit(main())
