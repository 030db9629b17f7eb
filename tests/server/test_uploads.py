"""Break uploads in every way there is, and look at what has a final name."""

import contextlib
import ftplib
import io
import os
import re
import shutil
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import Mock

import pytest
from stores import Store, store, until

from server.uploads import Upload, sweep

PARTIAL = ".partial-" + "0123456789abcdef" * 2
OLD, NEW = b"old" * 3000, b"newer" * 3000
posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no such thing")


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
        with half_sent(running, ftp, "STOR file", NEW) as first:
            put(other, "file", OLD)
            assert get(other, "file") == OLD
            first.sendall(NEW[len(NEW) // 2 :])
        ftp.voidresp()
        assert get(other, "file") == NEW


def test_a_second_transfer_on_a_connection_waits_its_turn(running, ftp):
    with half_sent(running, ftp, "STOR first", NEW) as data:
        for command in ("STOR second", "RETR first", "MLSD"):
            with pytest.raises(ftplib.error_temp, match="450 Another transfer is under way"):
                ftp.sendcmd(command)
        data.sendall(NEW[len(NEW) // 2 :])
    ftp.voidresp()
    assert {path.name: path.read_bytes() for path in running.root.iterdir()} == {"first": NEW}


@pytest.mark.parametrize("end", ["ABOR", "PASV"])
def test_a_transfer_whose_connection_never_came_is_forgotten(running, ftp, end):
    assert ftp.sendcmd("STOR file").startswith("150")
    with pytest.raises(ftplib.error_temp, match="425 Send PASV or EPSV first"):
        ftp.voidresp()
    ftp.sendcmd("PASV")
    assert ftp.sendcmd("STOR file").startswith("150")
    assert len(running.partial()) == 1
    ftp.sendcmd(end)
    assert names(running.root) == set()
    put(ftp, "file", NEW)
    assert get(ftp, "file") == NEW


def test_a_partial_file_of_a_clients_own_is_resumed_and_renamed_but_never_listed(running, ftp):
    put(ftp, PARTIAL, OLD)
    assert ftp.size(PARTIAL) == len(OLD)
    put(ftp, PARTIAL, NEW[100:], rest=100)
    assert ftp.nlst() == list(ftp.mlsd()) == []
    for command in ("NLST", "LIST", "STAT", "MLSD"):
        with pytest.raises(ftplib.error_perm, match=r"^5\d\d"):
            ftp.sendcmd(f"{command} {PARTIAL}")
    ftp.rename(PARTIAL, "file")
    assert get(ftp, "file") == OLD[:100] + NEW[100:]


def test_a_file_is_appended_to_and_resumed_but_not_beyond_its_end(running, ftp):
    put(ftp, "file", OLD)
    ftp.storbinary("APPE file", io.BytesIO(b"end"))
    assert get(ftp, "file") == OLD + b"end"
    put(ftp, "file", b"middle", rest=100)
    assert get(ftp, "file") == OLD[:100] + b"middle"
    for name, offset, answer in (("file", 107, "554"), ("nothing", 1, "550")):
        with pytest.raises(ftplib.error_perm, match=answer):
            put(ftp, name, b"beyond", rest=offset)
    assert names(running.root) == {"file"}


def test_a_folder_is_removed_with_partial_files_in_it_and_replaced_by_nothing(running, ftp):
    for folder in ("gone", "kept"):
        ftp.mkd(folder)
        put(ftp, f"{folder}/{PARTIAL}", NEW)
    put(ftp, "kept/file", NEW)
    put(ftp, "file", OLD)
    ftp.rmd("gone")
    with pytest.raises(ftplib.error_perm, match="550"):
        ftp.rmd("kept")
    ftp.mkd("other")
    with pytest.raises(ftplib.error_perm, match="550 Is a directory"):
        ftp.transfercmd("STOR kept")
    for source in ("file", "other"):
        with pytest.raises(ftplib.error_perm, match="550 Is a directory"):
            ftp.rename(source, "kept")
    assert names(running.root) == {"kept", "other", "file"}
    assert names(running.root / "kept") == {PARTIAL, "file"}


def test_a_name_that_can_be_none_is_refused_and_the_next_command_understood(running, ftp):
    too_long = {b"a" * 9000: "500 Command too long", b"a" * 256: "550 File name too long"}
    breaks = dict.fromkeys((b"a\nb", b"a\rb", b"a\0b"), "501 Line breaks")
    for name, answer in {**breaks, **too_long, b"\xff": "501 Commands have to be in UTF-8"}.items():
        ftp.sock.sendall(b"MKD " + name + b"\r\nPWD\r\n")
        with pytest.raises(ftplib.error_perm, match=answer):
            ftp.getresp()
        assert ftp.getresp().startswith('257 "/"')
    assert names(running.root) == set()


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


def test_on_a_full_disk_every_upload_is_stored_whole_or_answered_with_452(small_disk, tmp_path, free_port):
    filler = small_disk / "filler"
    with store(tmp_path, free_port(), root=small_disk) as up, up.login() as ftp:
        put(ftp, "file", OLD)
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(1024))
        for command in ("STOR new", f"STOR {PARTIAL}", "APPE file", "STOR file"):
            for size in (1, 4096, 100_000, 10 * 2**20):
                with pytest.raises(ftplib.error_temp, match="452 No space left on device"):
                    ftp.storbinary(command, io.BytesIO(bytes(size)))
        assert names(small_disk) == {"filler", "file"}
        assert get(ftp, "file") == OLD
        filler.unlink()
        for size in (1, 4096, 100_000, 2**20):
            assert put(ftp, "new", bytes(size)).startswith("226")


@pytest.mark.parametrize("failing", [(os, "fsync"), (Path, "replace")])
def test_a_disk_that_fails_at_the_last_moment_changes_nothing(failing, tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(OLD)
    monkeypatch.setattr(*failing, Mock(side_effect=OSError("the disk is broken")))
    upload = Upload(tmp_path / "file", "wb")
    upload.write(NEW)

    def finish() -> None:
        upload.sync()
        upload.keep()

    with pytest.raises(OSError, match="the disk is broken"):
        finish()
    assert upload.closed
    assert names(tmp_path) == {"file"}
    assert (tmp_path / "file").read_bytes() == OLD


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
