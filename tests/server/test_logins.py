"""Knock at the artifact store's door with everything but the right password."""

import contextlib
import ftplib
import io
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from unittest.mock import Mock
from urllib.parse import quote

import pytest
from mlflow.exceptions import MlflowException
from mlflow_ftp import FTPArtifactRepository
from mlflow_ftp.settings import find_login
from stores import Store, refused, store, until

from forecasting.errors import UserError
from server.logins import MOST_ADDRESSES, Logins, network
from server.servers import ftp_answers

AWKWARD = " %20@:/#?&=+\"'`$(x)\\;~gr\u00f6\u00dfe \U0001f600\t\x01 "


@pytest.fixture
def running(tmp_path, free_port) -> Iterator[Store]:
    with store(tmp_path, free_port()) as up:
        yield up


def test_a_whole_network_of_ipv6_and_both_forms_of_an_ipv4_address_count_as_one():
    assert network("2001:db8::1") == network("2001:db8::ffff:0:1") != network("2001:db8:0:1::1")
    assert network("::ffff:192.0.2.1") == network("192.0.2.1") != network("192.0.2.2")
    assert network("fe80::1%eth0") == network("fe80::2")


def test_failures_delay_the_next_answers_then_lock_an_address_out_and_are_forgotten(tmp_path):
    now = [1000.0]
    logins = Logins("guest", "right", tmp_path)
    logins.limit, logins.clock = 3, lambda: now[0]
    assert [logins.failed("192.0.2.1") for _ in range(3)] == [0.25, 0.5, 1.0]
    assert (logins.locked("192.0.2.1"), logins.locked("192.0.2.2")) == (60, 0)
    for _ in range(5):
        now[0] += 60
        assert not logins.locked("192.0.2.1")
        assert logins.failed("192.0.2.1") == 0.25, "failures that lie far apart lock nobody out"
    for number in range(MOST_ADDRESSES + 10):
        logins.failed(f"10.0.{number >> 8}.{number & 255}")
    assert len(logins.failures) == MOST_ADDRESSES
    assert next(iter(logins.failures)) == "10.0.0.10", "the newest are kept"


def test_a_login_costs_scrypt_only_until_it_was_right_once(tmp_path, monkeypatch):
    logins = Logins("guest", "right", tmp_path)
    slow = Mock(side_effect=logins._slow)
    monkeypatch.setattr(logins, "_slow", slow)
    tries = [("guest", "wrong"), ("other", "right"), ("guest", "right")]
    for calls in (3, 0):
        assert [logins.right(*login) for login in tries] == [False, False, True]
        assert slow.call_count == calls, "a wrong user takes as long as a wrong password"
        slow.reset_mock()
    assert "right" not in repr(vars(logins))


def test_user_and_password_may_hold_every_character_that_ftp_carries(tmp_path, free_port, monkeypatch):
    login = {"MLFLOW_FTP_USERNAME": AWKWARD, "MLFLOW_FTP_PASSWORD": f"{AWKWARD}!"}
    with store(tmp_path, free_port(), **login) as up:
        named = ":".join(quote(value, safe="") for value in login.values())
        assert FTPArtifactRepository(f"ftp://{named}@127.0.0.1:{up.port}/").list_artifacts() == []
        for name, value in login.items():
            monkeypatch.setenv(name, value)
        assert FTPArtifactRepository(f"ftp://127.0.0.1:{up.port}/").list_artifacts() == []
        assert ftp_answers(up.port)


@pytest.mark.parametrize("name", ["MLFLOW_FTP_USERNAME", "MLFLOW_FTP_PASSWORD"])
@pytest.mark.parametrize("value", ["s3cret\r\n", "s3\ncret", "s3cret\udce4"])
def test_what_ftp_cannot_carry_is_refused_by_server_client_and_door_with_the_name_of_the_variable(
    name, value, tmp_path, monkeypatch, free_port
):
    for variable, text in {"MLFLOW_FTP_USERNAME": "guest", "MLFLOW_FTP_PASSWORD": "12345", name: value}.items():
        monkeypatch.setenv(variable, text)
    with pytest.raises(MlflowException) as client:
        find_login("h", None, None)
    with pytest.raises(UserError) as door:
        ftp_answers(free_port())
    for sentence in (str(door.value), client.value.message, refused("--root", str(tmp_path), **{name: value})):
        assert name in sentence
        assert "FTP can't carry" in sentence
        assert "cret" not in sentence


