"""Save a real pair of servers while it works, lose it, and bring it back."""

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Event

import pytest
from stores import until
from team import load, log

from server import backup, servers
from server.environment import child_environment


@pytest.fixture
def typed(monkeypatch, capsys) -> Callable[..., str]:
    """Return a function that types the command in this process; it returns the last line, or the one sentence."""

    def type_in(command: str, folder: Path, state: Path) -> str:
        monkeypatch.setattr("sys.argv", ["backup.py", command, str(folder), "--state", str(state)])
        if failed := backup.main():
            assert failed.startswith("backup: ")
            assert len(failed.splitlines()) == 1
            return failed.removeprefix("backup: ")
        return capsys.readouterr().out.splitlines()[-1]

    return type_in


@pytest.fixture
def state(tmp_path) -> Path:
    """Return a state folder with a small database and four artifacts, two of them with unusual names."""
    folder = tmp_path / "state"
    deep = folder / "ftp_root" / "artifacts" / "1" / "wind #1 größe"
    deep.mkdir(parents=True)
    (folder / "ftp_root" / "artifacts" / "empty").mkdir()
    (deep / "model.bin").write_bytes(os.urandom(3_000_000))
    os.utime(deep / "model.bin", (1_500_000_000, 1_500_000_000))
    for name in ("nothing", "ä %20?", " blank " if os.name == "nt" else "back\\slash"):
        (deep / name).write_text("" if name == "nothing" else name)
    (deep / f".partial-{'0a' * 16}").write_text("half a file")
    with closing(sqlite3.connect(folder / "mlruns.db")) as database, database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("CREATE TABLE experiments (artifact_location TEXT)")
        database.execute("INSERT INTO experiments VALUES ('ftp://127.0.0.1:2345/artifacts/0')")
    return folder


