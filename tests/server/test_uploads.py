"""Break uploads in every way there is, and look at what has a final name."""

import contextlib
import errno
import ftplib
import io
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import time
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
from stores import Store, store, until
from uploads import Upload, sweep

PARTIAL = ".partial-" + "0123456789abcdef" * 2
OLD, NEW = b"old" * 3000, b"newer" * 3000
posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no such thing")


@pytest.fixture(scope="module")
def running(tmp_path_factory, free_port) -> Iterator[Store]:
    with store(tmp_path_factory.mktemp("store"), free_port()) as up:
        yield up


@pytest.fixture
def ftp(running) -> Iterator[ftplib.FTP]:
    with running.login() as connection:
        yield connection
    for path in running.root.iterdir():
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def put(ftp: ftplib.FTP, name: str, content: bytes, **options) -> str:
    return ftp.storbinary(f"STOR {name}", io.BytesIO(content), **options)


def get(ftp: ftplib.FTP, name: str) -> bytes:
    got = bytearray()
    ftp.retrbinary(f"RETR {name}", got.extend)
    return bytes(got)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@contextlib.contextmanager
def half_sent(store: Store, ftp: ftplib.FTP, command: str, content: bytes) -> Iterator[socket.socket]:
    """Send the first half of a file and have it arrive; the data connection stays open."""
    before = len(OLD) if command == "APPE file" else 0
    with ftp.transfercmd(command) as data:
        data.sendall(content[: len(content) // 2])
        until(lambda: [path for path in store.partial() if path.stat().st_size == before + len(content) // 2])
        yield data


def reset(connection: socket.socket) -> None:
    """End a connection as a crash of the client's machine does."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def test_a_file_has_its_name_when_it_is_complete_and_the_old_one_until_then(running, ftp):
    put(ftp, "file", OLD)
    with running.login() as reader:
        with half_sent(running, ftp, "STOR file", NEW) as data:
            assert get(reader, "file") == OLD
            seen = [reader.nlst(), [name for name, _ in reader.mlsd()]]
            lines: list[str] = []
            reader.dir(lines.append)
            seen += [[line.split()[-1] for line in lines], re.findall(r"(\S+)$", reader.sendcmd("STAT /"), re.M)[1:-1]]
            assert seen == [["file"]] * 4
            data.sendall(NEW[len(NEW) // 2 :])
        assert ftp.voidresp() == "226 Transfer complete."
        assert get(reader, "file") == NEW
    assert names(running.root) == {"file"}


@pytest.mark.parametrize("command", ["STOR new", "STOR file", "APPE file"])
@pytest.mark.parametrize("end", ["ABOR", "reset of the data", "lost control", "PASV", "QUIT and lost control"])
def test_an_upload_that_breaks_leaves_what_was_there_and_nothing_else(running, ftp, command, end):
    put(ftp, "file", OLD)
    with running.login() as broken, half_sent(running, broken, command, NEW) as data:
        if end == "ABOR":
            broken.abort()
        elif end == "PASV":
            broken.sendcmd("PASV")
        elif end == "reset of the data":
            reset(data)
            with pytest.raises(ftplib.error_temp, match="426"):
                broken.voidresp()
        else:
            if "QUIT" in end:
                broken.putcmd("QUIT")
            broken.close()
            if "QUIT" in end:
                data.close()
        until(lambda: not running.partial())
    assert names(running.root) == {"file"}
    assert get(ftp, "file") == OLD


@pytest.mark.parametrize("content", [b"", NEW])
def test_a_killed_client_is_told_from_one_that_is_done_though_its_data_connection_ends_first(
    content, tmp_path, free_port
):
    with store(tmp_path, free_port(), first="transfers.GRACE = 2") as up:
        with up.login() as ftp, up.login() as other:
            data = ftp.transfercmd("STOR file")
            data.sendall(content)
            data.close()
            for _ in range(3):
                other.voidcmd("NOOP")  # is answered when the end of the data has been seen
            ftp.close()
            until(lambda: not up.partial())
        assert names(up.root) == set()
        with up.login() as ftp:
            put(ftp, "file", content)
        assert (up.root / "file").read_bytes() == content


@posix
def test_real_clients_that_are_killed_leave_no_part_of_a_file(running, ftp):
    code = f"""
import ftplib, io
with ftplib.FTP(timeout=20) as ftp:
    ftp.connect("127.0.0.1", {running.port})
    ftp.login("guest", "{running.password}")
    print(flush=True)
    while True:
        ftp.storbinary("STOR file", io.BytesIO(bytes(300_000)))
"""
    for number in range(20):
        with subprocess.Popen([sys.executable, "-Sc", code], stdout=subprocess.PIPE) as client:
            client.stdout.readline()
            time.sleep(number / 500)
            client.kill()
        until(lambda: not running.partial())
        assert not (running.root / "file").exists() or (running.root / "file").stat().st_size == 300_000


def test_an_upload_that_stalls_is_ended_and_leaves_nothing(tmp_path, free_port):
    with (
        store(tmp_path, free_port(), first="transfers.Channel.timeout = 0.5") as up,
        up.login() as ftp,
        half_sent(up, ftp, "STOR file", NEW),
    ):
        with pytest.raises(ftplib.error_temp, match="421 Data connection timed out"):
            ftp.voidresp()
        assert names(up.root) == set()


def test_of_two_uploads_at_once_to_one_name_each_is_whole_and_the_last_one_stays(running, ftp):
    with running.login() as other:
        first, second = ftp.transfercmd("STOR file"), other.transfercmd("STOR file")
        first.sendall(OLD[:5000])
        second.sendall(NEW)
        second.close()
        other.voidresp()
        assert get(other, "file") == NEW
        first.sendall(OLD[5000:])
        first.close()
        ftp.voidresp()
        assert get(other, "file") == OLD


def test_a_second_transfer_on_a_connection_waits_its_turn(running, ftp):
    with half_sent(running, ftp, "STOR first", NEW) as data:
        for command in ("STOR second", "APPE second", "RETR first", "LIST", "NLST", "MLSD"):
            with pytest.raises(ftplib.error_temp, match="450 Another transfer is under way"):
                ftp.sendcmd(command)
        data.sendall(NEW[len(NEW) // 2 :])
    ftp.voidresp()
    assert {path.name: path.read_bytes() for path in running.root.iterdir()} == {"first": NEW}


@pytest.mark.parametrize("end", ["ABOR", "PASV"])
def test_a_transfer_whose_connection_never_came_is_forgotten(running, ftp, end):
    ftp.sendcmd("PASV")
    assert ftp.sendcmd("STOR file").startswith("150")
    assert len(running.partial()) == 1
    ftp.sendcmd(end)
    assert names(running.root) == set()
    assert ftp.nlst() == []
    put(ftp, "file", NEW)
    assert get(ftp, "file") == NEW


@pytest.mark.parametrize("command", ["STOR file", "NLST", "LIST"])
def test_a_transfer_without_a_port_is_answered(running, ftp, command):
    assert ftp.sendcmd(command).startswith("150")
    with pytest.raises(ftplib.error_temp, match="425 Send PASV or EPSV first"):
        ftp.voidresp()
    assert names(running.root) == set()


def test_what_is_appended_or_resumed_shows_only_when_it_is_complete(running, ftp):
    put(ftp, "file", OLD)
    with half_sent(running, ftp, "STOR other", NEW) as data:
        assert (running.root / "file").read_bytes() == OLD
        data.sendall(NEW[len(NEW) // 2 :])
    ftp.voidresp()
    ftp.storbinary("APPE file", io.BytesIO(b"end"))
    assert get(ftp, "file") == OLD + b"end"
    put(ftp, "file", b"middle", rest=100)
    assert get(ftp, "file") == OLD[:100] + b"middle"
    ftp.storbinary("APPE fresh", io.BytesIO(b"end"))
    assert get(ftp, "fresh") == b"end"
    with pytest.raises(ftplib.error_perm, match="554"):
        put(ftp, "file", b"beyond", rest=107)
    with pytest.raises(ftplib.error_perm, match="550"):
        put(ftp, "nothing", b"there", rest=1)
    assert names(running.root) == {"file", "other", "fresh"}


def test_a_partial_name_is_written_straight_resumed_and_renamed_but_never_listed(running, ftp):
    with half_sent(running, ftp, f"STOR {PARTIAL}", NEW) as data:
        reset(data)
        with pytest.raises(ftplib.error_temp, match="426"):
            ftp.voidresp()
    done = ftp.size(PARTIAL)
    assert done == len(NEW) // 2
    put(ftp, PARTIAL, NEW[done : done + 10], rest=done)
    ftp.storbinary(f"APPE {PARTIAL}", io.BytesIO(NEW[done + 10 :]))
    assert ftp.nlst() == list(ftp.mlsd()) == []
    for listing in ("NLST", "LIST", "STAT"):
        with pytest.raises(ftplib.error_perm, match="550"):
            ftp.sendcmd(f"{listing} {PARTIAL}")
    put(ftp, "file", OLD)
    ftp.rename(PARTIAL, "file")
    assert get(ftp, "file") == NEW
    put(ftp, PARTIAL, NEW)
    ftp.delete(PARTIAL)
    assert names(running.root) == {"file"}


def test_a_folder_of_nothing_but_partial_files_is_removed_with_them_and_no_other(running, ftp):
    for folder in ("gone", "kept"):
        ftp.mkd(folder)
        put(ftp, f"{folder}/{PARTIAL}", NEW)
    put(ftp, "kept/file", NEW)
    ftp.rmd("gone")
    with pytest.raises(ftplib.error_perm, match="550"):
        ftp.rmd("kept")
    assert names(running.root) == {"kept"}
    assert names(running.root / "kept") == {PARTIAL, "file"}


def test_nothing_takes_the_place_of_a_folder(running, ftp):
    ftp.mkd("folder")
    ftp.mkd("other")
    put(ftp, "file", OLD)
    with pytest.raises(ftplib.error_perm, match="550 Is a directory"):
        ftp.transfercmd("STOR folder")
    for source in ("file", "other"):
        with pytest.raises(ftplib.error_perm, match="550 Is a directory"):
            ftp.rename(source, "folder")
    assert names(running.root) == {"folder", "other", "file"}


def test_a_name_may_have_255_bytes_and_one_more_is_refused_before_any_data(running, ftp):
    put(ftp, "n" * 255, NEW)
    assert get(ftp, "n" * 255) == NEW
    with pytest.raises(ftplib.error_perm, match="550 File name too long"):
        ftp.transfercmd("STOR " + "n" * 256)


@posix
def test_names_are_what_their_bytes_say(running, ftp):
    strange = [" first", "last ", "a b", "#%?&;=+'\"", "%41", "back\\slash", "größe", "tab\t", "日本", "~", "-l x", "*"]
    strange.append(unicodedata.normalize("NFD", "größe"))
    for number, name in enumerate(strange):
        put(ftp, name, str(number).encode())
    assert names(running.root) == set(strange)
    assert set(ftp.nlst()) == {name for name, _ in ftp.mlsd()} == set(strange)
    assert [get(ftp, name) for name in strange] == [str(number).encode() for number in range(len(strange))]


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        (b"MKD a\nb", "501 Line breaks"),
        (b"MKD a\rb", "501 Line breaks"),
        (b"MKD a\0b", "501 Line breaks"),
        (b"MKD \xff", "501 Commands have to be in UTF-8"),
        (b"MKD " + b"a" * 9000, "500 Command too long"),
    ],
)
def test_a_name_that_can_be_none_is_refused_and_the_next_command_understood(running, ftp, command, answer):
    ftp.sock.sendall(command + b"\r\nPWD\r\n")
    with pytest.raises(ftplib.error_perm, match=answer):
        ftp.getresp()
    assert ftp.getresp().startswith('257 "/"')
    assert names(running.root) == set()


def test_commands_that_are_sent_together_are_answered_one_after_the_other(running, ftp):
    put(ftp, PARTIAL, NEW)
    ftp.sock.sendall(f"TYPE I\r\nSIZE {PARTIAL}\r\nRNFR {PARTIAL}\r\nRNTO file\r\n".encode())
    assert [ftp.getresp()[:3] for _ in range(4)] == ["200", "213", "350", "250"]
    data = ftp.transfercmd("STOR other")
    data.sendall(NEW)
    ftp.sock.sendall(b"NOOP\r\nNOOP\r\n")
    data.close()
    assert sorted(ftp.getresp()[:3] for _ in range(3)) == ["200", "200", "226"]
    assert get(ftp, "other") == NEW


def test_old_partial_files_are_swept_at_start_and_links_are_not_followed(tmp_path, free_port):
    root, outside = tmp_path / "root", tmp_path / "outside"
    kept = [root / "folder" / PARTIAL, outside / PARTIAL, root / "folder" / "file", root / ".partial-12"]
    old = [root / PARTIAL, root / "folder" / "deep" / PARTIAL]
    for path in [*kept, *old]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(OLD)
        if path != kept[0]:
            os.utime(path, (time.time() - 3700,) * 2)
    with contextlib.suppress(OSError):  # Windows lets only administrators make links
        (root / "link").symlink_to(outside)
    with store(tmp_path, free_port()) as up:
        pass
    assert "swept 2 files" in up.log.read_text()
    assert [path.exists() for path in [*kept, *old]] == [True] * 4 + [False] * 2
    assert sweep(root, seconds=-1) == 1


def sizes_in(ftp: ftplib.FTP, sizes: list[int]) -> dict[int, str]:
    """Return the answer to an upload of each size."""
    answers = {}
    for size in sizes:
        try:
            answers[size] = put(ftp, f"file{size}", bytes(size))
        except ftplib.error_temp as error:
            answers[size] = str(error)
    return answers


@posix
@pytest.mark.parametrize("name", ["file", PARTIAL])
def test_a_file_that_may_not_get_longer_is_answered_and_leaves_nothing(name, tmp_path, free_port):
    with store(tmp_path, free_port(), limit=1 << 20) as up, up.login() as ftp:
        put(ftp, "file", OLD)
        for size in (2**20 + 1, 10 * 2**20):
            with pytest.raises(ftplib.error_temp, match="452 File too large; nothing was stored"):
                put(ftp, name, bytes(size))
            with pytest.raises(ftplib.error_temp, match="452 File too large"):
                ftp.storbinary("APPE file", io.BytesIO(bytes(size)))
            assert names(up.root) == {"file"}
            assert get(ftp, "file") == OLD
        put(ftp, name, bytes(2**20))
        assert ftp.size(name) == 2**20


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """Have a disk of 4 MB; only root may make one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder], capture_output=True, check=False
    )
    if not made or made.returncode:
        pytest.skip("only root may mount a small disk")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_on_a_full_disk_every_upload_is_stored_whole_or_answered_with_452(small_disk, tmp_path, free_port):
    sizes = [0, 1, 10, 100, 1000, 1024, 4095, 4096, 4097, 10_000, 65_536, 100_000, 2**20, 5_000_000, 10 * 2**20]
    filler = small_disk / "filler"
    with store(tmp_path, free_port(), root=small_disk) as up, up.login() as ftp:
        put(ftp, "file", OLD)
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(1024))
        answers = sizes_in(ftp, sizes)
        assert {size: answer[:3] for size, answer in answers.items()} == {0: "226"} | dict.fromkeys(sizes[1:], "452")
        for command in (f"STOR {PARTIAL}", "APPE file", "STOR file"):
            with pytest.raises(ftplib.error_temp, match="452 No space left on device"):
                ftp.storbinary(command, io.BytesIO(bytes(20_000)))
        assert names(small_disk) == {"filler", "file", "file0"}  # a file of 0 bytes needs no space
        assert get(ftp, "file") == OLD
        with contextlib.suppress(ftplib.error_perm):
            ftp.mkd("folder")
        filler.unlink()
        assert [answer[:3] for answer in sizes_in(ftp, sizes[:-2]).values()] == ["226"] * len(sizes[:-2])


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_disk_that_fails_at_the_last_moment_changes_nothing(failing, tmp_path, monkeypatch):
    final = tmp_path / "file"
    final.write_bytes(OLD)

    def fail(*arguments):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(*((os, "fsync") if failing == "fsync" else (Path, "replace")), fail)
    upload = Upload(final, "wb")
    upload.write(NEW)
    if failing == "replace":
        upload.sync()
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        upload.sync() if failing == "fsync" else upload.keep()
    assert upload.closed
    assert names(tmp_path) == {"file"}
    assert final.read_bytes() == OLD


@posix
def test_links_that_lead_out_are_as_good_as_none(running, ftp, tmp_path):
    (tmp_path / "secret").write_bytes(OLD)
    (tmp_path / "folder").mkdir()
    (running.root / "file-link").symlink_to(tmp_path / "secret")
    (running.root / "folder-link").symlink_to(tmp_path)
    (running.root / "dangling").symlink_to(tmp_path / "new")
    (running.root / "inside").mkdir()
    (running.root / "inside-link").symlink_to("inside")
    put(ftp, "inside-link/file", NEW)
    assert (running.root / "inside" / "file").read_bytes() == NEW
    assert ftp.nlst() == ["inside", "inside-link"]
    assert "secret" not in ftp.sendcmd("STAT /")
    for command in ("CWD", "NLST", "LIST", "MLSD", "MLST", "STAT", "SIZE", "RETR", "DELE", "RMD", "RNFR"):
        for path in ("file-link", "folder-link", "folder-link/secret", "folder-link/folder"):
            with pytest.raises(ftplib.error_perm, match=r"^550"):
                ftp.sendcmd(f"{command} {path}")
    for command in ("STOR", "APPE", "MKD", "RNTO"):
        for path in ("file-link", "folder-link/new", "folder-link/secret", "dangling"):
            if command == "RNTO":
                ftp.sendcmd("RNFR inside")
            with pytest.raises(ftplib.error_perm, match=r"^550"):
                ftp.sendcmd(f"{command} {path}")
    assert names(tmp_path) == {"secret", "folder"}
    assert (tmp_path / "secret").read_bytes() == OLD


def test_data_come_and_go_on_the_ports_of_the_range_and_on_no_other(tmp_path, free_port):
    passive = free_port()
    with store(tmp_path, free_port(), "--passive-ports", f"{passive}-{passive}") as up:
        with up.login() as first, up.login() as second:
            assert ftplib.parse227(first.sendcmd("PASV")) == ("127.0.0.1", passive)
            with pytest.raises(ftplib.error_temp, match="425"):
                second.sendcmd("PASV")
            assert first.sendcmd("ABOR").startswith("225")
            assert ftplib.parse229(second.sendcmd("EPSV"), ("127.0.0.1", 0)) == ("127.0.0.1", passive)
        with up.login() as ftp:
            put(ftp, "file", NEW)
            assert get(ftp, "file") == NEW
