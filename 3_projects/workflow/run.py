"""Run the steps of a workflow, side by side where they can be, and reuse what has not changed.

    mlflow run 3_projects/workflow --env-manager local --experiment-name wind_solar
    mlflow run 3_projects/workflow --env-manager local -P dry_run=true --experiment-name wind_solar

Each step is an entry point of a project and becomes a child of this run, whose description says for each step whether
it was run or reused, and why. A dry run tells what would be done and starts nothing. steps.py lists the steps;
``--steps`` names another such file.
"""

import argparse
import contextlib
import json
import os
import runpy
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import UTC, datetime
from pathlib import Path

import cleanup
import mlflow
from history import History
from mlflow.entities import Run, RunTag
from mlflow.exceptions import MlflowException

from forecasting.entry_point import command, run_child
from forecasting.errors import UserError

HERE = Path(__file__).resolve().parent
PRINTED = "steps.log"  # artifact of the workflow's run: what the steps print
client = mlflow.MlflowClient()


class Workflow:
    """The steps of one workflow run, and a line about each of them."""

    def __init__(self, parent: Run, history: History, env_manager: str, log: Path):
        """Run the steps as children of ``parent``, with an environment manager of MLflow's; they print into ``log``."""
        self.log, self.start = log, time.monotonic()
        self.parent, self.history, self.steps, self.env_manager = parent, history, history.steps, env_manager
        self.done: dict[str, Run] = {}
        self.lines: dict[str, str] = {}

    def run(self) -> None:
        """Run or reuse each step as soon as those before it are done; raises UserError at the first one that fails."""
        waiting, futures = list(self.steps), {}
        with ThreadPoolExecutor(max_workers=os.cpu_count()) as threads:
            try:
                while waiting or futures:
                    ready = [name for name in waiting if self.steps[name].needs <= self.done.keys()]
                    for name in ready:
                        waiting.remove(name)
                        tags = self.history.describe(name, self.done)
                        run, reason = self.history.decide(name, tags)
                        if run:
                            self.end(name, run, f"reused run {run.info.run_id}: {reason}")
                        else:
                            futures[threads.submit(self.launch, name, tags, reason)] = name, reason
                    if not ready and not futures:
                        names = ", ".join(waiting)
                        raise UserError(f"{names}: waiting for a step that is not listed, or for each other")
                    if not ready:  # a second is how long Windows lets Ctrl-C wait
                        for future in wait(futures, timeout=1, return_when=FIRST_COMPLETED).done:
                            run, seconds = future.result()
                            name, reason = futures.pop(future)
                            self.end(name, run, f"run {run.info.run_id} in {seconds:.0f} s: {reason}")
            except BaseException as error:
                self.stop(threads, futures, isinstance(error, UserError))
                raise

    def launch(self, name: str, tags: dict[str, str], reason: str) -> tuple[Run, float]:
        """Run a step to its end as a child of the workflow's run, and return its run and the seconds that it took.

        Raises UserError with the step's own error.
        """
        print(f"workflow: {name} runs: {reason}\n", end="", flush=True)
        start, step = time.monotonic(), self.steps[name]
        parameters = {**step.parameters, **step.places}
        for parameter, needs in step.runs.items():
            parameters[parameter] = ",".join(self.done[need].info.run_id for need in needs)
        folder = self.history.projects / step.project
        run = run_child(self.parent, name, folder, step.entry_point, parameters, self.env_manager, tags)
        run_id = run.info.run_id
        if run.info.status != "FINISHED":
            if "error" not in run.data.tags:
                print(self.log.read_text(encoding="utf-8", errors="replace"))
            raise UserError(f"{name}: {run.data.tags.get('error', f'run {run_id} failed; its output is above')}")
        if step.state:
            client.set_tag(run_id, "cache.state", json.dumps(step.state()))
        return run, time.monotonic() - start

    def end(self, name: str, run: Run, line: str) -> None:
        """Mark a step as done, print a line about it, and log the line on the workflow's run."""
        self.done[name], self.lines[name] = run, line
        print(f"workflow: {name}: {line}\n", end="", flush=True)
        text = "\n".join(f"- **{step}**: {said}" for step, said in self.lines.items())
        tags = [RunTag(f"step.{name}", line), RunTag("mlflow.note.content", text)]
        client.log_batch(self.parent.info.run_id, tags=tags)
        if self.steps[name].result:
            client.set_tag(run.info.run_id, "used_at", datetime.now(UTC).isoformat())

    def summarize(self) -> None:
        """Print how many steps were run, and each step's note."""
        reused = sum(line.startswith("reused") for line in self.lines.values())
        ran, seconds = len(self.lines) - reused, time.monotonic() - self.start
        print(f"workflow: {ran} steps run, {reused} reused, in {seconds:.0f} s; {PRINTED} of this run has their output")
        for name, run in self.done.items():
            for sentence in filter(None, run.data.tags.get("mlflow.note.content", "").splitlines()):
                print(f"workflow:   {name:<9} {sentence}")

    def stop(self, threads: ThreadPoolExecutor, futures: dict[Future, tuple[str, str]], one_failed: bool) -> None:
        """Stop the steps that are running and mark their runs as killed; one that has failed by itself stays failed."""
        failed = {name for future, (name, _) in futures.items() if one_failed and future.done() and future.exception()}
        cleanup.ignore_signals()
        threads.shutdown(wait=False, cancel_futures=True)
        running = [future for future in futures if not future.cancelled()]
        cleanup.end_processes(lambda seconds: not wait(running, timeout=seconds).not_done)
        cleanup.mark_children_killed(self.parent.info, {f"{self.history.name}/{name}" for name in failed})


