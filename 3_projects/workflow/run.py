"""Run data, then the three models side by side, then the registry; reuse what has not changed.

    mlflow run 3_projects/workflow --env-manager local --experiment-name predicting_wind_solar

Each step is a project of its own and becomes a child of this run. The description of this run says for each step
whether it was run or reused, and why.
"""

import argparse
import os
import signal
import sys
import time
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from datetime import UTC, datetime
from pathlib import Path

import cache
import mlflow
from mlflow.entities import Run
from mlflow.exceptions import ExecutionException, MlflowException
from mlflow_ftp.preflight import preflight

PROJECTS = Path(__file__).resolve().parents[1]
client = mlflow.MlflowClient()


class StepError(Exception):
    """A step that failed; the message is the step's own."""


def earlier_runs(step: str) -> list[Run]:
    """Return the finished runs of a step that a workflow started, the newest first."""
    return mlflow.search_runs(
        search_all_experiments=True,
        filter_string=f"tags.step = '{step}' and tags.`cache.code` != '' and attributes.status = 'FINISHED'",
        output_format="list",
    )


def lost(run: Run) -> str | None:
    """Return what a run that could stand in has lost since, or None."""
    step = run.data.tags["step"]
    if step == "data":
        return None if client.list_artifacts(run.info.run_id) else "its table is gone"
    try:
        if step == "registry":
            production = client.get_model_version_by_alias("wind_solar", "production").version
            same = production == run.data.tags.get("production_version")
            return None if same else "another version is in production since"
        files = client.list_logged_model_artifacts(run.outputs.model_outputs[0].model_id)
        return None if files else "its model is gone"
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        return "nothing is in production any more" if step == "registry" else "its model is gone"


class Workflow:
    """The steps of one workflow run, and a line about each of them."""

    def __init__(self, parent: Run, env_manager: str):
        """Work below the run ``parent``, with one of MLflow's environment managers for the steps."""
        self.parent, self.env_manager, self.lines = parent, env_manager, {}

    def step(self, name: str, parameters: dict, digest_of_input: str, inputs: dict | None = None) -> Run:
        """Run a project, or reuse an earlier run; raises StepError.

        ``parameters`` and ``digest_of_input`` decide which. ``inputs`` are parameters that say where the input is, such
        as run ids; they do not count.
        """
        description = cache.describe(PROJECTS / name, parameters, digest_of_input)
        run, reason = cache.match(earlier_runs(name), description)
        if run and (loss := lost(run)):
            run, reason = None, loss
        if run:
            self.note(name, f"reused run {run.info.run_id}: {reason}")
            return run
        print(f"workflow: {name} runs: {reason}", flush=True)
        start = time.monotonic()
        run = self.run_project(name, {**parameters, **(inputs or {})})
        for key, value in description.items():
            client.set_tag(run.info.run_id, key, value)
        self.note(name, f"run {run.info.run_id} in {time.monotonic() - start:.0f} s: {reason}")
        return run

    def run_project(self, name: str, parameters: dict) -> Run:
        """Run a project to its end as a child of the workflow's run; raises StepError with the step's own error."""
        try:
            submitted = mlflow.projects.run(
                str(PROJECTS / name),
                parameters=parameters,
                experiment_id=self.parent.info.experiment_id,
                run_name=name,
                env_manager=self.env_manager,
            )
        except ExecutionException as error:
            failed = client.search_runs(
                [self.parent.info.experiment_id],
                f"tags.mlflow.parentRunId = '{self.parent.info.run_id}' and attributes.run_name = '{name}'",
            )
            own = failed[0].data.tags.get("error") if failed else None
            raise StepError(f"{name}: {own or f'{error}; its output is above'}") from None
        return client.get_run(submitted.run_id)

    def note(self, name: str, line: str) -> None:
        """Print a line about a step and keep it as a tag and in the description of the workflow's run."""
        print(f"workflow: {name}: {line}", flush=True)
        self.lines[name] = line
        run_id = self.parent.info.run_id
        client.set_tag(run_id, f"step.{name}", line)
        client.set_tag(run_id, "mlflow.note.content", "\n".join(f"- **{n}**: {text}" for n, text in self.lines.items()))


