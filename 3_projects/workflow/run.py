"""Run the steps that steps.py lists, side by side where they can be; reuse what has not changed.

    mlflow run 3_projects/workflow --env-manager local --experiment-name predicting_wind_solar
    mlflow run 3_projects/workflow --env-manager local -P dry_run=true

Each step is an entry point of a project and becomes a child of this run. The description of this run says for each
step whether it was run or reused, and why. A dry run says what would be done, and starts nothing.
"""

import argparse
import contextlib
import json
import os
import sys
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import UTC, datetime
from pathlib import Path

import leftovers
import mlflow
from history import History
from mlflow.entities import Param, Run, RunTag
from mlflow.exceptions import ExecutionException, MlflowException
from mlflow_ftp.preflight import preflight
from steps import add_arguments, list_steps

HERE = Path(__file__).resolve().parent
# What a step's run takes over from the workflow's.
INHERITED = ("mlflow.user", "mlflow.source.git.commit", "mlflow.source.git.repoURL")
client = mlflow.MlflowClient()


class StepError(Exception):
    """A step that failed; the message is the step's own."""


class Workflow:
    """The steps of one workflow run, and a line about each of them."""

    def __init__(self, parent: Run, history: History, env_manager: str):
        """Work below the run ``parent``, with one of MLflow's environment managers for the steps."""
        self.parent, self.history, self.steps, self.env_manager = parent, history, history.steps, env_manager
        self.done: dict[str, Run] = {}
        self.begun: dict[str, str] = {}  # the ids of the runs that were started, by step
        self.lines: dict[str, str] = {}

    def run(self) -> None:
        """Run or reuse each step as soon as those before it are done; raises StepError at the first one that fails."""
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
                        raise StepError(
                            f"{', '.join(waiting)}: waiting for a step that is not listed, or for each other"
                        )
                    if not ready:  # a second is how long Windows lets Ctrl-C wait
                        for future in wait(futures, timeout=1, return_when=FIRST_COMPLETED).done:
                            run, seconds = future.result()
                            name, reason = futures.pop(future)
                            self.end(name, run, f"run {run.info.run_id} in {seconds:.0f} s: {reason}")
            except StepError:
                self.stop(threads, futures, {name for future, (name, _) in futures.items() if failed(future)})
                raise
            except BaseException:
                self.stop(threads, futures, set())
                raise

    def launch(self, name: str, tags: dict[str, str], reason: str) -> tuple[Run, float]:
        """Run a step to its end as a child of the workflow's run, and return its run and the seconds that it took.

        Raises StepError with the step's own error.
        """
        print(f"workflow: {name} runs: {reason}\n", end="", flush=True)
        start, step, about = time.monotonic(), self.steps[name], self.parent.info
        folder = str(self.history.projects / step.project)
        if not Path(folder, "MLproject").is_file():
            raise StepError(f"{name}: expected a project in {folder}, found no MLproject there")
        tags |= {
            "mlflow.parentRunId": about.run_id,
            "mlflow.project.entryPoint": step.entry_point,
            "mlflow.source.name": folder,
            "mlflow.source.type": "PROJECT",
            "workflow.process": leftovers.this_process(),
            **{tag: self.parent.data.tags[tag] for tag in INHERITED if tag in self.parent.data.tags},
        }
        # Made here rather than by MLflow, so that it has its tags whatever happens to the step.
        run_id = client.create_run(about.experiment_id, tags=tags, run_name=name).info.run_id
        self.begun[name] = run_id
        parameters = {**step.parameters, **step.places}
        for parameter, needs in step.runs.items():
            parameters[parameter] = ",".join(self.done[need].info.run_id for need in needs)
        try:
            entry_point = mlflow.projects.load_project(folder).get_entry_point(step.entry_point)
            values, _ = entry_point.compute_parameters(parameters, storage_dir=None)
            client.log_batch(run_id, params=[Param(key, value) for key, value in values.items()])
            mlflow.projects.run(
                folder,
                entry_point=step.entry_point,
                parameters=parameters,
                experiment_id=about.experiment_id,
                run_id=run_id,
                env_manager=self.env_manager,
            )
        except ExecutionException as error:
            run = client.get_run(run_id)
            if run.info.status == "RUNNING":  # it could not even be started
                client.set_terminated(run_id, "FAILED")
            raise StepError(f"{name}: {run.data.tags.get('error') or f'{error}; its output is above'}") from None
        if step.state:
            client.set_tag(run_id, "cache.state", json.dumps(step.state()))
        return client.get_run(run_id), time.monotonic() - start

    def end(self, name: str, run: Run, line: str) -> None:
        """Take a step as done, print a line about it, and keep it with the workflow's run."""
        self.done[name], self.lines[name] = run, line
        print(f"workflow: {name}: {line}\n", end="", flush=True)
        text = "\n".join(f"- **{step}**: {said}" for step, said in self.lines.items())
        tags = [RunTag(f"step.{name}", line), RunTag("mlflow.note.content", text)]
        client.log_batch(self.parent.info.run_id, tags=tags)
        if self.steps[name].marked:
            client.set_tag(run.info.run_id, "used_at", datetime.now(UTC).isoformat())

    def stop(self, threads: ThreadPoolExecutor, futures: dict[Future, tuple[str, str]], failed: set[str]) -> None:
        """End the steps that are at work, and mark their runs as killed; those that failed stay failed."""
        leftovers.ignore_signals()
        threads.shutdown(wait=False, cancel_futures=True)
        at_work = [future for future in futures if not future.cancelled()]
        leftovers.end_processes(lambda seconds: not wait(at_work, timeout=seconds).not_done)
        for name in self.begun.keys() - self.done.keys() - failed:
            run = client.get_run(self.begun[name])
            if run.info.status != "FINISHED":
                leftovers.mark_killed(run)


