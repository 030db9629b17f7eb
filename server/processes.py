"""Child processes: each writes into a log file of its own, is waited for by asking it, and ends with all its children.

Standard library only, as workshop.py needs it before anything is installed.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

POLL = 0.1  # seconds between two looks at a process


class ProcessError(Exception):
    """Something that a person has to mend; the message is one sentence for them, with the log's last lines below."""


class Process:
    """A child process whose output goes to a log file, or to the terminal if ``log`` is None."""

    def __init__(self, name: str, command: list, log: Path | None, cwd: Path | None = None, env: dict | None = None):
        """Start the command; ``name`` is what people call it."""
        self.name, self.log = name, log
        # A group of its own: Ctrl-C in the terminal then reaches the parent only, which stops its children in order.
        if os.name == "nt":
            group = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
        else:
            group = {"start_new_session": True}
        with contextlib.ExitStack() as files:
            output = None
            if log:
                log.parent.mkdir(parents=True, exist_ok=True)
                output = files.enter_context(log.open("wb"))
            self.popen = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT if log else None,
                cwd=cwd,
                env=env,
                **group,
            )

    def failure(self, what: str) -> ProcessError:
        """Return an error about this process that shows where its log is and how it ends."""
        if self.log is None:
            return ProcessError(f"{self.name} {what}.")
        end = "".join(f"\n    {line}" for line in last_lines(self.log))
        return ProcessError(f"{self.name} {what}. Its log is {self.log}" + (f", which ends with:{end}" if end else "."))

    def wait_until(
        self, ready: Callable[[], bool], seconds: float, watch: Callable[[list[str]], None] = lambda lines: None
    ) -> None:
        """Return as soon as ``ready()`` is true; raises ProcessError if the process ends or time runs out before.

        ``watch`` is called again and again with an empty list, to show that time goes by.
        """
        deadline = time.monotonic() + seconds
        while not ready():
            watch([])
            if self.popen.poll() is not None:
                raise self.failure(f"ended with exit status {self.popen.returncode} before it was ready")
            if time.monotonic() > deadline:
                raise self.failure(f"did not answer within {seconds:.0f} s")
            time.sleep(POLL)

    def wait(self, watch: Callable[[list[str]], None]) -> None:
        """Return when the process has ended well; raises ProcessError if not.

        ``watch`` is called again and again with the lines that came into the log since the last time.
        """
        with self.log.open(encoding="utf-8", errors="replace") as log:
            ended, unfinished = False, ""
            while not ended:
                ended = self.popen.poll() is not None
                *lines, unfinished = (unfinished + log.read()).split("\n")
                watch([line.strip() for line in ([*lines, unfinished] if ended else lines)])
                if not ended:
                    time.sleep(POLL)
        if self.popen.returncode:
            raise self.failure(f"failed with exit status {self.popen.returncode}")

    def stop(self, seconds: float = 10) -> None:
        """End the process and everything that it started: politely, and after some seconds by force."""
        if os.name == "nt":
            subprocess.run(["taskkill", "/T", "/F", "/PID", str(self.popen.pid)], capture_output=True, check=False)
        else:
            for signum, patience in ((signal.SIGTERM, seconds), (signal.SIGKILL, seconds)):
                if not self._signal_group(signum):
                    break
                deadline = time.monotonic() + patience
                while self._signal_group(0) and time.monotonic() < deadline:
                    time.sleep(POLL)
        self.popen.wait()

    def _signal_group(self, signum: int) -> bool:
        """Send a signal to the process group; return whether there was anybody left to get it."""
        self.popen.poll()  # a dead leader that nobody asked for still counts as a member
        try:
            os.killpg(self.popen.pid, signum)
        except (ProcessLookupError, PermissionError):  # macOS answers EPERM where only zombies are left
            return False
        return True


