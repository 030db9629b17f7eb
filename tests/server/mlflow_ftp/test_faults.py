"""What breaks, freezes or refuses: an error in time, or the transfer goes on; never a partial file."""

import contextlib
import os
import re
import shutil
import socket
import socketserver
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException
from mlflow_ftp import FTPArtifactRepository

SIZE = 20_000_000  # more than all the buffers on the way hold


@pytest.fixture
def large(tmp_path) -> Path:
    """Return a large file."""
    path = tmp_path / "large"
    path.write_bytes(os.urandom(SIZE))
    return path


@pytest.fixture
def empty_store(plain_store):
    """Return our server with an empty folder."""
    shutil.rmtree(plain_store.folder, ignore_errors=True)
    return plain_store


def failure(deed: Callable, seconds: float = 1) -> MlflowException:
    """Return the error that a deed ends with, which comes within the time-out of so many seconds and a bit."""
    start = time.monotonic()
    with pytest.raises(MlflowException) as error:
        deed()
    assert time.monotonic() - start < seconds + 3
    assert not set(error.value.message) & set("\r\n\0")
    return error.value


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def scripted(client: socket.socket, replies: dict[str, str]) -> None:
    """Be an FTP server of few words: a greeting, one reply for each command, and a listing."""
    with (
        contextlib.suppress(OSError),
        socket.create_server(("127.0.0.1", 0)) as data,
        client.makefile("rb") as commands,
    ):
        port = data.getsockname()[1]
        known = {
            "USER": "331 Password?",
            "PASS": "230 Come in.",
            "PASV": f"227 Entering passive mode (127,0,0,1,{port // 256},{port % 256}).",
            "MLSD": "150 Here it comes.",
            "RETR": "150 Here it comes.",
            "STOR": "150 Go on.",
            "RNFR": "350 To which?",
            "DELE": "550 No.",
            **replies,
        }
        client.sendall(known["greeting"].encode("latin-1") + b"\r\n")
        for line in commands:
            word = line.split()[0].decode()
            client.sendall(known.get(word, "200 Yes.").encode("latin-1") + b"\r\n")
            if word == "STOR" and known["STOR"].startswith("1"):
                with data.accept()[0] as channel:
                    while channel.recv(65536):
                        pass
                client.sendall(b"226 Thanks.\r\n")
            if word in ("MLSD", "RETR"):
                with data.accept()[0] as channel:
                    channel.sendall(known["data"].encode("latin-1"))
                client.sendall(b"226 That was it.\r\n")


