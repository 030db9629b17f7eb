"""Child processes: each writes its own log, is watched until it is ready or has ended, and leaves nobody behind."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import rich.progress
from rich.progress import TextColumn, TimeElapsedColumn
from rich.table import Column

from forecasting.errors import UserError
from server.environment import last_lines, open_log

POLL = 0.1  # seconds between two looks at a process
FULL = 1e6  # bytes; a disk with less free space is full


class Process:
    """A child process whose output goes to a log file, or to the terminal if ``log`` is None."""

    def __init__(self, name: str, command: list, log: Path | None, cwd: Path | None = None, env: dict | None = None):
        """Start the command; messages call it ``name``."""
        self.name, self.log = name, log
        # A group of its own: Ctrl-C in the terminal then reaches the parent only, which stops its children in order.
        if os.name == "nt":
            group = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
        else:
            group = {"start_new_session": True}
        with contextlib.ExitStack() as files:
            output = files.enter_context(open_log(log)) if log else None
            self.popen = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT if log else None,
                cwd=cwd,
                env=env,
                **group,
            )

    def failure(self, what: str) -> UserError:
        """Return an error about this process that names its log and shows how it ends."""
        if self.log is None:
            return UserError(f"{self.name} {what}.")
        end = "".join(f"\n    {line}" for line in last_lines(self.log))
        return UserError(f"{self.name} {what}. Its log is {self.log}" + (f", which ends with:{end}" if end else "."))

    def wait_until(self, ready: Callable[[], bool], seconds: float, guard: Callable[[], None] = lambda: None) -> None:
        """Return as soon as ``ready()`` is true; raises UserError if the process ends or time runs out before.

        ``guard`` is called again and again; it raises UserError if something that the process needs is gone.
        """
        deadline = time.monotonic() + seconds
        while True:
            with contextlib.suppress(TimeoutError):  # it takes connections already, and is busy with its start
                if ready():
                    return
            guard()
            if self.popen.poll() is not None:
                raise self.failure(f"ended with exit status {self.popen.returncode} before it was ready")
            if time.monotonic() > deadline:
                raise self.failure(f"did not answer within {seconds:.0f} s")
            time.sleep(POLL)

    def follow(self) -> Iterator[list[str]]:
        """Yield the new lines of the log again and again until the process ends; raises UserError if it failed."""
        with self.log.open(encoding="utf-8", errors="replace") as log:
            ended, unfinished = False, ""
            while not ended:
                ended = self.popen.poll() is not None
                *lines, unfinished = (unfinished + log.read()).split("\n")
                yield [line.strip() for line in ([*lines, unfinished] if ended else lines)]
                if not ended:
                    time.sleep(POLL)
        if self.popen.returncode:
            raise self.failure(f"failed with exit status {self.popen.returncode}")

    def stop(self, seconds: float = 10) -> None:
        """End the process and everything that it started: politely, and after some seconds by force."""
        if os.name == "nt":
            subprocess.run(["taskkill", "/T", "/F", "/PID", str(self.popen.pid)], capture_output=True, check=False)
        else:
            # The group, not a tree of parents and children: it also has those whose parent has ended before them.
            for signum in (signal.SIGTERM, signal.SIGKILL):
                deadline = time.monotonic() + seconds
                left = self._signal_group(signum)
                while left and time.monotonic() < deadline:
                    time.sleep(POLL)
                    left = self._signal_group(0)
                if not left:
                    break
        self.popen.wait()

    def _signal_group(self, signum: int) -> bool:
        """Send a signal to the process group; return whether anybody was left to get it."""
        self.popen.poll()  # a dead leader that nobody asked for still counts as a member
        try:
            os.killpg(self.popen.pid, signum)
        except (ProcessLookupError, PermissionError):  # macOS answers EPERM where only zombies are left
            return False
        return True


@contextlib.contextmanager
def progress(title: str) -> Iterator[Callable[[str], None]]:
    """Show what is going on and for how long; yields a function that takes a line about what is being done now.

    On a terminal one line keeps moving; elsewhere a line is printed at the beginning and another at the end.
    """
    start, terminal = time.monotonic(), sys.stdout.isatty()
    detail = TextColumn("{task.fields[detail]}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis"))
    with rich.progress.Progress(
        "{task.description} ...", TimeElapsedColumn(), detail, transient=True, disable=not terminal
    ) as line:
        task = line.add_task(title, total=None, detail="")
        if not terminal:
            print(f"{title} ...", flush=True)
        yield lambda text: line.update(task, detail=text)
    print(f"{title}: done in {time.monotonic() - start:.0f} s", flush=True)


@contextlib.contextmanager
def process(
    name: str, command: list, log: Path | None, cwd: Path | None = None, env: dict | None = None
) -> Iterator[Process]:
    """Run a process for as long as the ``with`` block lasts."""
    child = Process(name, command, log, cwd, env)
    try:
        yield child
    finally:
        try:
            child.stop()
        except KeyboardInterrupt:  # it came while the child was being stopped, which has to be finished
            child.stop()
            raise


def watch_over(children: list[Process], folder: Path | None = None) -> None:
    """Raise UserError if one of the processes has ended, or if the disk of ``folder`` is full."""
    if folder and (free := shutil.disk_usage(folder).free) < FULL:
        raise UserError(f"The disk is full: {free / 1e6:.1f} MB are free in {folder}. Free some and try again.")
    for child in children:
        if child.popen.poll() is not None:
            raise child.failure(f"ended with exit status {child.popen.returncode}")


def step(
    title: str, command: list, log: Path, keep: str, guard: Callable[[], None] = lambda: None, **where: object
) -> None:
    """Run a command to its end with a line of progress; raises UserError if it fails.

    Lines of the log that begin with ``keep`` are for people and stay on the screen. ``guard`` is called again and
    again; it raises UserError if something that the command needs is gone. ``where`` is its folder and its environment.
    """
    with progress(title) as show, process(f"'{title}'", command, log, **where) as child:
        try:
            for lines in child.follow():
                guard()
                for line in filter(None, lines):
                    show(line)
                    if line.startswith(keep):
                        print(f"    {line}", flush=True)
        except UserError:
            guard()  # it knows better why the command failed
            # If the last word is a sentence for people, it is all that they need; mlflow adds a line of its own.
            said = [line for line in last_lines(log) if "ERROR mlflow.cli:" not in line]
            if not (said and said[-1].startswith(keep)):
                raise
            raise UserError(f"{title} failed. {said[-1][len(keep) :].strip()}\nIts log is {log}.") from None