def failed(future: Future) -> bool:
    """Return whether a step has ended with an error."""
    return future.done() and not future.cancelled() and future.exception() is not None


def parse() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(
        description="Run the steps that steps.py lists, and reuse those that have not changed.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add_arguments(parser)
    parser.add_argument("--env-manager", default="local", help="how each step gets its environment")
    parser.add_argument(
        "--dry-run",
        nargs="?",
        const="true",
        default="false",
        choices=["true", "false"],
        help="only say for each step whether it would run or be reused, and why",
    )
    parser.add_argument(
        "--force",
        default="none",
        metavar="STEP",
        help="run this step though nothing has changed; several with commas between",
    )
    return parser.parse_args()


def run_workflow(history: History, env_manager: str) -> None:
    """Run the workflow as the active run, which ends as the steps do."""
    status = "FAILED"
    parent = mlflow.start_run()
    try:
        mlflow.set_tags({"step": history.name, "workflow.process": leftovers.this_process()})
        for run in leftovers.mark_dead_runs(history.experiments, parent.data.tags.get("mlflow.user", "")):
            what = run.data.tags.get("cache.step", history.name)
            print(f"workflow: run {run.info.run_id} ({what}) of a killed workflow is marked as KILLED", flush=True)
        Workflow(parent, history, env_manager).run()
        status = "FINISHED"
    except StepError as error:
        mlflow.set_tag("error", str(error))
        raise
    except KeyboardInterrupt:
        status = "KILLED"
        mlflow.set_tag("error", "stopped")  # `mlflow run` calls it FAILED afterwards
        raise
    finally:
        with contextlib.suppress(MlflowException):  # if the server is away, that is said already
            mlflow.end_run(status)


def main(workflow: Path = HERE) -> None:
    """Run the workflow, or say what it would do; a failing step ends it with that step's own error.

    A program that brings a list of steps of its own gives the folder that it is in; steps.py has to be found there.
    """
    options = parse()
    steps = list_steps(options)
    forced = set(options.force.split(",")) - {"none", ""}
    if wrong := sorted(forced - steps.keys()):
        sys.exit(f"workflow: expected the name of a step after force ({', '.join(steps)}), found {', '.join(wrong)}")
    leftovers.catch_signals()
    # An unbuffered process writes a line and its end apart, so the lines of steps that run side by side would mix.
    os.environ.pop("PYTHONUNBUFFERED", None)
    try:
        preflight("workflow")
        history = History(workflow, steps, options.env_manager, forced)
        leftovers.delete_dry_runs(history.experiments, history.name)
        if options.dry_run == "false":
            run_workflow(history, options.env_manager)
        else:
            history.show()
            leftovers.mark_dry_run(history.name)
    except StepError as error:
        sys.exit(f"workflow: {error}")
    except KeyboardInterrupt:
        sys.exit("workflow: stopped")
    except (MlflowException, OSError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        message = f"the tracking server or the artifact store did not do its part: {reason}. Do both servers run?"
        sys.exit(f"workflow: {message}")


if __name__ == "__main__":
    main()
