"""Start, use and stop the real artifact store as a person and as MLflow do."""

import contextlib
import ftplib
import io
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow.store.artifact.ftp_artifact_repo import FTPArtifactRepository
from stores import SCRIPT, refused, store, until

from server import logins, servers

posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no signals and no modes")
CONTENT = b"\x00\xff" * 500_000


OUTSIDE = ("../secret", "/../secret", "folder/../../secret", "%2e%2e/secret", "..\\secret", "{}", "../root-2/secret")


@pytest.mark.parametrize("path", OUTSIDE)
def test_what_lies_outside_the_root_is_neither_read_nor_written(running, path):
    outside = running.root.parent
    for folder in (outside, outside / "root-2"):
        folder.mkdir(exist_ok=True)
        (folder / "secret").write_text("the database")
    path = path.format(outside / "secret")

    def content() -> dict[Path, bytes | None]:
        entries = [entry for entry in outside.rglob("*") if running.root not in entry.parents and entry != running.log]
        return {entry: entry.read_bytes() if entry.is_file() else None for entry in entries}

    before = content()
    with running.login() as ftp:
        for command in ("RETR", "DELE", "MKD", "RMD", "CWD", "RNFR", "STOR", "APPE"):
            with contextlib.suppress(ftplib.error_perm):
                if command in ("STOR", "APPE"):
                    ftp.storbinary(f"{command} {path}", io.BytesIO(b"mine"))
                elif command == "RETR":
                    ftp.retrbinary(f"RETR {path}", lambda got: pytest.fail("read") if b"database" in got else None)
                else:
                    ftp.sendcmd(f"{command} {path}")
                    if command == "RNFR":
                        ftp.sendcmd("RNTO taken")
            ftp.cwd("/..")
            assert ftp.pwd() == "/"
    assert content() == before


REACHED = (
    "ftpserver: others can reach {}, and the password 12345 is known to everybody; set one of your own in the "
    "environment variable MLFLOW_FTP_PASSWORD or with --password-file."
)
PORT = "error: argument --port: expected a number from 1 to 65535, found '{}'"
RANGE = "error: argument --passive-ports: expected FIRST-LAST such as 30000-30999, found '{}'"
USER = "error: argument --user: expected a name of your own, found '{}'"


@pytest.mark.parametrize(
    ("arguments", "variables", "sentence"),
    [
        *((["--host", host], {}, REACHED.format(host)) for host in ("0.0.0.0", "192.0.2.2", "::", "example.org")),
        (["--host", ""], {"MLFLOW_FTP_PASSWORD": "12345"}, REACHED.format("every address")),
        ([], {"MLFLOW_FTP_PASSWORD": ""}, "ftpserver: the password in MLFLOW_FTP_PASSWORD is empty; choose one."),
        (["--password-file", "missing"], {}, "ftpserver: there is no file missing."),
        (["--password-file", os.devnull], {}, f"ftpserver: there is no file {os.devnull}."),
        *(([f"--port={port}"], {}, PORT.format(port)) for port in ("0", "65536", "ftp", "-1", "²")),
        ([], {"FTP_PORT": "ftp"}, PORT.format("ftp")),
        *(([f"--passive-ports={ports}"], {}, RANGE.format(ports)) for ports in ("30000", "2-1", "0-5", "a-b", "1-2-3")),
        *((["--user", user], {}, USER.format(user)) for user in ("", "anonymous")),
    ],
)
def test_a_setting_that_will_not_do_is_refused_in_one_sentence(arguments, variables, sentence, tmp_path):
    assert refused("--root", str(tmp_path / "root"), *arguments, **variables).endswith(sentence)


def test_with_a_password_of_ones_own_it_listens_anywhere(tmp_path, free_port):
    with store(tmp_path, free_port(), "--host", "0.0.0.0") as up, up.login() as ftp:
        ftp.storbinary("STOR file", io.BytesIO(CONTENT))
        assert ftp.size("file") == len(CONTENT)


def test_typed_plainly_it_lets_the_guest_in_with_the_known_password(tmp_path, free_port):
    with store(tmp_path, free_port(), MLFLOW_FTP_PASSWORD="12345") as up, up.login() as ftp:
        host, port = ftplib.parse227(ftp.sendcmd("PASV"))
        assert (up.user, host) == ("guest", "127.0.0.1")
        assert 30000 <= port <= 30999


