"""The tracking server: which one it is, and what its runs say. ``MLFLOW_TRACKING_URI`` names it."""

import os
import re
import sys
from collections.abc import Sequence
from functools import cache

import mlflow
from mlflow.entities import Experiment, Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from forecasting.errors import UserError

# Left over from other work, these lead to another registry, or to a run, an experiment or a model to write to.
LEFT_OVER = ("REGISTRY_URI", "RUN_ID", "EXPERIMENT_ID", "EXPERIMENT_NAME", "ACTIVE_MODEL_ID")


def choose_server(program: str) -> None:
    """Let MLFLOW_TRACKING_URI alone say where MLflow reads and writes; ends ``program`` if it is not set.

    Without it MLflow would make a database of its own in the current folder.
    """
    for name in LEFT_OVER:
        os.environ.pop(f"MLFLOW_{name}", None)
    uri = os.environ.get("MLFLOW_TRACKING_URI", "")
    if not uri or not uri.isprintable():
        sys.exit(
            f"{program}: MLFLOW_TRACKING_URI: expected the address of the MLflow server, found "
            f"{without_password(uri)!r}. Type: export MLFLOW_TRACKING_URI=http://127.0.0.1:5000"
        )


def server_address() -> str:
    """Return the address of the tracking server without user and password."""
    return without_password(mlflow.get_tracking_uri()).rstrip("/")


def without_password(text: str) -> str:
    """Return the text with user and password taken out of each address in it."""
    return re.sub(r"(?<=://)[^\s/]*@", "", text)


def find_run(run_id: str | None) -> Run | None:
    """Find a run, deleted or not; None if no run is named, or if it was removed for good."""
    try:
        return mlflow.MlflowClient().get_run(run_id) if run_id else None
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise


def refuse_deleted(experiment: Experiment) -> Experiment:
    """Return an experiment; raises UserError, which tells how to restore it, if it is deleted."""
    if experiment.lifecycle_stage == "deleted":
        raise UserError(
            f"the experiment {experiment.name} is deleted on {server_address()}; bring it back with: "
            f"mlflow experiments restore -x {experiment.experiment_id}"
        )
    return experiment


def finished_runs(
    condition: str = "",
    experiment_ids: Sequence[str] | None = None,
    order: str = "attributes.start_time DESC",
    most: int = 1000,
) -> list[Run]:
    """Find finished runs that meet a condition, the newest first; in the active experiment if none is named."""
    filters = " and ".join(filter(None, [condition, "attributes.status = 'FINISHED'"]))
    return mlflow.search_runs(
        experiment_ids=experiment_ids,
        filter_string=filters,
        order_by=[order],
        max_results=most,
        output_format="list",
    )


def project_of(about: Run | ModelVersion) -> str:
    """Return the name of the project that made a run or a model version; ``unknown`` if it doesn't say."""
    tags = about.data.tags if isinstance(about, Run) else about.tags
    return tags.get("project") or tags.get("step", "unknown")  # the tag's name until version 1 of the package


def data_title_of(about: Run | ModelVersion) -> str:
    """Return the title of the data that a run or a model version is made of; ``unknown`` if it doesn't say."""
    tags = about.data.tags if isinstance(about, Run) else about.tags
    return tags.get("data_title") or tags.get("source", "unknown")


def model_of(run: Run) -> str:
    """Return the address of the model that a run has logged; empty if it has none."""
    return f"models:/{run.outputs.model_outputs[0].model_id}" if run.outputs and run.outputs.model_outputs else ""


def find_challengers(run_ids: str, digest: str, train: str) -> list[Run]:
    """Find the runs whose models are judged on a table; ``newest`` is the newest of each project in this experiment.

    All of them have to be trained on the table with that digest: another one may have had another holdout, and the
    judged rows in its training. Raises UserError, which tells to type the command ``train`` if there is none.
    """

    @cache
    def is_on_table(data_run: str | None) -> bool:
        run = find_run(data_run)
        return run is not None and run.data.tags.get("table_sha256") == digest

    def fits(run: Run) -> bool:
        return is_on_table(run.data.tags.get("data_run"))

    if run_ids == "newest":
        newest: dict[str, Run] = {}
        for run in finished_runs("tags.data_run LIKE '%'"):
            if project_of(run) not in newest and model_of(run) and fits(run):
                newest[project_of(run)] = run
        if not newest:
            raise UserError(f"no model in this experiment was trained on this table; train one with: {train}")
        return list(newest.values())
    challengers = []
    for run_id in dict.fromkeys(part.strip() for part in run_ids.split(",")):
        run, problem = find_run(run_id), ""
        if run is None or not model_of(run):
            problem = "has no model" if run else "is not a run on this tracking server"
        elif not fits(run):
            problem = "was trained on another table than it would be judged on"
        if problem:
            raise UserError(f"the challenger {run_id} {problem}; train one with: {train}")
        challengers.append(run)
    return challengers