def contents(folder: Path) -> dict[str, bytes | None]:
    """Return each path below a folder with what is in it."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
        if not path.name.startswith((".partial-", "mlruns.db"))
    }


@pytest.mark.slow
def test_what_was_saved_while_a_client_logged_is_all_there_after_everything_was_lost(
    tmp_path, free_port, typed, monkeypatch
):
    state, new, ports, numbers, stop = tmp_path / "state", tmp_path / "new", (free_port(), free_port()), [], Event()

    def go_on() -> None:
        while len(numbers) < 3 or not stop.is_set():
            log(len(numbers) + 1)
            numbers.append(len(numbers) + 1)

    with servers.servers(state, tmp_path / "logs", *ports) as up, ThreadPoolExecutor() as client:
        for name, value in child_environment(MLFLOW_TRACKING_URI=up.tracking_uri).items():
            monkeypatch.setenv(name, value)
        logging = client.submit(go_on)
        try:
            until(lambda: numbers or logging.done())
            first = len(numbers)
            typed("save", tmp_path / "backup", state)
            assert not logging.done(), "the client went on all the time"
        finally:
            stop.set()
        logging.result()
        before = load()
    shutil.rmtree(state)
    assert typed("restore", tmp_path / "backup", new).endswith(f"whose address has the port {ports[0]}.")
    with servers.servers(new, tmp_path / "logs", *ports):
        after = load()
    assert len(after) >= first > 0
    assert after.items() <= before.items(), "what is there is as it was"
    assert any((new / "ftp_root").rglob("MLmodel"))


def test_a_backup_brings_everything_back_but_files_under_upload_and_for_nobody_else(state, tmp_path, typed):
    target, new = tmp_path / "deep" / "backup", tmp_path / "new"
    assert typed("save", target, state) == f"{target} has the database and 4 artifacts."
    assert contents(target) == contents(state) | {"SHA256SUMS": (target / "SHA256SUMS").read_bytes()}
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["backup"]
    said = typed("restore", target, new)
    assert said == f"{new} has the database and 4 artifacts, whose address has the port 2345."
    assert contents(new) == contents(state)
    assert sorted(path.name for path in new.iterdir()) == ["ftp_root", "mlruns.db"]
    assert next(new.rglob("model.bin")).stat().st_mtime == 1_500_000_000
    with closing(sqlite3.connect(new / "mlruns.db")) as database:
        assert database.execute("SELECT count(*) FROM experiments").fetchone() == (1,)
    if os.name == "posix":
        assert stat.S_IMODE(target.stat().st_mode) == 0o700
        assert [stat.S_IMODE((folder / "mlruns.db").stat().st_mode) for folder in (target, new)] == [0o600] * 2
    if shutil.which("sha256sum"):
        subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=target, check=True)


def damage(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1] + b"!")


@pytest.mark.parametrize("deed", [damage, Path.unlink])
@pytest.mark.parametrize("name", ["model.bin", "mlruns.db"])
def test_nothing_of_a_damaged_backup_is_restored(state, tmp_path, typed, name, deed):
    typed("save", tmp_path / "backup", state)
    (victim,) = (tmp_path / "backup").rglob(name)
    deed(victim)
    reason = typed("restore", tmp_path / "backup", tmp_path / "new")
    assert reason.startswith(f"1 files of {tmp_path / 'backup'} are not what was saved, the first one '")
    assert name in reason
    assert list((tmp_path / "new").iterdir()) == []


def test_nothing_that_exists_is_overwritten(state, tmp_path, typed):
    folder, new = tmp_path / "backup", tmp_path / "new"
    typed("save", folder, state)
    assert typed("save", folder, state).startswith(f"{folder} exists already. Name a new folder")
    new.mkdir()
    for name in ("mlruns.db", "mlruns.db-wal", "ftp_root"):
        (new / name).write_text("mine")
        said = typed("restore", folder, new)
        assert said.startswith(f"{new / name} exists and is not overwritten. Move it away")
        assert [path.read_text() for path in new.iterdir()] == ["mine"]
        (new / name).unlink()


@pytest.mark.skipif(os.name == "nt", reason="Windows has neither such names nor links for everybody")
@pytest.mark.parametrize(
    ("deed", "reason"),
    [
        (lambda state: (state / "mlruns.db").unlink(), "There is no database {state}/mlruns.db. Name the folder"),
        (lambda state: (state / "mlruns.db").write_bytes(b"no database" * 1000), "{state}/mlruns.db can't be saved"),
        (lambda state: (state / "ftp_root" / "link").symlink_to(state), "{state}/ftp_root/link is a link. Replace"),
        (lambda state: (state / "ftp_root" / "two\nlines").touch(), "'{state}/ftp_root/two\\nlines' has a line break"),
    ],
)
def test_what_can_not_be_saved_is_named_and_leaves_no_backup(state, tmp_path, typed, deed, reason):
    deed(state)
    assert reason.format(state=state) in typed("save", tmp_path / "backup", state)
    assert [path.name for path in tmp_path.iterdir()] == ["state"]


def test_a_folder_that_is_no_backup_or_lies_in_what_is_saved_is_named(state, tmp_path, typed):
    assert "which is to be saved" in typed("save", state / "ftp_root" / "backup", state)
    assert typed("restore", state, tmp_path / "new").startswith("There is no file ")
    (state / "SHA256SUMS").write_text("nonsense")
    assert "are not what was saved" in typed("restore", state, tmp_path / "new")
    assert list((tmp_path / "new").iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_a_backup_that_is_killed_leaves_nothing_under_its_name(state, tmp_path, typed):
    for number in range(2000):
        (state / "ftp_root" / str(number)).write_bytes(b"artifact")
    command = [sys.executable, backup.__file__, "save", tmp_path / "backup", "--state", state]
    with subprocess.Popen(command, env=child_environment(), stdout=subprocess.DEVNULL) as saving:
        try:
            until(lambda: list(tmp_path.glob(".backup-*/backup/ftp_root/1")), 30)
        finally:
            saving.kill()
    assert not (tmp_path / "backup").exists()
    typed("save", tmp_path / "backup", state)