@contextlib.contextmanager
def redirected() -> Iterator[Path]:
    """Send what the steps print to a file, an artifact of the active run, so that the workflow's own are seen."""
    originals = [os.dup(number) for number in (1, 2)]
    with (
        tempfile.TemporaryDirectory() as folder,
        Path(folder, PRINTED).open("wb") as file,
        os.fdopen(os.dup(1), "w", encoding=sys.stdout.encoding, errors="replace") as terminal,
        contextlib.redirect_stdout(terminal),
    ):
        try:
            for number in (1, 2):
                os.dup2(file.fileno(), number)
            yield Path(file.name)
        finally:
            sys.stderr.flush()
            for number, original in enumerate(originals, 1):
                os.dup2(original, number)
                os.close(original)
            with contextlib.suppress(MlflowException, OSError):  # the step's own error says more than a lost log
                mlflow.log_artifact(file.name)


def main() -> None:
    """Run the workflow, or tell what it would do; a failing step ends it with that step's own error."""
    cleanup.catch_signals()
    # An unbuffered process writes a line and its end apart, so the lines of steps that run side by side would mix.
    os.environ.pop("PYTHONUNBUFFERED", None)
    os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"  # two lines for each step
    first = argparse.ArgumentParser(add_help=False)
    first.add_argument("--steps", default=str(HERE / "steps.py"), help="the file that lists them")
    file = Path(first.parse_known_args()[0].steps)
    if not file.is_file():
        sys.exit(f"workflow: expected a file that lists steps, found none at {file}; name one with --steps")
    listed = runpy.run_path(str(file))
    parser = argparse.ArgumentParser(
        description="Run the steps of a workflow.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        parents=[first],
    )
    parser.add_argument("--env-manager", default="local", help="how each step gets its environment")
    parser.add_argument("--dry-run", default="false", choices=["true", "false"], help="only tell what would be done")
    parser.add_argument("--force", default="none", metavar="STEP", help="run it though nothing changed; or STEP,STEP")
    listed["add_arguments"](parser)
    with command("workflow", parser) as options:
        steps = listed["list_steps"](options)
        forced = set(options.force.split(",")) - {"none"}
        if unknown := sorted(forced - steps.keys()):
            raise UserError(f"expected the name of a step after force ({', '.join(steps)}), found {', '.join(unknown)}")
        history = History(file.resolve().parent, steps, options.env_manager, forced)
        if options.dry_run == "true":
            mlflow.set_tags({"project": "dry run", "mlflow.runName": "dry run"})
            history.show()
            return
        mlflow.set_tags({"project": history.name, "mlflow.runName": history.name})
        with redirected() as log:
            workflow = Workflow(mlflow.active_run(), history, options.env_manager, log)
            workflow.run()
        workflow.summarize()


if __name__ == "__main__":
    main()
