"""Start real child processes, and look at what is left of them, of their logs and on the terminal."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import processes
import psutil
import pytest
from processes import Process, ProcessError, Progress, child_environment, process

posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals; taskkill ends the whole tree there")

ENDS_ONLY_BY_FORCE = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
while True: time.sleep(1)
"""
HAS_A_CHILD = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time\\nwhile True: time.sleep(1)"])
print(child.pid, flush=True)
while True: time.sleep(1)
"""


def until(condition: Callable[[], object], seconds: float = 20) -> object:
    """Return the first true answer of ``condition``."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)
    return answer


@pytest.fixture
def log(tmp_path) -> Path:
    return tmp_path / "logs" / "child.log"


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def ignore(lines: list[str]) -> None:
    """Watch nothing."""


def test_the_output_and_the_errors_of_a_child_go_to_its_log_in_a_folder_that_is_made(log):
    with process("The child", python("import sys; print('out'); print('err', file=sys.stderr)"), log) as child:
        child.wait(ignore)
    assert sorted(log.read_text().split()) == ["err", "out"]


def test_a_failed_child_is_named_with_its_exit_status_its_log_and_the_last_lines_of_it(log):
    code = "[print('line', n) for n in range(50)]; raise SystemExit(7)"
    with process("The child", python(code), log) as child, pytest.raises(ProcessError) as error:
        child.wait(ignore)
    first, *lines = str(error.value).splitlines()
    assert first == f"The child failed with exit status 7. Its log is {log}, which ends with:"
    assert [line.strip() for line in lines] == [f"line {n}" for n in range(38, 50)]


def test_a_failed_child_without_a_word_has_its_log_named_all_the_same(log):
    with process("The child", python("raise SystemExit(7)"), log) as child, pytest.raises(ProcessError) as error:
        child.wait(ignore)
    assert str(error.value) == f"The child failed with exit status 7. Its log is {log}."


def test_bytes_that_are_no_text_and_lines_without_end_do_not_hide_why_a_child_failed(log):
    code = "import sys; sys.stdout.buffer.write(b'x' * 3_000_000 + b'\\nna\\xefve\\xff: no disk'); sys.exit(1)"
    seen = []
    with process("The child", python(code), log) as child, pytest.raises(ProcessError) as error:
        child.wait(seen.extend)
    assert seen[-1] == "na\N{REPLACEMENT CHARACTER}ve\N{REPLACEMENT CHARACTER}: no disk"
    assert str(error.value).endswith(f"\n    {seen[-1]}")
    assert len(str(error.value)) < 2000, "a person has to read it"


def test_a_line_that_is_written_piece_by_piece_is_seen_once_and_whole(log, tmp_path):
    code = f"""
import pathlib, time
print("report: half ", end="", flush=True)
while not pathlib.Path({str(tmp_path / "go")!r}).exists(): time.sleep(0.02)
print("and half", flush=True)
print("no end of line", end="", flush=True)
"""
    seen, looks = [], []

    def watch(lines: list[str]) -> None:
        seen.extend(lines)
        looks.append(log.stat().st_size)
        if len([size for size in looks if size]) == 3:
            (tmp_path / "go").touch()

    with process("The child", python(code), log) as child:
        child.wait(watch)
    assert seen == ["report: half and half", "no end of line"]


def test_waiting_for_a_server_ends_at_once_when_its_process_has_ended(log):
    with process("The child", python("print('port taken'); raise SystemExit(3)"), log) as child:
        start = time.monotonic()
        with pytest.raises(ProcessError, match=r"(?s)ended with exit status 3 before it was ready.*port taken"):
            child.wait_until(lambda: False, 60)
    assert time.monotonic() - start < 10


def test_waiting_for_a_server_has_an_end_and_lets_the_seconds_tick_meanwhile(log):
    ticks = []
    with (
        process("The child", python("import time; time.sleep(600)"), log) as child,
        pytest.raises(ProcessError, match="The child did not answer within 1 s"),
    ):
        child.wait_until(lambda: False, 0.6, ticks.append)
    assert len(ticks) > 2


def test_a_program_that_is_not_there_is_an_oserror_that_names_it(log):
    with pytest.raises(OSError, match="no-such-program"), process("The child", ["no-such-program"], log):
        pass


def test_what_a_child_started_ends_with_it(log):
    with process("The child", python(HAS_A_CHILD), log):
        grandchild = int(until(lambda: log.read_text().strip()))
        assert psutil.pid_exists(grandchild)
    until(lambda: not psutil.pid_exists(grandchild) or psutil.Process(grandchild).status() == psutil.STATUS_ZOMBIE)


@posix
def test_what_a_child_left_behind_when_it_ended_is_stopped_too(log):
    code = HAS_A_CHILD.rsplit("while", 1)[0]
    with process("The child", python(code), log) as child:
        child.wait(ignore)
        grandchild = int(log.read_text())
    until(lambda: not psutil.pid_exists(grandchild) or psutil.Process(grandchild).status() == psutil.STATUS_ZOMBIE)