def test_no_child_of_the_server_is_given_the_password(monkeypatch):
    monkeypatch.setenv("MLFLOW_FTP_PASSWORD", "of my own")
    assert logins.choose_password(None, "127.0.0.1") == "of my own"
    assert "MLFLOW_FTP_PASSWORD" not in os.environ
    assert logins.choose_password(None, "127.0.0.1") == "12345"


@posix
def test_a_password_file_of_ones_own_is_used_and_the_variable_is_not(tmp_path, free_port):
    file = tmp_path / "password"
    file.write_bytes("\ufeffof my own\r\n".encode())
    file.chmod(0o600)
    with store(tmp_path, free_port(), "--password-file", str(file), MLFLOW_FTP_USERNAME="somebody") as up:
        with pytest.raises(ftplib.error_perm, match="530"), up.login():
            pass
        up.user, up.password = "somebody", "of my own"
        with up.login() as ftp:
            assert ftp.pwd() == "/"


@posix
@pytest.mark.parametrize(
    ("mode", "text", "reason"),
    [
        (0o640, "mine", "{file} can be read by others; make it yours alone with: chmod 600 {file}."),
        (0o600, "", "the password in {file} is empty; choose one."),
    ],
)
def test_a_password_file_that_will_not_do_is_named_with_the_way_out(mode, text, reason, tmp_path):
    file = tmp_path / "password"
    file.write_text(text)
    file.chmod(mode)
    said = refused("--password-file", str(file), "--root", str(tmp_path / "root"))
    assert said == f"ftpserver: {reason.format(file=file)}"


def test_a_port_that_is_taken_and_a_root_that_is_a_file_are_named_with_the_way_out(running, free_port, tmp_path):
    said = refused("--port", str(running.port), "--root", str(tmp_path))
    assert re.search(rf"cannot listen on 127\.0\.0\.1:{running.port}: .*in use.* with --port\.$", said)
    root = tmp_path / "root"
    root.touch()
    said = refused("--port", str(free_port()), "--root", str(root))
    assert re.search(rf"cannot serve the folder {root}: .* with --root\.$", said)


def test_help_explains_every_option_with_its_default_and_its_variable():
    text = subprocess.run([sys.executable, SCRIPT, "--help"], capture_output=True, text=True, check=True).stdout
    options = text[text.index("options:") :]
    for option in re.split(r"\n  (?=-)", options)[1:]:
        assert option.startswith("-h") or "(default: " in " ".join(option.split()), option
    for variable in ("FTP_PORT", "MLFLOW_FTP_USERNAME", "MLFLOW_FTP_PASSWORD"):
        assert variable in options


@posix
def test_a_transfer_that_runs_when_it_is_to_end_may_finish_and_everybody_else_is_sent_away(tmp_path, free_port):
    with store(tmp_path, free_port()) as up, up.login() as ftp, up.login() as idle, up.stranger() as stranger:
        with ftp.transfercmd("STOR file") as data:
            data.sendall(CONTENT[:1000])
            until(up.partial)
            up.process.send_signal(signal.SIGINT)
            assert idle.getline().startswith("421 The server is being stopped")
            assert [line[:3] for line in stranger.rest()] == ["220", "421"]
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


def test_the_stock_client_of_mlflow_works_with_it(running, tmp_path):
    client = FTPArtifactRepository(f"ftp://guest:{running.password}@127.0.0.1:{running.port}/stock/artifacts")
    source = tmp_path / "source"
    (source / "deep").mkdir(parents=True)
    (source / "größe.txt").write_bytes(CONTENT)
    (source / "deep" / "empty").touch()
    client.log_artifacts(str(source), "model")
    if os.name == "posix":
        stored = running.root / "stock/artifacts/model"
        assert [path.stat().st_mode & 0o777 for path in (stored / "größe.txt", stored)] == [0o600, 0o700]
    assert {(info.path, info.is_dir, info.file_size) for info in client.list_artifacts("model")} == {
        ("model/größe.txt", False, len(CONTENT)),
        ("model/deep", True, None),
    }
    got = Path(client.download_artifacts("model", tmp_path))
    assert (got / "größe.txt").read_bytes() == CONTENT
    assert (got / "deep" / "empty").read_bytes() == b""
