"""Save the MLflow database and the artifacts together, and bring them back.

    python server/backup.py save DIR
    python server/backup.py restore DIR --state NEW

For the SQLite database ``mlruns.db`` and the store's folder ``ftp_root`` in one state folder. The servers may go on
working while they are saved, but ``mlflow gc`` and ``sweep.py --delete`` have to wait. A backup is a folder with both
in it and a file ``SHA256SUMS``, which ``sha256sum -c SHA256SUMS`` can check too. Standard library only.
"""

import argparse
import contextlib
import hashlib
import os
import re
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from processes import Progress
from servers import store_port

DATABASE, ARTIFACTS, SUMS = "mlruns.db", "ftp_root", "SHA256SUMS"
PARTIAL = re.compile(r"\.partial-[0-9a-f]{32}")  # a file under upload
ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r"}  # as sha256sum writes names that would break its lines


class BackupError(Exception):
    """Why it can't be done; one sentence for a person."""


def save(target: Path, state: Path) -> None:
    """Save the database and the artifacts in ``state`` as the new folder ``target``; raises BackupError or OSError."""
    database, artifacts = state / DATABASE, state / ARTIFACTS
    if not database.is_file():
        raise BackupError(f"There is no database {database}. Name the folder of the servers' state with --state.")
    if target.exists():
        raise BackupError(f"{target} exists already. Name a folder that does not, so that no older backup is lost.")
    if artifacts.resolve() in target.resolve().parents:
        raise BackupError(f"{target} lies in {artifacts}, which is to be saved. Name a folder outside of it.")
    with folder_beside(target) as copy:
        # The database comes first: MLflow says that a model is complete after its last file is in the store, so what
        # this copy calls complete is there when the files are copied.
        copy_database(database, copy / DATABASE)
        (copy / ARTIFACTS).mkdir()
        sums = copy_files("Saving the artifacts", state, copy, files(state, copy))
        sums[DATABASE] = digest(copy / DATABASE)
        write_sums(copy / SUMS, sums)
        flush()
        copy.rename(target)
    print(f"{target} has the database and {len(sums) - 1} artifacts.")


def restore(source: Path, state: Path) -> None:
    """Bring a backup's database and artifacts back into ``state``, which has neither; raises BackupError or OSError.

    Every file is checked as it is copied, and nothing gets its name before all of them were right.
    """
    if not (source / SUMS).is_file():
        raise BackupError(f"There is no file {source / SUMS}, so {source} is not a backup that was completed.")
    sums = read_sums(source / SUMS)
    # SQLite would play another database's journal into the one that is brought back.
    for path in (*state.glob(f"{DATABASE}*"), state / ARTIFACTS):
        if path.exists():
            raise BackupError(f"{path} is there, and is not overwritten. Move it away, or name another --state.")
    with folder_beside(state / ARTIFACTS) as copy:
        (copy / ARTIFACTS).mkdir()
        listed = files(source, copy)
        (copy / DATABASE).touch(mode=0o600)
        found = copy_files("Restoring", source, copy, {path: listed.get(path, 0) for path in sums})
        wrong = [path for path in sums if found.get(path) != sums[path]]
        if wrong:
            raise BackupError(
                f"{len(wrong)} files of {source} are missing or not what was saved, the first one {wrong[0]!r}; "
                f"nothing was restored. Take another backup; this lists them all: cd {source} && sha256sum -c {SUMS}"
            )
        flush()
        port = store_port(copy / DATABASE)
        (copy / ARTIFACTS).rename(state / ARTIFACTS)
        (copy / DATABASE).rename(state / DATABASE)
    print(f"{state} has the database and {len(sums) - 1} artifacts, whose address has the port {port}.")


@contextlib.contextmanager
def folder_beside(target: Path) -> Iterator[Path]:
    """Have an own folder, readable by nobody else, on the disk of ``target`` for as long as the block lasts."""
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{target.name}.unfinished-", dir=target.parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # it is not there any more if it got its name


def copy_database(source: Path, target: Path) -> None:
    """Copy a database as it is at one moment, while a server writes to it; raises BackupError if it is damaged."""
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
        raise BackupError(f"The database {source} can't be saved: {verdict}.")


