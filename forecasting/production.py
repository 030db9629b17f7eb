"""The model in production: the version behind the alias, loaded, with where it comes from.

The model's signature names the columns that it takes and the targets that it predicts.
"""

import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import mlflow
import pandas as pd
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from forecasting.errors import UserError
from forecasting.table import newest_run
from forecasting.tracking import data_title_of, find_run, project_of, refuse_deleted, server_address

REGISTERED_MODEL, ALIAS = "wind_solar", "production"
QUANTILES = ("q10", "q90")  # the edges of a range, as they end the names of a model's further outputs
WORKFLOW = f"mlflow run 3_projects/workflow --env-manager local --experiment-name {REGISTERED_MODEL}"
APPROVE = "mlflow run 3_projects/registry -e approve --env-manager local -P by=NAME -P reason=TEXT"
ROLLBACK = "mlflow run 3_projects/registry -e rollback --env-manager local -P by=NAME -P reason=TEXT"


@dataclass(frozen=True)
class Production:
    """The model in production and where it comes from."""

    name: str  # of the registered model
    version: str
    model_uri: str  # such as models:/m-ID; unlike a version's number it is never given to another model
    model: mlflow.pyfunc.PyFuncModel
    training: Run | None  # None where the version names no run, as after a move from another server
    project: str  # that trained it
    data_title: str  # what it was trained on
    trained_at: datetime  # UTC
    holdout_mae: dict[str, float]  # by target, in its unit, on the hours that judged_on names; NaN if never judged
    judged_on: str
    packages: tuple[str, ...] = ()  # what the model needs, such as "scikit-learn==1.9.1"

    @cached_property
    def columns(self) -> list[str]:
        """Return the names of the columns that the model takes."""
        return self.model.metadata.get_input_schema().input_names()

    @cached_property
    def targets(self) -> list[str]:
        """Return the names of what the model predicts, without the edges of its ranges."""
        outputs = self.model.metadata.get_output_schema().input_names()
        return [name for name in outputs if not name.endswith(QUANTILES)]

    @property
    def commit(self) -> str:
        """Return the git commit of the code that trained it, where MLflow knew it."""
        return self.training.data.tags.get("mlflow.source.git.commit", "") if self.training else ""

    @property
    def run_url(self) -> str:
        """Return where the MLflow pages show the run that trained it, without any password; empty if there is none."""
        if self.training is None:
            return ""
        about = self.training.info
        return f"{server_address()}/#/experiments/{about.experiment_id}/runs/{about.run_id}"

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the targets in their units for the rows of a table, on the same UTC index.

        A model that predicts ranges also gives ``TARGET_q10`` and ``TARGET_q90``. Raises KeyError if the table lacks a
        column that the model takes.
        """
        forecast = self.model.predict(frame[self.columns]).set_axis(frame.index)
        edges = [f"{target}_{quantile}" for target in self.targets for quantile in QUANTILES]
        return forecast[[*self.targets, *(name for name in edges if name in forecast.columns)]].astype(float)


def production_version() -> ModelVersion:
    """Find the version in production; raises UserError."""
    return find_version(REGISTERED_MODEL, ALIAS)


def find_version(name: str, version: str, make: str = "") -> ModelVersion:
    """Find a version of a registered model by its alias or its number; raises UserError.

    ``make`` is the command that brings one into production; by default the workflow, or an approval.
    """
    client = mlflow.MlflowClient()
    try:
        return (client.get_model_version if version.isdecimal() else client.get_model_version_by_alias)(name, version)
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        what = "is version" if version.isdecimal() else "has the alias"
        advice = "give another alias or number with -P version="
        if version == ALIAS:
            other = "" if name == REGISTERED_MODEL else f" -P registered_model={name}"
            make = make or (APPROVE + other if other else WORKFLOW)
            advice = f"make one with: {make}, or give a version the alias back: {ROLLBACK}{other}"
        raise UserError(f"no version of {name} {what} {version} on {server_address()}; {advice}") from None


def load(about: ModelVersion) -> Production:
    """Load a version of a registered model; raises UserError if it doesn't say which columns it takes and predicts."""
    run = find_run(about.run_id)
    maker = run or about
    with tempfile.TemporaryDirectory() as folder:  # the model reads all that it needs when it is loaded
        model = mlflow.pyfunc.load_model(f"models:/{about.name}/{about.version}", dst_path=folder)
        listed = sorted(Path(folder).rglob("requirements.txt"))[:1]
        packages = tuple(line for path in listed for line in path.read_text(encoding="utf-8").split("\n") if line)
    signature = model.metadata.signature
    if signature is None or signature.outputs is None:
        raise UserError(
            f"version {about.version} of {about.name} has no signature that names its input and output columns; put "
            f"another version into production: {ROLLBACK}"
        )
    maes = {key.removeprefix("holdout_mae_"): number(text) for key, text in about.tags.items() if "holdout_mae_" in key}
    production = Production(
        name=about.name,
        version=str(about.version),
        model_uri=about.source,
        model=model,
        training=run,
        project=project_of(maker),
        data_title=data_title_of(maker),
        trained_at=datetime.fromtimestamp((run.info.start_time if run else about.creation_timestamp) / 1000, UTC),
        holdout_mae=maes,
        judged_on=about.tags.get("judged_on", "unknown"),
        packages=packages,
    )
    production.holdout_mae.update({target: float("nan") for target in production.targets if target not in maes})
    return production


def newest_table_run(about: ModelVersion) -> Run:
    """Find the run whose table was made or used last where a version was trained; raises UserError.

    Others may keep tables of their own on the same server. A version without a run goes with the experiment that has
    the model's name.
    """
    client, training = mlflow.MlflowClient(), find_run(about.run_id)
    experiment = (
        client.get_experiment(training.info.experiment_id) if training else client.get_experiment_by_name(about.name)
    )
    if experiment is None:
        raise UserError(
            f"there is no experiment {about.name} on {server_address()}; make a table in it with: mlflow run "
            f"3_projects/data --env-manager local --experiment-name {about.name}"
        )
    return newest_run(refuse_deleted(experiment).experiment_id)


def number(text: str | None) -> float:
    """Return the number in a tag; NaN if there is no such tag, or if somebody has written something else into it."""
    try:
        return float(text or "nan")
    except ValueError:
        return float("nan")
