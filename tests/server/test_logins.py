"""Knock at the artifact store's door with everything but the right password."""

import contextlib
import ftplib
import io
import re
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from logins import MOST_ADDRESSES, Logins, network
from stores import Store, store


@pytest.fixture
def running(tmp_path, free_port) -> Iterator[Store]:
    with store(tmp_path, free_port()) as up:
        yield up


class Clock:
    """A time that goes by when a test says so."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def logins(tmp_path, clock) -> Logins:
    return Logins("guest", "größe", tmp_path, limit=3, seconds=60, clock=clock)


def test_the_password_is_right_or_wrong_before_and_after_it_was_right_once(logins):
    for _ in range(2):
        assert not logins.right("guest", "grösse")
        assert not logins.right("guest", "")
        assert not logins.right("anonymous", "größe")
        assert logins.right("guest", "größe")


def test_after_the_first_success_no_login_takes_the_time_of_scrypt(logins, monkeypatch):
    assert logins.right("guest", "größe")
    monkeypatch.setattr("hashlib.scrypt", lambda *arguments, **options: pytest.fail("the event loop stalls"))
    assert logins.right("guest", "größe")
    assert not logins.right("guest", "grösse")


def test_a_wrong_user_takes_scrypt_as_a_wrong_password_does(logins, monkeypatch):
    calls, real = [], logins._slow
    monkeypatch.setattr(logins, "_slow", lambda password: calls.append(password) or real(password))
    logins.right("nobody", "größe")
    logins.right("guest", "wrong")
    assert calls == ["größe", "wrong"]


def test_the_clear_password_is_not_kept(logins):
    logins.right("guest", "größe")
    assert "größe" not in repr(vars(logins))


def test_answers_take_longer_and_longer_until_the_address_is_locked_out_for_a_while(logins, clock):
    delays = []
    for _ in range(3):
        assert not logins.locked("192.0.2.1")
        delays.append(logins.failed("192.0.2.1"))
    assert delays == [0.25, 0.5, 1.0]
    assert logins.locked("192.0.2.1") == 60
    assert not logins.locked("192.0.2.2")
    clock.now += 59
    assert logins.locked("192.0.2.1") == 1
    clock.now += 1
    assert not logins.locked("192.0.2.1")
    assert logins.failed("192.0.2.1") == 0.25


def test_failures_that_lie_far_apart_lock_nobody_out(logins, clock):
    for _ in range(10):
        assert logins.failed("192.0.2.1") == 0.25
        clock.now += 60
    assert not logins.locked("192.0.2.1")


def test_a_whole_network_of_ipv6_and_both_forms_of_an_ipv4_address_count_as_one(logins):
    assert network("2001:db8::1") == network("2001:db8::ffff:0:1") != network("2001:db8:0:1::1")
    assert network("::ffff:192.0.2.1") == network("192.0.2.1") != network("192.0.2.2")
    assert network("fe80::1%eth0") == network("fe80::2")
    for address in ("2001:db8::1", "2001:db8::2", "2001:db8::3"):
        logins.failed(address)
    assert logins.locked("2001:db8::4")


def test_no_more_addresses_are_kept_than_fit_and_the_newest_are(logins):
    for number in range(MOST_ADDRESSES + 10):
        logins.failed(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert len(logins.failures) == MOST_ADDRESSES
    assert next(iter(logins.failures)) == "10.0.0.10"


@pytest.mark.parametrize(("user", "password"), [("anonymous", "me@example.org"), ("guest", ""), ("guest", "12345")])
def test_nobody_else_is_let_in(running, user, password):
    with ftplib.FTP(timeout=20) as ftp:
        ftp.connect("127.0.0.1", running.port)
        with pytest.raises(ftplib.error_perm, match=r"^530 Login failed\.$"):
            ftp.login(user, password)
        with pytest.raises((EOFError, OSError)):
            ftp.sendcmd("NOOP")


def test_the_last_word_about_a_login_is_said_once_however_many_come_together(running):
    with running.stranger() as stranger:
        stranger.send(f"USER guest\r\nPASS wrong\r\nUSER guest\r\nPASS {running.password}\r\nPWD\r\n")
        assert [line[:3] for line in stranger.rest()] == ["220", "331", "530"]
    assert running.log.read_text().count("login failed") == 1


HTTP = "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/plain\r\n\r\n"


COMMANDS = ("NOOP", "SYST", "HELP", "STAT", "STAT /", "", "ABOR", "SITE HELP", "REIN", "LIST", "XXQUIT", " USER guest")
LONG = ("x" * 10_000, "USER " + "x" * 10_000)


@pytest.mark.parametrize("first", [HTTP, "\xff\xfe\r\n", *(f"{command}\r\n" for command in COMMANDS), *LONG])
@pytest.mark.parametrize("together", [True, False])
def test_who_sends_anything_but_a_login_is_cut_off_at_once_and_nothing_behind_it_is_looked_at(running, first, together):
    (running.root / "file").write_text("kept")
    login = f"USER guest\r\nPASS {running.password}\r\nDELE file\r\n"
    with running.stranger() as stranger:
        assert stranger.line().startswith("220")
        stranger.send(first + login if together else first)
        if not together:
            with contextlib.suppress(OSError):
                stranger.send(login)
        assert {line[:3] for line in stranger.rest()} <= {"530", "501"}
    assert (running.root / "file").exists()
    assert "logged in" not in running.log.read_text()


def test_what_comes_before_a_login_in_order_is_answered(running):
    with running.stranger() as stranger:
        stranger.send(f"FEAT\r\nAUTH TLS\r\nPBSZ 0\r\nPROT P\r\nuser guest\r\npass {running.password}\r\nQUIT\r\n")
        answers = [line[:3] for line in stranger.rest() if line[:3].isdigit()]
        assert answers == ["220", "211", "211", "500", "500", "500", "331", "230", "221"]


def test_who_does_not_log_in_within_some_seconds_is_sent_away_whatever_they_say(tmp_path, free_port):
    with (
        store(tmp_path, free_port(), first="logins.LOGIN_SECONDS = 1") as up,
        up.stranger() as silent,
        up.stranger() as busy,
        up.login() as ftp,
    ):
        deadline, said = time.monotonic() + 20, "220"
        while said and not said.startswith("421"):
            assert time.monotonic() < deadline
            with contextlib.suppress(OSError):
                busy.send("FEAT\r\n")
            said = busy.line()
        assert [line[:3] for line in silent.rest()] == ["220", "421"]
        assert ftp.pwd() == "/"


def test_a_session_that_says_nothing_for_long_is_ended(tmp_path, free_port):
    with store(tmp_path, free_port(), first="ftpserver.Session.timeout = 0.5") as up, up.login() as ftp:
        assert ftp.getline().startswith("421 Control connection timed out")


def test_ten_thousand_guesses_at_once_are_hardly_heard_and_nobody_inside_is_disturbed(running, record_property):
    guesses, width = 10_000, 32
    answers: Counter = Counter()

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
        start, longest = time.monotonic(), 0.0
        results = [pool.submit(guess, number) for number in range(guesses)]
        while not all(result.done() for result in results):
            before, got = time.monotonic(), bytearray()
            inside.retrbinary("RETR file", got.extend)
            assert got == b"mine" * 5000
            longest = max(longest, time.monotonic() - before)
        seconds = time.monotonic() - start
        answers.update(result.result() for result in results)
        with running.stranger() as late:
            assert late.line().startswith("421 Too many failed logins, try again in")
    log = running.log.read_text()
    checked = log.count("login failed")
    record_property("guesses checked in a minute", checked / max(1, seconds / 60))
    print(f"{guesses} guesses in {seconds:.1f} s: {checked} checked, {answers}; longest wait inside {longest:.2f} s")
    assert set(answers) <= {"421", "530", "reset"}
    assert checked == 10 * (1 + int(seconds / 60))
    assert log.count("logged in") == 1
    assert "locked out for 60 s" in log
    assert len(log.splitlines()) < 100 + log.count("RETR"), "who is not let in can't fill the disk with the log"


def test_who_is_connected_already_is_locked_out_with_all_the_others_and_let_in_afterwards(tmp_path, free_port):
    shorter = "import functools; ftpserver.Logins = functools.partial(ftpserver.Logins, limit=2, seconds=2)"
    with store(tmp_path, free_port(), first=shorter) as up:
        with up.stranger() as waiting:
            assert waiting.line().startswith("220")
            for _ in range(2):
                with up.stranger() as stranger:
                    stranger.send("USER guest\r\nPASS wrong\r\n")
                    assert stranger.rest()[-1].startswith("530")
            waiting.send(f"USER guest\r\nPASS {up.password}\r\n")
            assert [line[:3] for line in waiting.rest()] == ["331", "421"]
        deadline = time.monotonic() + 20
        while True:
            try:
                with up.login() as ftp:
                    assert ftp.pwd() == "/"
                break
            except ftplib.error_temp:
                assert time.monotonic() < deadline


def test_there_are_limits_to_connections_from_one_address_and_in_all(tmp_path, free_port):
    for limit in ("max_cons_per_ip", "max_cons"):
        folder = tmp_path / limit
        folder.mkdir()
        with store(folder, free_port(), first=f"ftpserver.Server.{limit} = 4") as up:
            with contextlib.ExitStack() as connections:
                said = [connections.enter_context(up.stranger()).line() for _ in range(6)]
            assert said[0].startswith("220")
            assert said[-1].startswith("421 Too many connections")
            deadline = time.monotonic() + 20
            while True:
                with contextlib.suppress(ftplib.error_temp), up.login() as ftp:
                    assert ftp.pwd() == "/"
                    break
                assert time.monotonic() < deadline


def test_sixteen_clients_of_four_threads_each_fit_with_their_data_connections(running):
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(running.login()) for _ in range(64)]
        uploads = [stack.enter_context(ftp.transfercmd(f"STOR {number}")) for number, ftp in enumerate(clients)]
        for number, upload in enumerate(uploads):
            upload.sendall(b"x" * number)
            upload.close()
        assert {ftp.voidresp() for ftp in clients} == {"226 Transfer complete."}
    assert {int(path.name): path.stat().st_size for path in running.root.iterdir()} == {n: n for n in range(64)}


def test_no_password_is_in_the_log_however_wrongly_it_was_sent_and_no_name_begins_a_line(tmp_path, free_port):
    more = "import functools; ftpserver.Logins = functools.partial(ftpserver.Logins, limit=1000)"
    with store(tmp_path, free_port(), first=more) as up:
        secret = up.password
        lines = [secret, f"USER {secret}", f" PASS {secret}", f"PASS{secret}", f"HELLO {secret}", f"PWD {secret}"]
        for line in [
            *lines,
            f"USER guest\r\nPASS  {secret}",
            f"USER guest\r\npass {secret}",
            f"USER {secret}\r\nPASS x",
        ]:
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


def test_the_session_that_is_logged_in_goes_on_when_somebody_takes_another_user(running):
    with running.login() as ftp:
        with pytest.raises(ftplib.error_perm, match="503"):
            ftp.sendcmd("USER other")
        with pytest.raises(ftplib.error_perm, match="503"):
            ftp.sendcmd(f"PASS {running.password}")
        assert ftp.pwd() == "/"


GONE = (
    "PORT 127,0,0,1,4,1",
    "EPRT |1|127.0.0.1|1025|",
    "STOU",
    "MFMT 20000101000000 file",
    "REIN",
    "SITE HELP",
    "SITE",
)


@pytest.mark.parametrize("command", [*GONE, "SITE CHMOD 777 file"])
def test_commands_that_nobody_needs_are_not_there(running, command):
    (running.root / "file").write_text("kept")
    before = (running.root / "file").stat()
    with running.login() as ftp:
        with pytest.raises(ftplib.error_perm, match="500"):
            ftp.sendcmd(command)
        assert not {"EPRT", "MFMT"} & set(ftp.sendcmd("FEAT").split())
    after = (running.root / "file").stat()
    assert (after.st_mode, after.st_mtime) == (before.st_mode, before.st_mtime)
