"""Start, use and stop the real artifact store as a person and as MLflow do."""

import contextlib
import ftplib
import io
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import ftpserver
import mlflow
import pytest
import servers
from mlflow.store.artifact.ftp_artifact_repo import FTPArtifactRepository
from stores import SCRIPT, Store, environment, refused, store, until

posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no signals and no modes")
CONTENT = b"\x00\xff" * 500_000


@pytest.fixture(scope="module")
def running(tmp_path_factory, free_port) -> Iterator[Store]:
    with store(tmp_path_factory.mktemp("store"), free_port()) as up:
        yield up


def test_a_user_uploads_lists_downloads_renames_and_deletes(running):
    with running.login() as ftp:
        ftp.mkd("life")
        ftp.cwd("life")
        ftp.storbinary("STOR model.bin", io.BytesIO(CONTENT))
        assert (running.root / "life" / "model.bin").read_bytes() == CONTENT
        assert ftp.nlst() == ["model.bin"]
        ftp.rename("model.bin", "größe.bin")
        got = bytearray()
        ftp.retrbinary("RETR größe.bin", got.extend)
        assert got == CONTENT
        ftp.delete("größe.bin")
        ftp.cwd("/")
        ftp.rmd("life")
    assert not (running.root / "life").exists()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no modes")
def test_what_is_stored_is_for_the_user_who_runs_the_server(running):
    with running.login() as ftp:
        ftp.mkd("private")
        ftp.storbinary("STOR private/note.txt", io.BytesIO(b"note"))
        modes = [oct((running.root / name).stat().st_mode & 0o777) for name in ("private", "private/note.txt")]
        ftp.delete("private/note.txt")
        ftp.rmd("private")
    assert modes == ["0o700", "0o600"]


def test_typed_plainly_it_lets_the_guest_in_on_this_machine_only(tmp_path, free_port):
    port, log = free_port(), tmp_path / "log"
    command = [sys.executable, "ftpserver.py", "--root", tmp_path / "root"]
    with (
        log.open("wb") as output,
        subprocess.Popen(command, cwd=SCRIPT.parent, stderr=output, env=environment(FTP_PORT=str(port))) as process,
    ):
        try:
            until(lambda: servers.listens(port) or process.poll() is not None)
            with ftplib.FTP(timeout=20) as ftp:
                ftp.connect("127.0.0.1", port)
                assert ftp.login("guest", "12345").startswith("230")
                first = ftplib.parse227(ftp.sendcmd("PASV"))
            assert first[0] == "127.0.0.1"
            assert 30000 <= first[1] <= 30999
        finally:
            process.terminate()
    assert "12345" not in re.sub(r":\d+", "", log.read_text())


@pytest.mark.parametrize(
    "command", ["STOR {}", "RETR {}", "DELE {}", "APPE {}", "MKD {}", "RMD {}", "CWD {}", "RNFR {}"]
)
@pytest.mark.parametrize(
    "path",
    ["../secret", "/../secret", "folder/../../secret", "%2e%2e/secret", "..\\secret", "{}", "/{}", "../root-2/secret"],
)
def test_what_lies_outside_the_root_is_neither_read_nor_written(running, command, path):
    outside = running.root.parent
    for folder in (outside, outside / "root-2"):
        folder.mkdir(exist_ok=True)
        (folder / "secret").write_text("the database")
    path = path.format(outside / "secret")
    before = {entry.relative_to(outside) for entry in outside.rglob("*") if running.root not in entry.parents}
    with running.login() as ftp, contextlib.suppress(ftplib.error_perm):
        if command.startswith(("STOR", "APPE")):
            ftp.storbinary(command.format(path), io.BytesIO(b"mine"))
        elif command.startswith("RETR"):
            ftp.retrbinary(command.format(path), lambda got: pytest.fail("read") if b"database" in got else None)
        else:
            ftp.sendcmd(command.format(path))
            if command.startswith("RNFR"):
                ftp.sendcmd("RNTO taken")
        ftp.cwd("/..")
        assert ftp.pwd() == "/"
    after = {entry.relative_to(outside) for entry in outside.rglob("*") if running.root not in entry.parents}
    assert after == before
    assert (outside / "secret").read_text() == (outside / "root-2" / "secret").read_text() == "the database"
    for entry in sorted(running.root.iterdir()):
        entry.rmdir() if entry.is_dir() else entry.unlink()


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.2", "::", "example.org", ""])
@pytest.mark.parametrize("password", [None, "12345"])
def test_an_address_that_others_can_reach_takes_a_password_of_ones_own(host, password, tmp_path):
    variables = {"MLFLOW_FTP_PASSWORD": password} if password else {}
    assert refused("--host", host, "--root", str(tmp_path), **variables) == (
        f"ftpserver: others can reach {host or 'every address'}, and the password 12345 is known to everybody; set one "
        "of your own in the environment variable MLFLOW_FTP_PASSWORD or with --password-file."
    )


