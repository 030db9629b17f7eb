"""Find what earlier steps have left: the runs by their tags, the tables as their artifacts."""

import tempfile
from collections.abc import Collection

import mlflow
import pandas as pd
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from forecasting.entry_point import next_command
from forecasting.errors import UserError
from forecasting.tracking import find_challengers, find_run, finished_runs, project_of


def make(step: str) -> str:
    """Return the command that runs a step."""
    return f"{next_command('stock')} -e {step.removeprefix('stock.')}"


def find_step(run_id: str, step: str) -> Run:
    """Find the run of a step; ``newest`` is the one used last in the active experiment. Raises UserError."""
    if run_id == "newest":
        # Tables and prices are marked with the time when they were used last.
        marked = finished_runs("tags.used_at LIKE '%'", order="tags.used_at DESC")
        if run := next((run for run in marked if project_of(run) == step), None):
            return run
        raise UserError(f"there is no finished run of {step} in this experiment. Make one with: {make(step)}")
    run = find_run(run_id)
    if run is None or project_of(run) != step or run.info.status != "FINISHED":
        kind = "which is not a run" if run is None else f"a run of {project_of(run)} that is {run.info.status}"
        raise UserError(f"expected a finished run of {step}, found {run_id}, {kind}. Make one with: {make(step)}")
    return run


def read_table(run: Run, name: str) -> pd.DataFrame:
    """Return a table that a run has logged; raises UserError if it is gone."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            path = mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path=name, dst_path=folder)
        except (MlflowException, OSError):
            again = f"Make it again with: {make(project_of(run))}"
            raise UserError(f"the artifact {name} of run {run.info.run_id} can't be downloaded. {again}") from None
        return pd.read_parquet(path)


def find_models(run_ids: str, table_run: Run, known: Collection[str]) -> dict[str, Run]:
    """Return the training run of each known model on a table, by its name; raises UserError if there is none.

    The newest runs may be of models that this project no longer has; such a run that is named is a mistake.
    """
    runs = find_challengers(run_ids, table_run.data.tags["table_sha256"], make("train"))
    models = {project_of(run).removeprefix("stock."): run for run in runs}
    unknown = sorted(models.keys() - set(known))
    if unknown and (run_ids != "newest" or len(unknown) == len(models)):
        raise UserError(f"expected models such as {', '.join(known)}, found {unknown[0]}. Train with: {make('train')}")
    return {name: run for name, run in models.items() if name in known}
