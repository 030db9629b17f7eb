"""Save a real pair of servers while it works, lose it, and bring it back."""

import json
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from stores import until
from team import LOGGED

from server import servers
from server.environment import child_environment

SCRIPT = Path(servers.__file__).with_name("backup.py")

# A client in a process of its own: logs runs with models and registers them, until there is a file named stop.
LOG = """
import pathlib
number = 0
while number < 3 or not pathlib.Path("stop").exists():
    number += 1
    log(number)
    pathlib.Path("logged").write_text(str(number))
"""


def backup(*arguments: str | Path) -> subprocess.CompletedProcess:
    """Type the command and return what came of it."""
    command = [sys.executable, SCRIPT, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=child_environment())


def saved(*arguments: str | Path) -> str:
    """Type a command that works and return what it said."""
    done = backup(*arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def refused(*arguments: str | Path) -> str:
    """Type a command that doesn't work and return its one sentence."""
    done = backup(*arguments)
    assert done.returncode == 1, done.stdout
    assert done.stderr.startswith("backup: ")
    assert len(done.stderr.splitlines()) == 1
    return done.stderr.removeprefix("backup: ").strip()


def client(script: str, up: servers.Servers, folder: Path) -> subprocess.Popen:
    """Start a client of the servers."""
    env = child_environment(MLFLOW_TRACKING_URI=up.tracking_uri)
    command = [sys.executable, "-c", LOGGED + script]
    with (folder / "client.log").open("wb") as log:
        return subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=log)


def load(up: servers.Servers, folder: Path) -> dict[str, list]:
    """Return what every registered version predicts, with the data of its run."""
    with client("load()", up, folder) as loading:
        out, _ = loading.communicate(timeout=120)
    assert loading.returncode == 0, (folder / "client.log").read_text()
    return json.loads(out)


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
def test_what_was_saved_while_a_client_logged_is_all_there_after_everything_was_lost(tmp_path, free_port):
    state, new, ports = tmp_path / "state", tmp_path / "new", (free_port(), free_port())
    with servers.servers(state, tmp_path / "logs", *ports) as up, client(LOG, up, tmp_path) as logging:
        until(lambda: (tmp_path / "logged").exists() or logging.poll() is not None, 120)
        assert logging.poll() is None, (tmp_path / "client.log").read_text()
        first = (tmp_path / "logged").read_text()
        saved("save", tmp_path / "backup", "--state", state)
        assert logging.poll() is None, "the client went on all the time"
        (tmp_path / "stop").touch()
        assert logging.wait(60) == 0
        before = load(up, tmp_path)
    shutil.rmtree(state)
    said = saved("restore", tmp_path / "backup", "--state", new)
    assert said.splitlines()[-1].endswith(f"whose address has the port {ports[0]}.")
    with servers.servers(new, tmp_path / "logs", *ports) as up:
        after = load(up, tmp_path)
    assert len(after) >= int(first)
    assert after.items() <= before.items(), "what is there is as it was"
    assert any((new / "ftp_root").rglob("MLmodel"))


def test_a_backup_brings_everything_back_but_files_under_upload_and_for_nobody_else(state, tmp_path):
    target, new = tmp_path / "deep" / "backup", tmp_path / "new"
    said = saved("save", target, "--state", state)
    assert said.splitlines()[-1] == f"{target} has the database and 4 artifacts."
    assert contents(target) == contents(state) | {"SHA256SUMS": (target / "SHA256SUMS").read_bytes()}
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["backup"]
    said = saved("restore", target, "--state", new)
    assert said.splitlines()[-1] == f"{new} has the database and 4 artifacts, whose address has the port 2345."
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
def test_nothing_of_a_damaged_backup_is_restored(state, tmp_path, name, deed):
    saved("save", tmp_path / "backup", "--state", state)
    (victim,) = (tmp_path / "backup").rglob(name)
    deed(victim)
    reason = refused("restore", tmp_path / "backup", "--state", tmp_path / "new")
    assert reason.startswith(f"1 files of {tmp_path / 'backup'} are not what was saved, the first one '")
    assert name in reason
    assert list((tmp_path / "new").iterdir()) == []


def test_nothing_that_exists_is_overwritten(state, tmp_path):
    backup, new = tmp_path / "backup", tmp_path / "new"
    saved("save", backup, "--state", state)
    assert refused("save", backup, "--state", state).startswith(f"{backup} exists already. Name a new folder")
    new.mkdir()
    for name in ("mlruns.db", "mlruns.db-wal", "ftp_root"):
        (new / name).write_text("mine")
        said = refused("restore", backup, "--state", new)
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
def test_what_can_not_be_saved_is_named_and_leaves_no_backup(state, tmp_path, deed, reason):
    deed(state)
    assert reason.format(state=state) in refused("save", tmp_path / "backup", "--state", state)
    assert [path.name for path in tmp_path.iterdir()] == ["state"]


def test_a_folder_that_is_no_backup_or_lies_in_what_is_saved_is_named(state, tmp_path):
    assert "which is to be saved" in refused("save", state / "ftp_root" / "backup", "--state", state)
    assert refused("restore", state, "--state", tmp_path / "new").startswith("There is no file ")
    (state / "SHA256SUMS").write_text("nonsense")
    assert "are not what was saved" in refused("restore", state, "--state", tmp_path / "new")
    assert list((tmp_path / "new").iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_a_backup_that_is_killed_leaves_nothing_under_its_name(state, tmp_path):
    for number in range(2000):
        (state / "ftp_root" / str(number)).write_bytes(b"artifact")
    command = [sys.executable, SCRIPT, "save", tmp_path / "backup", "--state", state]
    with subprocess.Popen(command, env=child_environment(), stdout=subprocess.DEVNULL) as saving:
        try:
            until(lambda: list(tmp_path.glob(".backup-*/backup/ftp_root/1")), 30)
        finally:
            saving.kill()
    assert not (tmp_path / "backup").exists()
    saved("save", tmp_path / "backup", "--state", state)