class Progress:
    """One line of a terminal that says what is going on and for how long; elsewhere a line now and then."""

    def __init__(self, title: str, keep: str = ""):
        """Show ``title``; lines of the log that begin with ``keep`` stay on the screen."""
        self.title, self.keep = title, keep
        self.start = self.shown = time.monotonic()
        self.last = ""
        self.live = sys.stdout.isatty()
        if not self.live:
            print(f"{title} ...", flush=True)

    def __call__(self, lines: list[str]) -> None:
        """Take in new lines of the log, and let the seconds tick."""
        for line in filter(None, lines):
            self.last = line
            if self.keep and line.startswith(self.keep):
                self._print(f"    {line}\n")
        pause = 0.5 if self.live else 30
        if time.monotonic() - self.shown > pause:
            self.shown = time.monotonic()
            text = f"{self.title} ... {self.seconds:.0f} s"
            self._print(f"{text}  {self.last}"[: self.width] if self.live else f"{text}  {self.last}\n")

    def done(self) -> None:
        """Say that it is done, and how long it took."""
        self._print(f"{self.title}: done in {self.seconds:.0f} s\n")

    @property
    def seconds(self) -> float:
        """Return the time since the start."""
        return time.monotonic() - self.start

    @property
    def width(self) -> int:
        """Return how long a line of the terminal may be without a second one beginning."""
        return shutil.get_terminal_size().columns - 1

    def _print(self, text: str) -> None:
        if self.live:  # blanks wipe out the line before on every terminal, also on those that know no escape codes
            line, end = text.removesuffix("\n"), "\n" * text.endswith("\n")
            text = f"\r{line:{self.width}}{end}"
        sys.stdout.write(text)
        sys.stdout.flush()


@contextlib.contextmanager
def process(
    name: str, command: list, log: Path | None, cwd: Path | None = None, env: dict | None = None
) -> Iterator[Process]:
    """Run a process for as long as the ``with`` block lasts."""
    child = None
    try:
        with held_signals():
            child = Process(name, command, log, cwd, env)
        yield child
    finally:
        if child:
            with held_signals():
                child.stop()


@contextlib.contextmanager
def held_signals() -> Iterator[None]:
    """Hold Ctrl-C and its like back until the block is done, so that a child is started whole and stopped whole."""
    came, handlers = [], {}
    if threading.current_thread() is threading.main_thread():  # no other one gets signals, or may say what they do
        for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"):  # Windows has no SIGHUP, the others no SIGBREAK
            number = getattr(signal, name, None)
            if number and callable(signal.getsignal(number)):
                handlers[number] = signal.signal(number, lambda number, frame: came.append(number))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for number in came[:1]:
            signal.raise_signal(number)


def step(
    title: str, command: list, log: Path, keep: str = "", cwd: Path | None = None, env: dict | None = None
) -> None:
    """Run a command to its end with a line of progress; raises ProcessError if it fails.

    Lines of the log that begin with ``keep`` are what the command says to people.
    """
    name = title.split("] ")[-1]
    progress = Progress(title, keep)
    with process(f"'{name}'", command, log, cwd, env) as child:
        try:
            child.wait(progress)
        except ProcessError:
            # If the last word is a sentence for people, it is all that they need; mlflow adds a line of its own.
            said = [line for line in last_lines(log) if "ERROR mlflow.cli:" not in line]
            if not (keep and said and said[-1].startswith(keep)):
                raise
            raise ProcessError(f"{name} failed. {said[-1][len(keep) :].strip()}\nIts log is {log}.") from None
    progress.done()


def last_lines(log: Path, count: int = 12, width: int = 400) -> list[str]:
    """Return how a log ends: no more of it than a person reads, however long it or its lines are."""
    with log.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - 100_000))
        text = file.read().decode("utf-8", "replace")
    return [line[:width] for line in text.strip().splitlines()[-count:]]


def child_environment(**variables: str) -> dict[str, str]:
    """Return the environment for children.

    This Python's programs come first; UTF-8; no proxy for loopback; no telemetry; the artifact store's guest, if the
    user has named no other login.
    """
    env = {**os.environ, **variables}
    env["PATH"] = str(Path(sys.executable).parent) + os.pathsep + env.get("PATH", "")
    env["PYTHONUTF8"] = "1"
    env["PYTHONIOENCODING"] = "utf-8"  # comes before PYTHONUTF8
    env["PYTHONUNBUFFERED"] = "1"
    for name in ("NO_PROXY", "no_proxy"):
        env[name] = ",".join(filter(None, [env.get(name), "127.0.0.1,localhost"]))
    env["MLFLOW_DISABLE_TELEMETRY"] = "true"
    env["DO_NOT_TRACK"] = "1"
    env.setdefault("MLFLOW_FTP_USERNAME", "guest")
    env.setdefault("MLFLOW_FTP_PASSWORD", "12345")
    return env