@pytest.mark.parametrize("host", ["0.0.0.0", "localhost", "::1"])
def test_with_a_password_of_ones_own_it_listens_anywhere(host, tmp_path, free_port):
    if ":" in host:
        try:
            socket.create_server((host, 0), family=socket.AF_INET6).close()
        except OSError:
            pytest.skip("no IPv6 here")
    with (
        store(tmp_path, free_port(), "--host", host) as up,
        up.login(host="::1" if ":" in host else "127.0.0.1") as ftp,
    ):
        ftp.storbinary("STOR file", io.BytesIO(CONTENT))
        assert ftp.size("file") == len(CONTENT)


@posix
@pytest.mark.parametrize("content", ["of my own", "of my own\n"])
def test_a_password_file_of_ones_own_is_used_and_the_variable_is_not(content, tmp_path, free_port):
    file = tmp_path / "password"
    file.write_text(content)
    file.chmod(0o600)
    with store(tmp_path, free_port(), "--password-file", str(file), MLFLOW_FTP_USERNAME="somebody") as up:
        with pytest.raises(ftplib.error_perm, match="530"), up.login():
            pass
        up.user, up.password = "somebody", "of my own"
        with up.login() as ftp:
            assert ftp.pwd() == "/"


@posix
@pytest.mark.parametrize("mode", [0o604, 0o640, 0o622])
def test_a_password_file_that_others_can_read_is_refused_with_the_command_that_mends_it(mode, tmp_path):
    file = tmp_path / "password"
    file.write_text("of my own")
    file.chmod(mode)
    assert refused("--password-file", str(file), "--root", str(tmp_path)) == (
        f"ftpserver: {file} can be read by others; make it yours alone with: chmod 600 {file}."
    )


def test_an_empty_password_and_a_file_that_is_not_there_are_refused(tmp_path):
    file, root = tmp_path / "password", str(tmp_path / "root")
    assert refused("--root", root, MLFLOW_FTP_PASSWORD="") == (
        "ftpserver: the password in MLFLOW_FTP_PASSWORD is empty; choose one."
    )
    assert refused("--root", root, "--password-file", str(file)) == f"ftpserver: there is no file {file}."
    file.touch(mode=0o600)
    assert refused("--root", root, "--password-file", str(file)) == (
        f"ftpserver: the password in {file} is empty; choose one."
    )


def test_no_child_of_the_server_is_given_the_password(tmp_path, free_port):
    code = (
        "import os, sys, ftpserver; ftpserver.Server.run = lambda server: print(sorted(os.environ)); ftpserver.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "--port", str(free_port()), "--root", tmp_path / "root"],
        cwd=SCRIPT.parent,
        env=environment(MLFLOW_FTP_PASSWORD="of my own"),
        capture_output=True,
        text=True,
        check=True,
    )
    assert "PATH" in done.stdout
    assert "MLFLOW_FTP_PASSWORD" not in done.stdout


@pytest.mark.parametrize("port", ["0", "65536", "ftp", "-1", "²"])
def test_a_port_that_is_none_is_refused_wherever_it_comes_from(port):
    reason = f"error: argument --port: expected a number from 1 to 65535, found {port!r}"
    assert refused(f"--port={port}").endswith(reason)
    assert refused(FTP_PORT=port).endswith(reason)


@pytest.mark.parametrize("ports", ["30000", "2-1", "0-5", "1-65536", "a-b", "1-2-3", ""])
def test_a_range_of_ports_that_is_none_is_refused(ports):
    reason = f"error: argument --passive-ports: expected FIRST-LAST such as 30000-30999, found {ports!r}"
    assert refused(f"--passive-ports={ports}").endswith(reason)


@pytest.mark.parametrize("user", ["", "anonymous"])
def test_a_user_without_a_name_is_refused(user):
    assert refused("--user", user).endswith(f"error: argument --user: expected a name of your own, found {user!r}")


def test_a_port_that_is_taken_is_named_with_the_way_out(running, tmp_path):
    assert re.fullmatch(
        rf"ftpserver: cannot listen on 127\.0\.0\.1:{running.port}: .*in use.*"
        r"Stop the program that uses the port, or choose another one with --port\.",
        refused("--port", str(running.port), "--root", str(tmp_path)),
    )


