"""Stop a workflow: signals to stop are Ctrl-C, and no process and no run is left at work."""

import contextlib
import signal
from collections.abc import Callable, Collection

import mlflow
import psutil
from mlflow.entities import RunInfo

PATIENCE = 10  # seconds that a process has for ending by itself
SIGNALS = [  # Windows has no SIGHUP, the others no SIGBREAK
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)
]


def mark_children_killed(parent: RunInfo, failed: Collection[str] = ()) -> None:
    """Mark a run's children that did not finish, and theirs, as killed, apart from the steps in ``failed``."""
    client = mlflow.MlflowClient()
    unfinished = f"tags.mlflow.parentRunId = '{parent.run_id}' and attributes.status != 'FINISHED'"
    for child in client.search_runs([parent.experiment_id], unfinished):
        if child.data.tags.get("cache.step") not in failed:
            mark_children_killed(child.info)
            client.set_terminated(child.info.run_id, "KILLED")


def ignore_signals() -> None:
    """Ignore Ctrl-C and the other signals to stop while the steps are being ended."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def interrupt(number: int, frame: object) -> None:
    """Treat one signal as Ctrl-C, and ignore further ones."""
    ignore_signals()
    raise KeyboardInterrupt


def catch_signals() -> None:
    """Treat every signal to stop as Ctrl-C, so that no run stays "running" for ever."""
    for number in SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:  # nohup ignores SIGHUP
            signal.signal(number, interrupt)


def end_processes(ended: Callable[[float], bool]) -> None:
    """End every process that this one has started, and those that they have started.

    ``ended`` waits some seconds for the former and returns whether all have ended.
    """
    done = False
    while not done:
        started, direct = psutil.Process().children(recursive=True), psutil.Process().children()
        for process in started:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.terminate()
        done = ended(PATIENCE)
        psutil.wait_procs([process for process in started if process not in direct], timeout=PATIENCE)
        for process in started:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
