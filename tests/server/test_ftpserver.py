"""Talk to the real artifact store as MLflow and as a stranger do."""

import contextlib
import ftplib
import io
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import mlflow
import pytest
import servers

SCRIPT = Path(servers.__file__).with_name("ftpserver.py")


@dataclass
class Store:
    """An artifact store that runs: where, and on which folder."""

    port: int
    root: Path
    process: subprocess.Popen
    log: Path

    def login(self, user: str = "guest", password: str = "12345") -> ftplib.FTP:
        """Return a connection of a user who is let in."""
        ftp = ftplib.FTP(timeout=10)
        ftp.connect("127.0.0.1", self.port)
        try:
            ftp.login(user, password)
        except ftplib.Error:
            ftp.close()
            raise
        return ftp


def start(folder: Path, port: int) -> Store:
    """Start the program and wait until it listens."""
    root, log = folder / "root", folder / "log"
    command = [sys.executable, SCRIPT, "--port", str(port), "--root", root]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        else:
            return Store(port, root, process, log)


@pytest.fixture(scope="module")
def store(tmp_path_factory, free_port) -> Iterator[Store]:
    up = start(tmp_path_factory.mktemp("store"), free_port())
    yield up
    up.process.terminate()
    up.process.wait(10)


@pytest.fixture
def ftp(store) -> Iterator[ftplib.FTP]:
    with store.login() as connection:
        yield connection


def refused(*arguments: str, **variables: str) -> str:
    """Return the one line with which the program refuses to start."""
    done = subprocess.run(
        [sys.executable, SCRIPT, *arguments],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
        env={**os.environ, **variables},
    )
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    return done.stderr.strip().splitlines()[-1]


def test_the_guest_uploads_lists_downloads_renames_and_deletes(ftp, store):
    ftp.mkd("life")
    ftp.cwd("life")
    ftp.storbinary("STOR model.bin", io.BytesIO(b"\x00\xff" * 100_000))
    assert (store.root / "life" / "model.bin").read_bytes() == b"\x00\xff" * 100_000
    assert ftp.nlst() == ["model.bin"]
    ftp.rename("model.bin", "größe.bin")
    got = io.BytesIO()
    ftp.retrbinary("RETR größe.bin", got.write)
    assert got.getvalue() == b"\x00\xff" * 100_000
    ftp.delete("größe.bin")
    ftp.cwd("/")
    ftp.rmd("life")
    assert not (store.root / "life").exists()


@pytest.mark.parametrize(("user", "password"), [("guest", "1234"), ("anonymous", "12345")])
def test_nobody_else_is_let_in(store, user, password):
    with pytest.raises(ftplib.error_perm, match=r"^530"):
        store.login(user, password)


@pytest.mark.parametrize("path", ["../secret", "/../secret", "folder/../../secret", "link", "links/secret"])
def test_what_lies_outside_the_root_is_neither_read_nor_written(ftp, store, path):
    secret = store.root.parent / "secret"
    secret.write_text("the database")
    for name, target in (("link", secret), ("links", store.root.parent)):
        if path.startswith("link") and not (store.root / name).is_symlink():
            try:
                (store.root / name).symlink_to(target)
            except OSError:
                pytest.skip("Windows lets only administrators make links")
    got = io.BytesIO()
    for deed in (
        lambda: ftp.storbinary(f"STOR {path}", io.BytesIO(b"mine")),
        lambda: ftp.retrbinary(f"RETR {path}", got.write),
        lambda: ftp.delete(path),
    ):
        with contextlib.suppress(ftplib.error_perm):  # or it is taken for a path from the root, as if / had no parent
            deed()
    assert got.getvalue() in (b"", b"mine")
    assert secret.read_text() == "the database"


def test_an_absolute_path_starts_at_the_root_of_the_store(ftp, store):
    absolute = store.root.parent / "absolute"
    absolute.write_text("outside")
    with pytest.raises(ftplib.error_perm, match=r"^550"):
        ftp.retrbinary(f"RETR {absolute}", print)
    assert ftp.pwd() == "/"
    ftp.cwd("/..")
    assert ftp.pwd() == "/"


@pytest.mark.parametrize("command", ["SITE CHMOD 777 kept", "MFMT 20000101000000 kept"])
def test_modes_and_times_of_files_are_not_for_the_guest_to_change(ftp, store, command):
    kept = store.root / "kept"
    kept.write_text("kept")
    before = kept.stat()
    with pytest.raises(ftplib.error_perm, match=r"^550"):
        ftp.voidcmd(command)
    assert (kept.stat().st_mode, kept.stat().st_mtime) == (before.st_mode, before.st_mtime)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.2", "::", "example.org", ""])
def test_an_address_that_others_can_reach_is_refused(host):
    assert refused("--host", host).endswith(
        f"error: argument --host: expected a loopback address such as 127.0.0.1, found {host!r}"
    )


@pytest.mark.parametrize("port", ["0", "65536", "ftp", "-1", "²"])
def test_a_port_that_is_none_is_refused_wherever_it_comes_from(port):
    reason = f"error: argument --port: expected a number from 1 to 65535, found {port!r}"
    assert refused(f"--port={port}").endswith(reason)
    assert refused(FTP_PORT=port).endswith(reason)


def test_a_port_that_is_taken_is_named_with_the_way_out(store, tmp_path):
    assert re.fullmatch(
        rf"ftpserver: cannot listen on 127\.0\.0\.1:{store.port}: .*in use.*"
        r"Stop the program that uses the port, or choose another one with --port\.",
        refused("--port", str(store.port), "--root", str(tmp_path)),
    )


def test_a_root_that_is_a_file_is_named_with_the_way_out(free_port, tmp_path):
    root = tmp_path / "root"
    root.touch()
    line = refused("--port", str(free_port()), "--root", str(root))
    assert line.startswith(f"ftpserver: cannot make the folder {root}: ")
    assert line.endswith("Choose another one with --root.")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no signals to send")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_without_a_traceback_while_somebody_is_connected(number, free_port, tmp_path):
    up = start(tmp_path, free_port())
    with up.login() as ftp:
        up.process.send_signal(number)
        assert up.process.wait(10) in (0, -number)
        with pytest.raises((*ftplib.all_errors, EOFError)):
            ftp.pwd()
    assert "Traceback" not in up.log.read_text()


def test_mlflow_logs_an_artifact_into_the_store_and_reads_it_back(running_servers, tmp_path):
    mlflow.set_tracking_uri(running_servers.tracking_uri)
    experiment = mlflow.create_experiment(f"artifacts {tmp_path}")
    text = "wind 3.5 GW, größer\n" * 1000
    with mlflow.start_run(experiment_id=experiment) as run:
        mlflow.log_text(text, "notes/größe.txt")
    assert run.info.artifact_uri.startswith(f"ftp://guest:12345@127.0.0.1:{running_servers.ftp_port}/artifacts/")
    assert [file.path for file in mlflow.MlflowClient().list_artifacts(run.info.run_id, "notes")] == ["notes/größe.txt"]
    path = mlflow.artifacts.download_artifacts(
        run_id=run.info.run_id, artifact_path="notes/größe.txt", dst_path=tmp_path
    )
    assert Path(path).read_text(encoding="utf-8") == text