def test_nobody_else_is_let_in(running):
    for user, password in (("anonymous", "me@example.org"), ("guest", ""), ("guest", "12345")):
        with running.stranger() as stranger:
            stranger.send(f"USER {user}\r\nPASS {password}\r\n")
            assert [line[:3] for line in stranger.rest()] == ["220", "331", "530"]


def test_the_last_word_about_a_login_is_said_once_however_many_come_together(running):
    with running.stranger() as stranger:
        stranger.send(f"USER guest\r\nPASS wrong\r\nUSER guest\r\nPASS {running.password}\r\nPWD\r\n")
        assert [line[:3] for line in stranger.rest()] == ["220", "331", "530"]
    assert running.log.read_text().count("login failed") == 1


HTTP = "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/plain\r\n\r\n"
COMMANDS = ("NOOP", "STAT /", "", "ABOR", "LIST", "XXQUIT", " USER guest")
FIRST = (HTTP, "\xff\xfe\r\n", *(f"{command}\r\n" for command in COMMANDS), "x" * 10_000, "USER " + "x" * 10_000)


def test_who_sends_anything_but_a_login_is_cut_off_at_once_and_nothing_behind_it_is_looked_at(running):
    (running.root / "file").write_text("kept")
    login = f"USER guest\r\nPASS {running.password}\r\nDELE file\r\n"
    for first in FIRST:
        for parts in ([first + login], [first, login]):
            with running.stranger() as stranger:
                assert stranger.line().startswith("220")
                with contextlib.suppress(OSError):
                    for part in parts:
                        stranger.send(part)
                assert {line[:3] for line in stranger.rest()} <= {"530", "501"}, first
    assert (running.root / "file").exists()
    assert "logged in" not in running.log.read_text()


def test_what_comes_before_a_login_in_order_is_answered(running):
    with running.stranger() as stranger:
        stranger.send(f"FEAT\r\nAUTH TLS\r\nPBSZ 0\r\nPROT P\r\nuser guest\r\npass {running.password}\r\nQUIT\r\n")
        answers = [line[:3] for line in stranger.rest() if line[:3].isdigit()]
        assert answers == ["220", "211", "211", "500", "500", "500", "331", "230", "221"]


def test_who_does_not_log_in_within_some_seconds_is_sent_away_whatever_they_say(tmp_path, free_port):
    with (
        store(tmp_path, free_port(), first="logins.LOGIN_SECONDS = 1; ftpserver.Session.timeout = 3") as up,
        up.stranger() as silent,
        up.stranger() as busy,
        up.login() as ftp,
    ):

        def sent_away() -> bool:
            with contextlib.suppress(OSError):
                busy.send("USER guest\r\n")
            return busy.line()[:3] in ("421", "")

        until(sent_away)
        assert [line[:3] for line in silent.rest()] == ["220", "421"]
        assert ftp.pwd() == "/"
        assert ftp.getline().startswith("421 Control connection timed out"), "who is logged in has more time"


def test_hundreds_of_guesses_at_once_are_hardly_heard_and_nobody_inside_is_disturbed(running):
    guesses, width = 500, 32

    def guess(number: int) -> str:
        right = number >= 100 and number % 50 == 0
        try:
            with running.stranger() as stranger:
                stranger.send(f"USER guest\r\nPASS {running.password if right else number}\r\n")
                said = stranger.rest()
        except OSError:
            return "reset"
        return said[-1][:3] if said else "reset"

    with running.login() as inside, ThreadPoolExecutor(width) as pool:
        inside.storbinary("STOR file", io.BytesIO(b"mine" * 5000))
        start = time.monotonic()
        results = [pool.submit(guess, number) for number in range(guesses)]
        while not all(result.done() for result in results):
            got = bytearray()
            inside.retrbinary("RETR file", got.extend)
            assert got == b"mine" * 5000
        seconds = time.monotonic() - start
        answers = {result.result() for result in results}
        with running.stranger() as late:
            assert late.line().startswith("421 Too many failed logins, try again in")
    log = running.log.read_text()
    checked = log.count("login failed")
    assert answers <= {"421", "530", "reset"}
    assert checked == 10 * (1 + int(seconds / 60))
    assert log.count("logged in") == 1
    assert "locked out for 60 s" in log
    assert len(log.splitlines()) < 100 + log.count("RETR"), "who is not let in can't fill the disk with the log"


