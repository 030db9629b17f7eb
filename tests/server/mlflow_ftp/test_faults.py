"""What breaks, freezes or refuses: an error in time, or the transfer goes on; never a partial file."""

import contextlib
import os
import re
import shutil
import socket
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
    with contextlib.ExitStack() as stack:

        def serve(listener: socket.socket, replies: dict[str, str]) -> None:
            with contextlib.suppress(OSError):
                while True:
                    client = stack.enter_context(listener.accept()[0])
                    threads.append(threading.Thread(target=scripted, args=(client, replies)))
                    threads[-1].start()
                    clients.append(client)

        def start(user: str = "", **replies: str) -> FTPArtifactRepository:
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            threads.append(threading.Thread(target=serve, args=(listener, {"greeting": "220 Ready.", **replies})))
            threads[-1].start()
            clients.append(listener)
            return FTPArtifactRepository(f"ftp://{user}127.0.0.1:{listener.getsockname()[1]}/a")

        threads, clients = [], []
        yield start
        for end in clients:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(10)
            assert not thread.is_alive()


def test_a_port_without_a_server_is_named_with_the_next_command(login, free_port, large):
    port = free_port()
    repository = FTPArtifactRepository(f"ftp://127.0.0.1:{port}/artifacts/1")
    for deed, doing in (
        (lambda: repository.list_artifacts("model"), "list /artifacts/1/model"),
        (lambda: repository.log_artifact(large, "model"), "write /artifacts/1/model/large"),
        (lambda: repository._download_file("model", large.parent / "model"), "read /artifacts/1/model"),
        (lambda: repository.delete_artifacts(), "delete /artifacts/1"),
    ):
        assert failure(deed).message == (
            f"Cannot {doing}: no FTP server answers at 127.0.0.1:{port}; start it with: python ftpserver.py "
            "(Connection refused)"
        )
    assert names(large.parent) == ["large"]


def test_another_machine_that_does_not_answer_asks_for_another_advice(login):
    message = failure(lambda: FTPArtifactRepository("ftp://no-such-host.invalid/a").list_artifacts(), 20).message
    assert message.startswith("Cannot list /a: no FTP server answers at no-such-host.invalid:21; check the address and")
    assert "ftpserver.py" not in message


def test_a_server_that_takes_connections_and_says_nothing_is_an_error_in_time(login, monkeypatch):
    monkeypatch.setenv("MLFLOW_FTP_TIMEOUT", "1")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        repository = FTPArtifactRepository(f"ftp://127.0.0.1:{listener.getsockname()[1]}/a")
        assert "no FTP server answers" in failure(repository.list_artifacts).message
        monkeypatch.setenv("MLFLOW_FTP_TIMEOUT", "0.2")
        start = time.monotonic()
        assert "within 0.2 s, see MLFLOW_FTP_TIMEOUT" in failure(repository.list_artifacts).message
        assert time.monotonic() - start < 1


@pytest.mark.parametrize("text", ["soon", "0", "-1", "nan", "inf"])
def test_a_time_out_that_is_none_is_named(plain_store, monkeypatch, text):
    monkeypatch.setenv("MLFLOW_FTP_TIMEOUT", text)
    message = failure(FTPArtifactRepository(plain_store.address).list_artifacts).message
    assert message.startswith(
        f"MLFLOW_FTP_TIMEOUT has to be a number of seconds above 0 and up to a day, found {text!r}"
    )


@pytest.mark.parametrize("greeting", ["HTTP/1.1 400 Bad Request", "SSH-2.0-OpenSSH_9.2", "\x16\x03\x01", "5"])
def test_a_server_of_another_kind_is_named(script, greeting):
    repository = script(greeting=greeting)
    message = failure(repository.list_artifacts).message
    assert re.search(r"what answers at 127\.0\.0\.1:\d+ is not an FTP server, .* check host and port", message)


@pytest.mark.parametrize("freeze_at", ["USER", "PASS", "TYPE", "PASV", "STOR", "SIZE", "RNTO"])
def test_a_server_that_freezes_at_any_command_of_an_upload_is_an_error_in_time(
    empty_store, relay, large, monkeypatch, freeze_at
):
    monkeypatch.setenv("MLFLOW_FTP_TIMEOUT", "1")
    _, repository = relay(empty_store, freeze_at=freeze_at)
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
    if direction == "down":
        straight.log_artifact(large)
    _, repository = relay(empty_store, freeze_after=(direction, 3_000_000))
    target = large.parent / "target"
    target.mkdir()
    if direction == "up":
        error = failure(lambda: repository.log_artifact(large))
        assert straight.list_artifacts() == []
    else:
        error = failure(lambda: repository._download_file("large", target / "large"))
        assert names(target) == []
    assert "said nothing for 1 s" in error.message