@pytest.fixture
def script(login) -> Iterator[Callable[..., FTPArtifactRepository]]:
    """Return a function that starts such a server and returns a repository on it."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            scripted(self.request, self.server.replies)

    with contextlib.ExitStack() as stack:

        def start(user: str = "", **replies: str) -> FTPArtifactRepository:
            server = stack.enter_context(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler))
            server.daemon_threads, server.replies = True, {"greeting": "220 Ready.", **replies}
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
            stack.callback(server.shutdown)
            return FTPArtifactRepository(f"ftp://{user}127.0.0.1:{server.server_address[1]}/a")

        yield start


def test_a_port_without_a_server_is_named_with_the_next_command(login, free_port, large):
    port = free_port()
    repository = FTPArtifactRepository(f"ftp://127.0.0.1:{port}/artifacts/1")
    for deed, doing in (
        (lambda: repository.list_artifacts("model"), "list /artifacts/1/model"),
        (lambda: repository.log_artifact(large, "model"), "write /artifacts/1/model/large"),
        (lambda: repository._download_file("model", large.parent / "model"), "read /artifacts/1/model"),
        (lambda: repository.delete_artifacts(), "delete /artifacts/1"),
    ):
        said = f"Cannot {doing}: no FTP server answers at 127.0.0.1:{port}; start it with: python ftpserver.py"
        assert failure(deed).message.startswith(said)
    assert names(large.parent) == ["large"]


def test_a_server_that_takes_connections_and_says_nothing_is_an_error_in_time(login, monkeypatch):
    monkeypatch.setenv("MLFLOW_FTP_TIMEOUT", "1")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        repository = FTPArtifactRepository(f"ftp://127.0.0.1:{listener.getsockname()[1]}/a")
        assert "no FTP server answers" in failure(repository.list_artifacts).message
        monkeypatch.setenv("MLFLOW_FTP_TIMEOUT", "0.2")
        assert "within 0.2 s, see MLFLOW_FTP_TIMEOUT" in failure(repository.list_artifacts).message


def test_a_time_out_that_is_none_is_named(plain_store, monkeypatch):
    for text in ("soon", "0", "nan"):
        monkeypatch.setenv("MLFLOW_FTP_TIMEOUT", text)
        message = failure(FTPArtifactRepository(plain_store.address).list_artifacts).message
        assert f"MLFLOW_FTP_TIMEOUT has to be a number of seconds above 0 and up to a day, found {text!r}" in message


@pytest.mark.parametrize("command", ["USER", "STOR", "RNTO"])
def test_a_server_that_freezes_at_any_command_of_an_upload_is_an_error_in_time(
    empty_store, relay, large, monkeypatch, command
):
    monkeypatch.setenv("MLFLOW_FTP_TIMEOUT", "1")
    _, repository = relay(empty_store, ("freeze", command))
    error = failure(lambda: repository.log_artifact(large))
    assert error.error_code == "TEMPORARILY_UNAVAILABLE"
    assert f"127.0.0.2:{empty_store.port}" in error.message
    assert "MLFLOW_FTP_TIMEOUT" in error.message
    assert not (empty_store.folder / "large").exists()


@pytest.mark.parametrize("direction", ["up", "down"])
def test_a_server_that_freezes_amid_a_file_is_an_error_in_time_and_no_partial_file_shows(
    empty_store, relay, large, monkeypatch, direction
):
    monkeypatch.setenv("MLFLOW_FTP_TIMEOUT", "1")
    straight = FTPArtifactRepository(empty_store.address)
    _, repository = relay(empty_store, ("freeze", (direction, 3_000_000)))
    if direction == "up":
        error = failure(lambda: repository.log_artifact(large))
        assert straight.list_artifacts() == []
    else:
        straight.log_artifact(large)
        error = failure(lambda: repository._download_file("large", large.parent / "target"))
        assert names(large.parent) == ["large"]
    assert "said nothing for 1 s" in error.message


def test_a_server_that_freezes_is_waited_for_once_and_not_for_each_file(empty_store, relay, monkeypatch, tmp_path):
    for number in range(40):
        (tmp_path / f"{number}").write_text("text")
    FTPArtifactRepository(empty_store.address).log_artifacts(tmp_path)
    monkeypatch.setenv("MLFLOW_FTP_TIMEOUT", "1")
    _, repository = relay(empty_store, ("freeze", "RETR"))
    start = time.monotonic()
    failure(lambda: repository.download_artifacts(""))
    assert time.monotonic() - start < 1.8


def check_transfer(server, repository: FTPArtifactRepository, large: Path, direction: str) -> None:
    """Move a file through a relay; it arrives whole, and nothing else does."""
    if direction == "up":
        repository.log_artifact(large)
        assert (server.folder / "large").read_bytes() == large.read_bytes()
        assert names(server.folder) == ["large"]
    else:
        FTPArtifactRepository(server.address).log_artifact(large)
        repository._download_file("large", large.parent / "back")
        assert (large.parent / "back").read_bytes() == large.read_bytes()


@pytest.mark.parametrize("kind", ["plain_store", "vsftpd_of_few_ports"])
@pytest.mark.parametrize("direction", ["up", "down"])
def test_a_file_whose_connection_breaks_again_and_again_is_resumed(request, relay, large, kind, direction):
    server = request.getfixturevalue(kind)
    shutil.rmtree(server.folder, ignore_errors=True)
    sizes = (6_000_000, 5_000_000, 4_000_000, 1_000_000)
    through, repository = relay(server, *(("cut", (direction, size)) for size in sizes))
    check_transfer(server, repository, large, direction)
    assert through.faults == []
    offsets = [int(command.split()[1]) for command in through.commands if command.startswith("REST")]
    assert len(offsets) == 4
    assert offsets == sorted(offsets)
    assert offsets[-1] > 1_000_000


def test_a_connection_that_breaks_at_one_command_of_an_upload_after_the_other_loses_nothing(
    empty_store, relay, tmp_path
):
    (tmp_path / "file").write_text("content")
    through, repository = relay(empty_store, *(("cut", command) for command in ("PASV", "STOR", "MKD", "SIZE", "RNTO")))
    repository.log_artifact(tmp_path / "file")
    assert (empty_store.folder / "file").read_text() == "content"
    assert [info.path for info in repository.list_artifacts()] == ["file"]
    assert through.faults == []


def test_a_connection_that_breaks_without_end_is_an_error_and_leaves_nothing(empty_store, relay, large, monkeypatch):
    monkeypatch.setenv("MLFLOW_FTP_TIMEOUT", "2")
    straight = FTPArtifactRepository(empty_store.address)
    _, repository = relay(empty_store, *[("cut", ("up", 0))] * 100)
    assert "broke" in failure(lambda: repository.log_artifact(large), 8).message
    assert straight.list_artifacts() == []


def test_a_file_that_changed_on_the_server_is_not_resumed_with_the_old_part(empty_store, relay, large):
    straight = FTPArtifactRepository(empty_store.address)
    straight.log_artifact(large)
    through, repository = relay(empty_store, ("cut", ("down", 5_000_000)))
    replaced = os.urandom(SIZE + 1)

    def replace() -> None:
        large.write_bytes(replaced)
        straight.log_artifact(large)

    through.before_cut = replace
    repository._download_file("large", large.parent / "back")
    assert (large.parent / "back").read_bytes() == replaced


def test_a_server_that_is_gone_for_good_amid_a_file_is_an_error_in_time(start_store, relay, large, monkeypatch):
    server = start_store(large.parent)
    monkeypatch.setenv("MLFLOW_FTP_TIMEOUT", "2")
    through, repository = relay(server, ("cut", ("up", 3_000_000)))
    through.before_cut = server.stop
    message = failure(lambda: repository.log_artifact(large), 2).message
    assert f"no FTP server answers at 127.0.0.2:{server.port}" in message
    assert not (server.folder / "large").exists()


def test_a_server_that_is_started_anew_amid_a_file_goes_on_with_it(start_store, relay, large):
    server = start_store(large.parent)
    through, repository = relay(server, ("cut", ("up", 8_000_000)))

    def restart() -> None:
        server.stop()
        start_store(large.parent, ports=(server.port, server.passive))

    through.after_cut = restart
    repository.log_artifact(large)
    assert (server.folder / "large").read_bytes() == large.read_bytes()
    assert any(command.startswith("REST") for command in through.commands)


@pytest.mark.parametrize("change", ["shorter", "longer"])
def test_a_local_file_that_changes_while_it_is_sent_is_an_error_and_leaves_nothing(empty_store, relay, large, change):
    through, repository = relay(empty_store)
    pump = through.pump
    changed = threading.Event()

    def change_amid(source, target, direction, control, budget):
        if not control and direction == "up" and not changed.is_set():
            changed.set()
            os.truncate(large, 10_000_000 if change == "shorter" else SIZE + 1)
        pump(source, target, direction, control, budget)

    through.pump = change_amid
    assert "changed its size while it was read" in failure(lambda: repository.log_artifact(large)).message
    assert changed.is_set()
    assert list(empty_store.folder.iterdir()) == []


@pytest.mark.parametrize("path", ["", "model"])
def test_a_download_that_ends_too_soon_is_an_error_and_leaves_nothing(script, tmp_path, path, monkeypatch):
    monkeypatch.setenv("MLFLOW_FTP_TIMEOUT", "1")
    repository = script(data="type=file;size=99; model\r\n", SIZE="213 99", CWD="550 A file.")
    assert "of 99 bytes arrived" in failure(lambda: repository.download_artifacts(path, tmp_path)).message
    assert names(tmp_path) == []


@pytest.mark.parametrize("missing", [("MDTM",), ("MDTM", "REST", "MLSD")])
def test_a_server_that_knows_few_commands_will_do(start_bare, tmp_path, missing):
    server = start_bare(missing)
    (tmp_path / "file").write_text("12345")
    repository = FTPArtifactRepository(server.address)
    repository.log_artifact(tmp_path / "file", "b")
    assert [(info.path, info.file_size) for info in repository.list_artifacts("b")] == [("b/file", 5)]
    assert Path(repository.download_artifacts("b/file")).read_text() == "12345"
    repository.delete_artifacts()
    assert list(server.folder.parent.iterdir()) == []


@pytest.mark.parametrize("direction", ["up", "down"])
def test_without_rest_a_broken_transfer_begins_anew(start_bare, relay, large, direction):
    server = start_bare(("REST",))
    through, repository = relay(server, ("cut", (direction, 5_000_000)))
    check_transfer(server, repository, large, direction)
    assert through.faults == []


@pytest.mark.parametrize(
    ("replies", "reason"),
    [
        (
            {"greeting": "HTTP/1.1 400 Bad Request"},
            r"what answers at 127\.0\.0\.1:\d+ is not an FTP server, .* check host",
        ),
        ({"greeting": "\x16\x03\x01"}, "is not an FTP server"),
        ({"STOR": "452 No space left."}, r"the disk of the server at 127\.0\.0\.1:\d+ is full \(452 No space left\.\)"),
        ({"STOR": "552 No space left."}, r"the disk of the server at 127\.0\.0\.1:\d+ is full \(552 No space left\.\)"),
        ({"PASV": "227 Somewhere."}, r"makes no sense here \(227 Somewhere\.\)"),
        ({"PASV": "227 (127,0,0,1,999,1)."}, "names no port for data"),
        ({"PASV": "250 Yes."}, r"makes no sense here \(250 Yes\.\)"),
        ({"SIZE": "213 many"}, "has to know SIZE"),
        ({"SIZE": "502 What?"}, "has to know SIZE"),
        ({"SIZE": "213 3", "REST": "502 No.", "RNTO": "250 That would be wrong."}, "3 of 5 bytes arrived"),
    ],
)
def test_an_upload_that_the_server_does_not_take_is_an_error_that_says_why(
    script, tmp_path, monkeypatch, replies, reason
):
    monkeypatch.setenv("MLFLOW_FTP_TIMEOUT", "1")
    (tmp_path / "file").write_text("12345")
    repository = script(**replies)
    assert re.search(reason, failure(lambda: repository.log_artifact(tmp_path / "file")).message)


def test_a_server_without_a_free_connection_is_asked_again_until_the_time_is_up(script, monkeypatch):
    monkeypatch.setenv("MLFLOW_FTP_TIMEOUT", "1")
    start = time.monotonic()
    error = failure(script(greeting="421 Too many connections.").list_artifacts)
    assert time.monotonic() - start > 0.5
    assert error.error_code == "TEMPORARILY_UNAVAILABLE"
    assert "had no connection free for 1 s (421 Too many connections.)" in error.message


def test_a_server_that_is_ready_soon_is_waited_for(script):
    assert script(greeting="120 Soon.\r\n220 Now.", data="").list_artifacts() == []


def test_a_login_that_fails_names_the_user_and_where_the_password_comes_from_and_is_not_tried_again(plain_store, relay):
    through, _ = relay(plain_store)
    address = f"ftp://guest:wr0ng-pa55@127.0.0.2:{plain_store.port}/a"
    error = failure(FTPArtifactRepository(address).list_artifacts, 8)
    assert error.error_code == "PERMISSION_DENIED"
    for part in ("'guest'", "530", "MLFLOW_FTP_USERNAME and MLFLOW_FTP_PASSWORD", "netrc", "came from the address"):
        assert part in error.message
    assert [command.split()[0] for command in through.commands].count("PASS") == 1


@pytest.mark.parametrize("word", ["USER", "PASS", "TYPE", "STOR"])
def test_a_server_that_repeats_the_password_does_not_get_it_into_an_error(script, tmp_path, word):
    (tmp_path / "file").touch()
    repository = script("ada:s3cr3t%2Dword@", **{word: "530 What is s3cr3t-word supposed to mean?\x1b[31m \xe4"})
    error = failure(lambda: repository.log_artifact(tmp_path / "file"))
    shown = "".join(traceback.format_exception(error)) + repr(error) + repr(repository)
    assert "What is *** supposed to mean" in shown
    assert "s3cr3t" not in shown
    assert "\x1b" not in shown
    assert error.__context__ is None


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        *((line, "which is not understood") for line in ("type=file; ../../evil", "type=file; a\rb", "rubbish")),
        ("type=file; b\xe4r", "a name in /a is not UTF-8"),
    ],
)
def test_a_listing_with_names_that_are_none_is_an_error(script, tmp_path, line, reason):
    repository = script(data=f"{line}\r\n")
    assert reason in failure(lambda: repository.download_artifacts("", tmp_path)).message
    assert reason in failure(repository.delete_artifacts).message
    assert names(tmp_path) == []


def test_the_folder_itself_and_the_one_above_are_not_listed(script):
    data = "type=cdir; a\r\ntype=pdir; b\r\ntype=dir; .\r\ntype=dir; ..\r\nType=File;Size=3; c\r\n"
    assert [(info.path, info.file_size) for info in script(data=data).list_artifacts()] == [("c", 3)]