def let_in(up: Store) -> bool:
    """Return whether a right login is taken now."""
    with contextlib.suppress(ftplib.error_temp), up.login() as ftp:
        return ftp.pwd() == "/"
    return False


def test_who_is_connected_already_is_locked_out_with_all_the_others_and_let_in_afterwards(tmp_path, free_port):
    with store(tmp_path, free_port(), first="logins.Logins.limit = logins.Logins.seconds = 2") as up:
        with up.stranger() as waiting:
            assert waiting.line().startswith("220")
            for _ in range(2):
                with up.stranger() as stranger:
                    stranger.send("USER guest\r\nPASS wrong\r\n")
                    assert stranger.rest()[-1].startswith("530")
            waiting.send(f"USER guest\r\nPASS {up.password}\r\n")
            assert [line[:3] for line in waiting.rest()] == ["331", "421"]
        until(lambda: let_in(up))


@pytest.mark.parametrize("limit", ["max_cons_per_ip", "max_cons"])
def test_there_are_limits_to_connections_from_one_address_and_in_all(limit, tmp_path, free_port):
    with store(tmp_path, free_port(), first=f"ftpserver.Server.{limit} = 4") as up:
        with contextlib.ExitStack() as connections:
            said = [connections.enter_context(up.stranger()).line() for _ in range(6)]
        assert said[0].startswith("220")
        assert said[-1].startswith("421 Too many connections")
        until(lambda: let_in(up))


def test_no_password_is_in_the_log_however_wrongly_it_was_sent_and_no_name_begins_a_line(tmp_path, free_port):
    with store(tmp_path, free_port(), first="logins.Logins.limit = 1000") as up:
        secret = up.password
        lines = [secret, f"USER {secret}", f" PASS {secret}", f"PASS{secret}", f"HELLO {secret}", f"PWD {secret}"]
        lines += [f"USER guest\r\nPASS  {secret}", f"USER guest\r\npass {secret}", f"USER {secret}\r\nPASS x"]
        for line in lines:
            with up.stranger() as stranger:
                stranger.send(f"{line}\r\nQUIT\r\n")
                stranger.rest()
        with up.login() as ftp:
            for name in ("a\u2028 guest logged in", "b\x85c", "d\x1b[2J"):
                ftp.mkd(name)
        text = up.log.read_text()
    assert text.count("logged in") == 3
    assert "\u2028" not in text
    assert "\x1b" not in text
    assert r"a\u2028 guest" in text
    assert re.search(r"^\d{4}-\d\d-\d\d [\d:,]+ 127\.0\.0\.1:\d+ guest MKD \S+b\\x85c 257$", text, re.M)


def test_commands_that_nobody_needs_are_not_there_and_nobody_logs_in_twice(running):
    gone = ["PORT 127,0,0,1,4,1", "EPRT |1|127.0.0.1|1025|", "STOU", "MFMT 20000101000000 file", "REIN", "SITE HELP"]
    with running.login() as ftp:
        for command in (*gone, "SITE CHMOD 777 file"):
            with pytest.raises(ftplib.error_perm, match="500"):
                ftp.sendcmd(command)
            assert command.split()[0] not in ftp.sendcmd("FEAT").split()
        with pytest.raises(ftplib.error_perm, match="503 Already logged in"):
            ftp.sendcmd("USER other")
        assert ftp.pwd() == "/"