def run_workflow(options: argparse.Namespace) -> None:
    """Run the steps in the order of their inputs; raises StepError at the first one that fails."""
    parent = mlflow.active_run()
    workflow = Workflow(parent, options.env_manager)

    csv = PROJECTS.parent / options.csv
    files = [path for path in (csv, csv.with_name("datapackage.json")) if path.is_file()]
    try:
        digest = cache.digest_of_files(files)
    except OSError:
        digest = "unreadable"  # the data step says why
    data = workflow.step("data", {"holdout_days": options.holdout_days}, digest, {"csv": options.csv})
    # Report and dashboard show the table that was used last.
    client.set_tag(data.info.run_id, "used_at", datetime.now(UTC).isoformat())
    table = {"data_run": data.info.run_id}
    digest = data.data.tags["table_sha256"]

    models = {
        "lr": {},
        "rf": {"n_estimators": options.n_estimators, "max_depth": options.max_depth},
        "keras": {"epochs": options.epochs},
    }
    # Each thread enters the workflow's run, as MLflow keeps the active run of every thread apart and makes what a
    # thread starts a child of it.
    with ThreadPoolExecutor(
        max_workers=min(len(models), os.cpu_count() or 1),
        initializer=mlflow.start_run,
        initargs=(parent.info.run_id,),
    ) as threads:
        # The network takes longest, so it goes first.
        futures = [threads.submit(workflow.step, name, models[name], digest, table) for name in ("keras", "rf", "lr")]
        try:
            wait(futures, return_when=FIRST_EXCEPTION)
        finally:
            threads.shutdown(cancel_futures=True)
        for future in futures:  # the error first, as what was cancelled has no result
            if not future.cancelled():
                future.result()
    candidates = ",".join(future.result().info.run_id for future in futures)
    workflow.step("registry", {}, f"{candidates} {digest}", {"candidates": candidates, **table})


def main() -> None:
    """Run the workflow; a failing step ends it with that step's own error."""
    parser = argparse.ArgumentParser(description="Run data, the three models and the registry; reuse what is there.")
    parser.add_argument("--csv", required=True, help="the file; a relative path starts at the top of the project")
    parser.add_argument("--holdout-days", type=float, default=365, help="days at the end that no training step sees")
    parser.add_argument("--n-estimators", type=int, default=64, help="trees of the forest")
    parser.add_argument("--max-depth", type=int, default=10, help="levels of each tree")
    parser.add_argument("--epochs", type=int, default=30, help="passes of the network over the table, at the most")
    parser.add_argument("--env-manager", default="local", help="how each step gets its environment")
    options = parser.parse_args()
    # Being stopped is like Ctrl-C. No run may stay "running" for ever.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    preflight("workflow")
    with mlflow.start_run():
        mlflow.set_tag("step", "workflow")
        try:
            run_workflow(options)
        except StepError as error:
            mlflow.set_tag("error", str(error))
            sys.exit(f"workflow: {error}")
        except KeyboardInterrupt:
            parent = mlflow.active_run().info
            unfinished = f"tags.mlflow.parentRunId = '{parent.run_id}' and attributes.status = 'RUNNING'"
            for run in client.search_runs([parent.experiment_id], unfinished):
                client.set_terminated(run.info.run_id, "KILLED")
            sys.exit("workflow: stopped")
        except (MlflowException, OSError) as error:
            reason = (str(error) or type(error).__name__).splitlines()[0]
            message = f"the tracking server or the artifact store did not do its part: {reason}. Do both servers run?"
            sys.exit(f"workflow: {message}")


if __name__ == "__main__":
    main()
