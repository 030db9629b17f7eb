"""What a workflow leaves behind: processes when it is stopped, runs that nobody will ever end, runs of dry runs."""

import contextlib
import os
import platform
import signal
from collections.abc import Callable, Collection

import mlflow
import psutil
from mlflow.entities import Run, RunTag

PATIENCE = 10  # seconds that a process has to end by itself
SAME_TIME = 60  # seconds by which a clock that is set may shift the start of a process
SIGNALS = [  # Windows has no SIGHUP, the others no SIGBREAK
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)
]
client = mlflow.MlflowClient()


def this_process() -> str:
    """Return the text by which this process can be told from all others later: host, number, start."""
    return f"{platform.node()} {os.getpid()} {psutil.Process().create_time():.0f}"


def died(process: str) -> bool:
    """Return whether a process is gone for sure; ``process`` is what this_process() has said of it."""
    host, number, start = process.rsplit(" ", 2)
    if host != platform.node():
        return False
    try:
        return abs(psutil.Process(int(number)).create_time() - float(start)) > SAME_TIME
    except psutil.NoSuchProcess:
        return True


def worked_on() -> set[str]:
    """Return the ids of the runs that a process of this user works on; MLflow gives it the id in its environment."""
    found = set()
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            found.add(process.environ().get("MLFLOW_RUN_ID"))
    return found


def children(run: Run) -> list[Run]:
    """Return the runs below a run that have not ended."""
    unfinished = f"tags.mlflow.parentRunId = '{run.info.run_id}' and attributes.status = 'RUNNING'"
    return client.search_runs([run.info.experiment_id], unfinished)


def mark_killed(run: Run, spared: Collection[str] = ()) -> None:
    """Say of a run, and of all below it that have not ended, that they were killed; not of those that are spared."""
    for child in children(run):
        if child.info.run_id not in spared:
            mark_killed(child, spared)
    client.set_terminated(run.info.run_id, "KILLED")


def mark_dead_runs(experiments: list[str], user: str) -> list[Run]:
    """Mark the runs that killed workflows have left running, and return them.

    A run is left alone unless it is sure that nobody works on it: its workflow ran on this host for this user and is
    gone, and so is every process of the step itself.
    """
    running = client.search_runs(experiments, "attributes.status = 'RUNNING' and tags.`workflow.process` LIKE '%'")
    own = [run for run in running if run.data.tags.get("mlflow.user") == user]
    dead = [run for run in own if died(run.data.tags["workflow.process"])]
    alive = worked_on() if dead else set()
    dead = [run for run in dead if run.info.run_id not in alive]
    for run in dead:
        mark_killed(run, alive)
    return dead


def mark_dry_run(workflow: str) -> None:
    """Mark the run that `mlflow run` has made before it started this; deleted now, it would make `mlflow run` fail."""
    if run_id := os.environ.get("MLFLOW_RUN_ID"):
        client.log_batch(run_id, tags=[RunTag("mlflow.runName", "dry run"), RunTag("workflow.dry_run", workflow)])
        print("workflow: MLflow has made a run for this dry run; the next workflow deletes it")


def delete_dry_runs(experiments: list[str], workflow: str) -> None:
    """Delete what mark_dry_run() has marked, once it has ended."""
    ended = f"attributes.status = 'FINISHED' and tags.`workflow.dry_run` = '{workflow}'"
    for run in client.search_runs(experiments, ended):
        client.delete_run(run.info.run_id)


def ignore_signals() -> None:
    """Take no further Ctrl-C, nor its like, while the steps are being ended."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def interrupt(number: int, frame: object) -> None:
    """Take one signal as Ctrl-C, and no further one."""
    ignore_signals()
    raise KeyboardInterrupt


def catch_signals() -> None:
    """Let all that asks this process to stop be like Ctrl-C, as no run may stay "running" for ever."""
    for number in SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:  # nohup ignores SIGHUP
            signal.signal(number, interrupt)


def end_processes(ended: Callable[[float], bool]) -> None:
    """End every process that this one has started, and those that they have started.

    ``ended`` waits some seconds for the former, and returns whether all of them have ended.
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