def test_a_root_that_is_a_file_is_named_with_the_way_out(free_port, tmp_path):
    root = tmp_path / "root"
    root.touch()
    line = refused("--port", str(free_port()), "--root", str(root))
    assert line.startswith(f"ftpserver: cannot serve the folder {root}: ")
    assert line.endswith("Choose another one with --root.")


def test_help_explains_every_option_with_its_default_and_its_variable():
    text = subprocess.run([sys.executable, SCRIPT, "--help"], capture_output=True, text=True, check=True).stdout
    options = text[text.index("options:") :]
    for option in re.split(r"\n  (?=-)", options)[1:]:
        assert option.startswith("-h") or "(default: " in " ".join(option.split()), option
    for variable in ("FTP_PORT", "MLFLOW_FTP_USERNAME", "MLFLOW_FTP_PASSWORD"):
        assert variable in options


@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_at_once_and_well_when_nobody_transfers_anything(number, tmp_path, free_port):
    with store(tmp_path, free_port()) as up, up.login() as ftp, up.stranger() as stranger:
        up.process.send_signal(number)
        assert ftp.getline().startswith("421 The server is being stopped")
        assert up.process.wait(20) == 0
        assert [line[:3] for line in stranger.rest()] == ["220", "421"]
        assert not servers.listens(up.port)


@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_transfer_that_runs_when_it_is_to_end_may_finish_and_nobody_new_comes(number, tmp_path, free_port):
    with store(tmp_path, free_port()) as up, up.login() as ftp, up.login() as idle:
        with ftp.transfercmd("STOR file") as data:
            data.sendall(CONTENT[:1000])
            until(up.partial)
            up.process.send_signal(number)
            assert idle.getline().startswith("421")
            until(lambda: not servers.listens(up.port))
            data.sendall(CONTENT[1000:])
        assert ftp.voidresp() == "226 Transfer complete."
        assert ftp.getline().startswith("421")
        assert up.process.wait(20) == 0
    assert (up.root / "file").read_bytes() == CONTENT


@posix
@pytest.mark.parametrize("signals", [1, 2])
def test_a_transfer_that_does_not_finish_is_given_up_after_some_seconds_or_a_second_signal(
    signals, tmp_path, free_port
):
    first = "ftpserver.STOP_SECONDS = 0.5" if signals == 1 else "ftpserver.STOP_SECONDS = 600"
    with (
        contextlib.suppress(AssertionError) if signals == 2 else contextlib.nullcontext(),
        store(tmp_path, free_port(), first=first) as up,
        up.login() as ftp,
        ftp.transfercmd("STOR file") as data,
    ):
        data.sendall(CONTENT)
        until(up.partial)
        up.process.terminate()
        if signals == 2:
            until(lambda: not servers.listens(up.port))
            up.process.terminate()
        assert up.process.wait(20) == signals - 1
    assert list(up.root.iterdir()) == []
    assert "Traceback" not in up.log.read_text()


def test_the_server_is_never_its_own_root():
    assert Path(ftpserver.__file__).with_name("ftp_root").parent == SCRIPT.parent


def test_the_stock_client_of_mlflow_works_with_it(running, tmp_path):
    client = FTPArtifactRepository(f"ftp://guest:{running.password}@127.0.0.1:{running.port}/stock/artifacts")
    source = tmp_path / "source"
    (source / "deep").mkdir(parents=True)
    (source / "größe.txt").write_bytes(CONTENT)
    (source / "deep" / "empty").touch()
    client.log_artifacts(str(source), "model")
    assert {(info.path, info.is_dir, info.file_size) for info in client.list_artifacts("model")} == {
        ("model/größe.txt", False, len(CONTENT)),
        ("model/deep", True, None),
    }
    got = Path(client.download_artifacts("model", tmp_path))
    assert (got / "größe.txt").read_bytes() == CONTENT
    assert (got / "deep" / "empty").read_bytes() == b""


def test_mlflow_logs_an_artifact_into_the_store_and_reads_it_back(running_servers, tmp_path):
    experiment = mlflow.create_experiment(f"artifacts {tmp_path}")
    text = "wind 3.5 GW, größer\n" * 1000
    with mlflow.start_run(experiment_id=experiment) as run:
        mlflow.log_text(text, "notes/größe.txt")
    assert run.info.artifact_uri.startswith(f"ftp://127.0.0.1:{running_servers.ftp_port}/artifacts/")
    assert [file.path for file in mlflow.MlflowClient().list_artifacts(run.info.run_id, "notes")] == ["notes/größe.txt"]
    path = mlflow.artifacts.download_artifacts(
        run_id=run.info.run_id, artifact_path="notes/größe.txt", dst_path=tmp_path
    )
    assert Path(path).read_text(encoding="utf-8") == text
