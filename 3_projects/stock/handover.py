"""How a step finds what the steps before it have left: runs by their tags, tables as artifacts."""

import tempfile

import mlflow
import pandas as pd
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

PROJECT = "mlflow run 3_projects/stock --env-manager local"


class HandoverError(Exception):
    """A run that is not there, or is of another kind; the message says what to type."""


def finished_runs(condition: str, order: str = "attributes.start_time DESC", most: int = 200) -> list[Run]:
    """Return the finished runs that a condition on tags holds for, in all experiments."""
    return mlflow.search_runs(
        search_all_experiments=True,
        filter_string=f"{condition} and attributes.status = 'FINISHED'",
        order_by=[order],
        max_results=most,
        output_format="list",
    )


def find_run(run_id: str, step: str) -> Run:
    """Return the run of a step; ``newest`` stands for the one that was used last. Raises HandoverError."""
    remedy = f"Make one with: {PROJECT} -e {step.removeprefix('stock.')}"
    if run_id == "newest":
        if found := finished_runs(f"tags.step = '{step}'", "tags.used_at DESC", 1):
            return found[0]
        raise HandoverError(f"there is no finished run of {step} yet. {remedy}")
    try:
        run = mlflow.get_run(run_id)
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        raise HandoverError(f"{run_id} is no run on this tracking server. {remedy}") from None
    if run.data.tags.get("step") != step or run.info.status != "FINISHED":
        kind = f"{run.data.tags.get('step', 'another kind')} that is {run.info.status}"
        raise HandoverError(f"expected a finished run of {step}, found {run_id}, a run of {kind}. {remedy}")
    return run


def read_table(run: Run, name: str) -> pd.DataFrame:
    """Return a table that a run has left; raises HandoverError if it is not there any more."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            path = mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path=name, dst_path=folder)
        except (MlflowException, OSError):
            step = run.data.tags["step"].removeprefix("stock.")
            raise HandoverError(
                f"the artifact {name} of run {run.info.run_id} can't be fetched. Make it anew with: {PROJECT} -e {step}"
            ) from None
        return pd.read_parquet(path)


def find_candidates(run_ids: str, table_run: Run, steps: list[str]) -> dict[str, Run]:
    """Return the run that trained each model on a table, by its step; ``newest`` stands for the newest of each.

    Raises HandoverError if a named run is no such one, or if there is none at all.
    """
    digest, found = table_run.data.tags["table_sha256"], {}
    if run_ids == "newest":
        for step in steps:
            runs = finished_runs(f"tags.step = '{step}' and tags.table_sha256 = '{digest}'", most=1)
            if runs and runs[0].outputs and runs[0].outputs.model_outputs:
                found[step] = runs[0]
    else:
        for run_id in run_ids.split(","):
            try:
                run = mlflow.get_run(run_id.strip())
            except MlflowException as error:
                if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                    raise
                raise HandoverError(f"{run_id} is no run on this tracking server. Name runs of train.") from None
            step = run.data.tags.get("step")
            if step not in steps or not (run.outputs and run.outputs.model_outputs):
                raise HandoverError(f"expected a run of train with a model, found {run_id} ({step or 'no step'}).")
            if run.data.tags.get("table_sha256") != digest:
                raise HandoverError(
                    f"{run_id} was trained on another table than it would be judged on. Train it again."
                )
            found[step] = run
    if not found:
        raise HandoverError(f"no model was trained on this table yet. Train one with: {PROJECT} -e train")
    return found


def model_of(run: Run) -> str:
    """Return the address of the model that a run has logged."""
    return f"models:/{run.outputs.model_outputs[0].model_id}"