@posix
def test_a_child_is_given_the_time_to_close_what_it_has_open(log):
    code = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (time.sleep(0.3), print("closed", flush=True), sys.exit()))
print("ready", flush=True)
while True: time.sleep(1)
"""
    with process("The child", python(code), log):
        until(lambda: "ready" in log.read_text())
    assert log.read_text().split() == ["ready", "closed"]


@posix
def test_a_child_that_will_not_end_is_killed_after_some_seconds(log):
    child = Process("The child", python(ENDS_ONLY_BY_FORCE), log)
    until(lambda: "ready" in log.read_text())
    child.stop(seconds=0.3)
    assert child.popen.returncode == -signal.SIGKILL


@posix
def test_ctrl_c_in_the_terminal_does_not_reach_a_child_before_its_parent_stops_it(log):
    with process("The child", python(HAS_A_CHILD), log) as child:
        assert os.getpgid(child.popen.pid) == child.popen.pid != os.getpgid(0)


@posix
def test_ctrl_c_in_the_moment_of_a_start_leaves_no_child_behind(log, monkeypatch):
    started = []

    class Interrupted(subprocess.Popen):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            started.append(self)
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(processes.subprocess, "Popen", Interrupted)
    with pytest.raises(KeyboardInterrupt), process("The child", python(ENDS_ONLY_BY_FORCE), log):
        pytest.fail("the block must not begin")
    assert started[0].returncode is not None


@posix
def test_ctrl_c_while_a_child_is_being_stopped_waits_until_it_is_gone(log, monkeypatch):
    class Interrupted(Process):
        def stop(self, seconds: float = 10) -> None:
            signal.raise_signal(signal.SIGINT)
            super().stop(seconds)

    monkeypatch.setattr(processes, "Process", Interrupted)
    with (
        pytest.raises(KeyboardInterrupt),
        process("The child", python("import time; time.sleep(600)"), log) as child,
    ):
        assert child.popen.poll() is None
    assert child.popen.returncode is not None
    with pytest.raises(KeyboardInterrupt):  # and the next one is heard again
        signal.raise_signal(signal.SIGINT)


def test_progress_that_is_not_on_a_terminal_says_what_begins_what_is_kept_and_what_is_done(capsys):
    progress = Progress("Baking", keep="oven:")
    progress(["oven: is hot", "chatter", ""])
    progress.done()
    assert capsys.readouterr().out == "Baking ...\n    oven: is hot\nBaking: done in 0 s\n"


def test_long_progress_that_is_not_on_a_terminal_gives_a_sign_of_life_now_and_then(capsys, monkeypatch):
    progress = Progress("Baking")
    now = time.monotonic()
    for seconds in (29, 31, 40, 62):
        monkeypatch.setattr(time, "monotonic", lambda seconds=seconds: now + seconds)
        progress(["rising"])
    assert capsys.readouterr().out.splitlines() == ["Baking ...", "Baking ... 31 s  rising", "Baking ... 62 s  rising"]


@posix
def test_progress_on_a_terminal_is_one_line_that_is_written_over_and_never_wraps(tmp_path):
    import fcntl
    import struct
    import termios

    code = """
import time
from processes import Progress
progress = Progress("Baking", "oven:")
for seconds in (1, 2):
    progress.shown = progress.start = time.monotonic() - seconds
    progress(["flour " * 30])
progress(["oven: is hot"])
progress.done()
"""
    parent, child = os.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 40, 0, 0))
    env = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    env["PYTHONPATH"] = str(Path(processes.__file__).parent)
    subprocess.run(python(code), stdin=child, stdout=child, env=env, check=True)
    os.close(child)
    text = os.read(parent, 100_000).decode()
    os.close(parent)
    assert "\x1b" not in text, "old consoles of Windows know no escape codes"
    shown = [part.rstrip() for part in text.replace("\r\n", "\n").split("\r")]
    assert shown == [
        "",
        "Baking ... 1 s  flour flour flour flour"[:39],
        "Baking ... 2 s  flour flour flour flour"[:39],
        "    oven: is hot",
        "Baking: done in 2 s",
    ]
    assert all(len(part.rstrip("\n")) == 39 for part in text.replace("\r\n", "\n").split("\r")[1:]), "blanks wipe out"


def test_children_find_this_python_first_and_no_proxy_between_them_and_the_servers(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "example.org")
    env = child_environment(MLFLOW_TRACKING_URI="http://127.0.0.1:1")
    assert env["PATH"].split(os.pathsep)[0] == str(Path(sys.executable).parent)
    assert env["NO_PROXY"] == "example.org,127.0.0.1,localhost"
    assert env["MLFLOW_TRACKING_URI"] == "http://127.0.0.1:1"
    assert env["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert "MLFLOW_TRACKING_URI" not in os.environ or os.environ["MLFLOW_TRACKING_URI"] != "http://127.0.0.1:1"