def test_a_server_that_freezes_is_waited_for_once_and_not_for_each_file(empty_store, relay, monkeypatch, tmp_path):
    for number in range(40):
        (tmp_path / f"{number}").write_text("text")
    FTPArtifactRepository(empty_store.address).log_artifacts(tmp_path)
    monkeypatch.setenv("MLFLOW_FTP_TIMEOUT", "1")
    _, repository = relay(empty_store, freeze_at="RETR")
    failure(lambda: repository.download_artifacts(""))


@pytest.mark.parametrize("kind", ["plain_store", "vsftpd"])
@pytest.mark.parametrize("direction", ["up", "down"])
def test_a_file_whose_connection_breaks_again_and_again_is_resumed(request, relay, large, kind, direction):
    server = request.getfixturevalue(kind)
    shutil.rmtree(server.folder, ignore_errors=True)
    cuts = [(direction, 6_000_000), (direction, 5_000_000), (direction, 4_000_000), (direction, 1_000_000)]
    through, repository = relay(server, cuts=cuts)
    if direction == "up":
        repository.log_artifact(large)
        assert (server.folder / "large").read_bytes() == large.read_bytes()
        assert names(server.folder) == ["large"]
    else:
        FTPArtifactRepository(server.address).log_artifact(large)
        repository._download_file("large", large.parent / "back")
        assert (large.parent / "back").read_bytes() == large.read_bytes()
        assert names(large.parent) == ["back", "large"]
    assert through.cuts == []
    offsets = [int(command.split()[1]) for command in through.commands if command.startswith("REST")]
    assert len(offsets) == 4
    assert offsets == sorted(offsets)
    assert offsets[-1] > 1_000_000


@pytest.mark.parametrize("cut_at", ["MKD", "PASV", "STOR", "SIZE", "RNTO"])
def test_a_connection_that_breaks_at_any_command_of_an_upload_loses_nothing(empty_store, relay, tmp_path, cut_at):
    (tmp_path / "file").write_text("content")
    through, repository = relay(empty_store, cut_at=[cut_at])
    repository.log_artifact(tmp_path / "file")
    assert (empty_store.folder / "file").read_text() == "content"
    assert [info.path for info in repository.list_artifacts()] == ["file"]
    assert through.cut_at == []


def test_a_connection_that_breaks_without_end_is_an_error_and_leaves_nothing(empty_store, relay, large, tmp_path):
    straight = FTPArtifactRepository(empty_store.address)
    _, repository = relay(empty_store, cuts=[("up", 0)] * 10)
    assert "broke" in failure(lambda: repository.log_artifact(large), 8).message
    assert straight.list_artifacts() == []


def test_a_file_that_changed_on_the_server_is_not_resumed_with_the_old_part(empty_store, relay, large):
    straight = FTPArtifactRepository(empty_store.address)
    straight.log_artifact(large)
    through, repository = relay(empty_store, cuts=[("down", 5_000_000)])
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
    through, repository = relay(server, cuts=[("up", 3_000_000)])
    through.before_cut = server.stop
    message = failure(lambda: repository.log_artifact(large), 2).message
    assert f"no FTP server answers at 127.0.0.2:{server.port}" in message
    assert not (server.folder / "large").exists()


def test_a_server_that_is_started_anew_amid_a_file_goes_on_with_it(start_store, relay, large):
    servers = [start_store(large.parent)]
    through, repository = relay(servers[0], cuts=[("up", 8_000_000)])

    def restart() -> None:
        servers[-1].stop()
        servers.append(start_store(large.parent, ports=(servers[0].port, servers[0].passive)))

    through.after_cut = restart
    try:
        repository.log_artifact(large)
        assert (servers[-1].folder / "large").read_bytes() == large.read_bytes()
        assert any(command.startswith("REST") for command in through.commands)
    finally:
        servers[-1].stop()


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


def test_a_file_that_arrives_shorter_than_it_was_gets_no_name(script, tmp_path):
    (tmp_path / "file").write_text("12345")
    repository = script(SIZE="213 3", REST="502 No.", RNTO="250 That would be wrong.")
    assert "3 of 5 bytes arrived" in failure(lambda: repository.log_artifact(tmp_path / "file")).message


@pytest.mark.parametrize("path", ["", "model"])
def test_a_download_that_ends_too_soon_is_an_error_and_leaves_nothing(script, tmp_path, path):
    repository = script(data="type=file;size=99; model\r\n", SIZE="213 99", CWD="550 A file.")
    assert "of 99 bytes arrived" in failure(lambda: repository.download_artifacts(path, tmp_path)).message
    assert names(tmp_path) == []