def files(folder: Path, copy: Path) -> dict[str, int]:
    """Return path and size of all artifacts below a folder; their folders are made in ``copy``, empty ones too."""
    found = {}
    for parent, folders, names in os.walk(folder / ARTIFACTS):
        here = Path(parent).relative_to(folder)
        for name in (*folders, *names):
            if (folder / here / name).is_symlink():
                raise BackupError(f"{folder / here / name} is a link. Put what it leads to in its place.")
        for name in folders:
            (copy / here / name).mkdir(parents=True, exist_ok=True)
        for name in names:
            with contextlib.suppress(FileNotFoundError):  # somebody deleted it meanwhile
                if not PARTIAL.fullmatch(name):
                    found[(here / name).as_posix()] = (folder / here / name).stat().st_size
    return found


def copy_files(title: str, source: Path, target: Path, sizes: dict[str, int]) -> dict[str, str]:
    """Copy the files of these paths and sizes; return the SHA-256 of each one that is there."""
    total, free = sum(sizes.values()), shutil.disk_usage(target).free
    if total > free:
        raise BackupError(f"{target.parent} has {free / 1e9:.2f} GB free, and {total / 1e9:.2f} GB are to be copied.")
    sums, done, progress = {}, 0, Progress(title)
    for path in sizes:
        with contextlib.ExitStack() as opened:
            try:
                original = opened.enter_context((source / path).open("rb"))
            except FileNotFoundError:
                continue
            (target / path).parent.mkdir(parents=True, exist_ok=True)
            copy = opened.enter_context((target / path).open("wb"))
            sha = hashlib.sha256()
            while block := original.read(1 << 20):
                copy.write(block)
                sha.update(block)
                done += len(block)
                progress([f"{len(sums)} of {len(sizes)} files, {done / 1e9:.2f} of {total / 1e9:.2f} GB"])
            times = os.fstat(original.fileno())
        os.utime(target / path, ns=(times.st_atime_ns, times.st_mtime_ns))
        sums[path] = sha.hexdigest()
    progress.done()
    return sums


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_sums(path: Path, sums: dict[str, str]) -> None:
    """Write what sha256sum would write for these files."""
    with path.open("w", encoding="utf-8", errors="surrogateescape", newline="\n") as file:
        for name, digest in sums.items():
            escaped = re.sub(r"[\\\n\r]", lambda match: ESCAPES[match[0]], name)
            file.write(f"{'' if escaped == name else chr(92)}{digest}  {escaped}\n")


def read_sums(path: Path) -> dict[str, str]:
    """Return the SHA-256 of each file that a list of sha256sum names; raises BackupError if it is not one of save."""
    sums, letters = {}, {escape: letter for letter, escape in ESCAPES.items()}
    with path.open(encoding="utf-8", errors="surrogateescape", newline="\n") as file:
        for number, line in enumerate(file, 1):
            match = re.fullmatch(r"(\\?)([0-9a-f]{64}) [ *](.+)\n", line)
            name = match and (re.sub(r"\\[\\nr]", lambda found: letters[found[0]], match[3]) if match[1] else match[3])
            if not match or ".." in name.split("/") or not (name == DATABASE or name.startswith(f"{ARTIFACTS}/")):
                raise BackupError(f"Line {number} of {path} is not of a backup. Take another backup.")
            sums[name] = match[2]
    if DATABASE not in sums:
        raise BackupError(f"{path} does not name {DATABASE}, so it is not of a backup. Take another backup.")
    return sums


def flush() -> None:
    """Have all that was written on the disk before it gets its name."""
    if hasattr(os, "sync"):  # Windows has none
        os.sync()


def main() -> int | str:
    """Save or restore, and return the exit status."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("backup", type=Path, metavar="DIR", help="the folder of the backup")
    common.add_argument(
        "--state",
        type=Path,
        default=os.environ.get("WORKSHOP_STATE", Path(__file__).resolve().parent),
        metavar="DIR",
        help="folder of database and artifacts (default: WORKSHOP_STATE, else server)",
    )
    parser = argparse.ArgumentParser(description="Save the MLflow database and the artifacts, and bring them back.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for function, text in (
        (save, "save both into a new folder, while the servers run"),
        (restore, "bring both back into a state folder that has neither, after checking every file"),
    ):
        command = commands.add_parser(function.__name__, parents=[common], help=text, description=text)
        command.set_defaults(function=function)
    options = parser.parse_args()
    try:
        options.function(options.backup, options.state)
    except (BackupError, OSError) as error:
        return f"backup: {error}"
    except KeyboardInterrupt:
        return "backup: stopped; what was begun is removed again"
    return 0


if __name__ == "__main__":
    sys.exit(main())
