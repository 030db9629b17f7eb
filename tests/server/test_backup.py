"""Save a real pair of servers while it works, lose it, and bring it back."""

import hashlib
import json
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest
import servers
from processes import child_environment

SCRIPT = Path(servers.__file__).with_name("backup.py")

# A client in a process of its own: logs runs with models and registers them, until there is a file named stop.
LOG = """
import pathlib, mlflow, numpy as np
from sklearn.linear_model import LinearRegression
x, number = np.arange(12.0).reshape(4, 3), 0
while number < 3 or not pathlib.Path("stop").exists():
    number += 1
    with mlflow.start_run():
        mlflow.log_param("number", number)
        for step in range(20):
            mlflow.log_metric("error", number / (step + 1), step=step)
        mlflow.log_text("wind" * number, "größe 1.txt")
        mlflow.sklearn.log_model(LinearRegression().fit(x, x[:, 0] * number), name="model",
            registered_model_name="wind", serialization_format="cloudpickle", pip_requirements=["scikit-learn"])
    pathlib.Path("logged").write_text(str(number))
"""

# Loads every registered version, and prints what it predicts with what its run has.
LOAD = """
import json, mlflow, numpy as np
client, x = mlflow.MlflowClient(), np.arange(12.0).reshape(4, 3)
found = {}
for version in client.search_model_versions("name = 'wind'"):
    run = client.get_run(version.run_id)
    found[version.version] = [
        run.data.params["number"],
        [metric.value for metric in client.get_metric_history(version.run_id, "error")],
        mlflow.sklearn.load_model(f"models:/wind/{version.version}").predict(x).round(6).tolist(),
        mlflow.artifacts.load_text(f"runs:/{version.run_id}/größe 1.txt"),
    ]
print(json.dumps(found))
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
    with (folder / "client.log").open("wb") as log:
        return subprocess.Popen([sys.executable, "-c", script], cwd=folder, env=env, stdout=subprocess.PIPE, stderr=log)


def load(up: servers.Servers, folder: Path) -> dict[str, list]:
    """Return what every registered version predicts, with the data of its run."""
    with client(LOAD, up, folder) as loading:
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
    (deep / "nothing").touch()
    names = ["ä %20?"] if os.name == "nt" else ["back\\slash", "two\nlines"]
    for name in names:
        (deep / name).write_text(name)
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
        deadline = time.monotonic() + 120
        while not (tmp_path / "logged").exists():
            assert logging.poll() is None, (tmp_path / "client.log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
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


def test_a_backup_has_everything_but_files_under_upload_and_says_so_itself(state, tmp_path):
    said = saved("save", tmp_path / "deep" / "backup", "--state", state)
    target = tmp_path / "deep" / "backup"
    sums = {"SHA256SUMS": (target / "SHA256SUMS").read_bytes()}
    assert contents(target) == contents(state) | sums
    assert said.splitlines()[-1] == f"{target} has the database and 4 artifacts."
    with closing(sqlite3.connect(target / "mlruns.db")) as database:
        assert database.execute("SELECT count(*) FROM experiments").fetchone() == (1,)
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["backup"]


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps no mode")
def test_nobody_else_reads_the_database_in_a_backup_or_after_its_restore(state, tmp_path):
    saved("save", tmp_path / "backup", "--state", state)
    saved("restore", tmp_path / "backup", "--state", tmp_path / "new")
    assert stat.S_IMODE((tmp_path / "backup").stat().st_mode) == 0o700
    for folder in ("backup", "new"):
        assert stat.S_IMODE((tmp_path / folder / "mlruns.db").stat().st_mode) == 0o600


@pytest.mark.skipif(not shutil.which("sha256sum"), reason="there is no sha256sum here")
def test_sha256sum_agrees_with_the_list(state, tmp_path):
    saved("save", tmp_path / "backup", "--state", state)
    command = ["sha256sum", "--check", "--strict", "SHA256SUMS"]
    done = subprocess.run(command, cwd=tmp_path / "backup", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(": OK") == 5


def test_a_restore_brings_back_names_contents_times_and_empty_folders(state, tmp_path):
    model = state / "ftp_root" / "artifacts" / "1" / "wind #1 größe" / "model.bin"
    os.utime(model, (1_500_000_000, 1_500_000_000))
    saved("save", tmp_path / "backup", "--state", state)
    saved("restore", tmp_path / "backup", "--state", tmp_path / "new")
    assert contents(tmp_path / "new") == contents(state)
    assert (tmp_path / "new" / model.relative_to(state)).stat().st_mtime == 1_500_000_000
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["ftp_root", "mlruns.db"]


def damage(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1] + b"!")


@pytest.mark.parametrize(
    ("name", "deed"),
    [
        ("model.bin", damage),
        ("model.bin", Path.unlink),
        ("mlruns.db", damage),
        ("mlruns.db", Path.unlink),
    ],
)
def test_nothing_of_a_damaged_backup_is_restored(state, tmp_path, name, deed):
    saved("save", tmp_path / "backup", "--state", state)
    (victim,) = (tmp_path / "backup").rglob(name)
    deed(victim)
    reason = refused("restore", tmp_path / "backup", "--state", tmp_path / "new")
    assert reason.startswith(f"1 files of {tmp_path / 'backup'} are missing or not what was saved, the first one '")
    assert name in reason
    assert list((tmp_path / "new").iterdir()) == []


@pytest.mark.parametrize("there", ["mlruns.db", "mlruns.db-wal", "ftp_root"])
def test_a_state_that_is_there_is_not_overwritten(state, tmp_path, there):
    saved("save", tmp_path / "backup", "--state", state)
    new = tmp_path / "new"
    new.mkdir()
    (new / there).write_text("mine")
    reason = f"{new / there} is there, and is not overwritten. Move it away, or name another --state."
    assert refused("restore", tmp_path / "backup", "--state", new) == reason
    assert (new / there).read_text() == "mine"
    assert len(list(new.iterdir())) == 1


def test_a_backup_that_is_there_is_not_overwritten(state, tmp_path):
    (tmp_path / "backup").mkdir()
    reason = f"{tmp_path / 'backup'} exists already. Name a folder that does not, so that no older backup is lost."
    assert refused("save", tmp_path / "backup", "--state", state) == reason


def test_a_state_without_a_database_is_named(tmp_path):
    reason = f"There is no database {tmp_path / 'mlruns.db'}. Name the folder of the servers' state with --state."
    assert refused("save", tmp_path / "backup", "--state", tmp_path) == reason
    assert list(tmp_path.iterdir()) == []


def test_a_backup_inside_of_what_is_saved_is_refused(state):
    assert "which is to be saved" in refused("save", state / "ftp_root" / "backup", "--state", state)


def test_a_database_that_is_damaged_is_named_and_leaves_no_backup(state, tmp_path):
    (state / "mlruns.db").write_bytes(b"this is no database" * 1000)
    reason = f"The database {state / 'mlruns.db'} can't be saved: file is not a database."
    assert refused("save", tmp_path / "backup", "--state", state) == reason
    assert [path.name for path in tmp_path.iterdir()] == ["state"]


def test_a_link_in_the_store_is_named_as_it_would_not_be_saved(state, tmp_path):
    link = state / "ftp_root" / "artifacts" / "link"
    try:
        link.symlink_to(tmp_path)
    except OSError:
        pytest.skip("Windows lets only administrators make links")
    assert refused("save", tmp_path / "backup", "--state", state).startswith(f"{link} is a link.")
    assert not (tmp_path / "backup").exists()


def test_a_folder_that_is_no_backup_is_named(state, tmp_path):
    assert refused("restore", state, "--state", tmp_path / "new").startswith("There is no file ")
    digest = hashlib.sha256(b"").hexdigest()
    for line, words in (
        ("nonsense", "Line 1 of"),
        (f"{digest}  ../../etc/passwd\n", "Line 1 of"),
        (f"{digest}  ftp_root/a\n", "does not name mlruns.db"),
    ):
        (state / "SHA256SUMS").write_text(line)
        assert words in refused("restore", state, "--state", tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_a_backup_that_is_killed_leaves_nothing_under_its_name(state, tmp_path):
    # It hangs when it comes to this one, for ever.
    os.mkfifo(state / "ftp_root" / "artifacts" / "1" / "hanging")
    command = [sys.executable, SCRIPT, "save", tmp_path / "backup", "--state", state]
    with subprocess.Popen(command, env=child_environment(), stdout=subprocess.DEVNULL) as saving:
        try:
            deadline = time.monotonic() + 30
            while not list(tmp_path.glob("backup.unfinished-*/ftp_root/artifacts/1")):
                assert time.monotonic() < deadline
                time.sleep(0.02)
        finally:
            saving.kill()
    assert not (tmp_path / "backup").exists()
    (state / "ftp_root" / "artifacts" / "1" / "hanging").unlink()
    saved("save", tmp_path / "backup", "--state", state)


def test_a_database_that_is_written_to_is_saved_as_it_was_at_one_moment(state, tmp_path):
    began, stop = threading.Event(), threading.Event()

    def write() -> None:
        with closing(sqlite3.connect(state / "mlruns.db", timeout=30)) as database:
            while not stop.is_set():
                with database:  # always ten rows at once
                    database.executemany("INSERT INTO experiments VALUES (?)", [("x" * 1000,)] * 10)
                began.set()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert began.wait(30)
        saved("save", tmp_path / "backup", "--state", state)
    finally:
        stop.set()
        writer.join()
    with closing(sqlite3.connect(tmp_path / "backup" / "mlruns.db")) as database:
        ((count,),) = database.execute("SELECT count(*) FROM experiments")
        assert count > 1, "what is in the journal of the database is saved too"
        assert count % 10 == 1
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