@pytest.mark.parametrize("missing", [("SIZE",), ("MLSD",), ("MDTM", "SIZE", "REST", "MLSD")])
def test_a_server_that_knows_few_commands_will_do(start_bare, tmp_path, missing):
    server = start_bare(missing)
    (tmp_path / "file").write_text("12345")
    repository = FTPArtifactRepository(server.address)
    repository.log_artifact(tmp_path / "file", "b")
    assert (server.folder / "b" / "file").read_text() == "12345"
    assert [(info.path, info.file_size) for info in repository.list_artifacts("b")] == [("b/file", 5)]
    repository._download_file("b/file", tmp_path / "back")
    assert (tmp_path / "back").read_text() == "12345"
    repository.delete_artifacts()
    assert list(server.folder.parent.iterdir()) == []


@pytest.mark.parametrize("direction", ["up", "down"])
def test_without_rest_a_broken_transfer_begins_anew(start_bare, relay, large, direction):
    server = start_bare(("REST",))
    through, repository = relay(server, cuts=[(direction, 5_000_000)])
    if direction == "up":
        repository.log_artifact(large)
        assert (server.folder / "large").read_bytes() == large.read_bytes()
    else:
        FTPArtifactRepository(server.address).log_artifact(large)
        repository._download_file("large", large.parent / "back")
        assert (large.parent / "back").read_bytes() == large.read_bytes()
    assert through.cuts == []


@pytest.mark.parametrize("code", ["452", "552"])
def test_a_full_disk_is_named(script, tmp_path, code):
    (tmp_path / "file").touch()
    repository = script(STOR=f"{code} No space left.")
    message = failure(lambda: repository.log_artifact(tmp_path / "file")).message
    assert re.search(rf"the disk of the server at 127\.0\.0\.1:\d+ is full \({code} No space left\.\)", message)


def test_a_server_without_a_free_connection_is_asked_again_until_the_time_is_up(script, monkeypatch):
    monkeypatch.setenv("MLFLOW_FTP_TIMEOUT", "1")
    start = time.monotonic()
    error = failure(script(greeting="421 Too many connections.").list_artifacts)
    assert time.monotonic() - start > 0.5
    assert error.error_code == "TEMPORARILY_UNAVAILABLE"
    assert "had no connection free for 1 s (421 Too many connections.)" in error.message


def test_the_place_of_a_client_that_leaves_is_taken(start_vsftpd):
    server = start_vsftpd(max_clients=1)
    try:
        with socket.create_connection(("127.0.0.1", server.port)) as first:
            first.recv(100)
            leaves = threading.Timer(1, first.shutdown, [socket.SHUT_RDWR])
            leaves.start()
            assert FTPArtifactRepository(server.address).list_artifacts() == []
            leaves.join()
    finally:
        server.stop()


def test_a_login_that_fails_names_the_user_and_where_the_password_comes_from_and_is_not_tried_again(plain_store, relay):
    through, _ = relay(plain_store)
    address = f"ftp://guest:wr0ng-pa55@127.0.0.2:{plain_store.port}/a"
    error = failure(FTPArtifactRepository(address).list_artifacts, 8)
    assert error.error_code == "PERMISSION_DENIED"
    for part in ("'guest'", "530", "MLFLOW_FTP_USERNAME and MLFLOW_FTP_PASSWORD", "netrc", "came from the address"):
        assert part in error.message
    assert [command.split()[0] for command in through.commands].count("PASS") == 1


def test_a_password_that_is_a_number_is_not_taken_out_of_the_size_of_a_file(start_store, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_FTP_PASSWORD", "12345")
    up = start_store(tmp_path)
    try:
        (tmp_path / "file").write_bytes(bytes(12345))
        FTPArtifactRepository(up.address).log_artifact(tmp_path / "file")
        assert (up.folder / "file").stat().st_size == 12345
    finally:
        up.stop()


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
    "line", ["type=file;size=1; ../../evil", "type=file; /etc/passwd", "type=dir; a/b", "type=file; a\rb", "rubbish"]
)
def test_a_listing_with_names_that_are_none_is_an_error(script, tmp_path, line):
    repository = script(data=f"{line}\r\n")
    assert "which is not understood" in failure(lambda: repository.download_artifacts("", tmp_path)).message
    assert "which is not understood" in failure(repository.delete_artifacts).message
    assert names(tmp_path) == []


def test_the_folder_itself_and_the_one_above_are_not_listed(script):
    data = "type=cdir; a\r\ntype=pdir; b\r\ntype=dir; .\r\ntype=dir; ..\r\nType=File;Size=3; c\r\n"
    assert [(info.path, info.file_size) for info in script(data=data).list_artifacts()] == [("c", 3)]


def test_a_name_in_another_encoding_is_named(script):
    assert "a name in /a is not UTF-8" in failure(script(data="type=file; b\xe4r\r\n").list_artifacts).message


def test_a_data_channel_that_is_none_is_named(script):
    assert "names no data channel" in failure(script(PASV="227 Somewhere.").list_artifacts).message
