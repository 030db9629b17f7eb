"""What is judged, and on what: the table, the runs whose models are candidates, and what the models predict."""

import functools
import tempfile
from dataclasses import dataclass

import mlflow
import numpy as np
import pandas as pd
from command import Refused
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from naive import forecasts
from rules import Rules

client = mlflow.MlflowClient()


@dataclass(frozen=True)
class Forecast:
    """What a model predicts for the judged rows, or what is wrong with it; names of columns if it has a signature."""

    values: pd.DataFrame | None
    problem: str | None = None
    inputs: list[str] | None = None
    outputs: list[str] | None = None


def finished_runs(step: str, order: str = "attributes.start_time DESC") -> list[Run]:
    """Return the finished runs that a condition on the tag ``step`` holds for."""
    return mlflow.search_runs(
        search_all_experiments=True,
        filter_string=f"tags.step {step} and attributes.status = 'FINISHED'",
        order_by=[order],
        output_format="list",
    )


def get_run(run_id: str, what: str, advice: str) -> Run:
    """Return a run; raises Refused with what it should have been."""
    try:
        return client.get_run(run_id)
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        raise Refused(f"{what} {run_id} is no run on this tracking server; {advice}") from None


def choose_table(data_run: str) -> Run:
    """Return the run of 3_projects/data whose table is judged on; ``newest`` stands for the one used last."""
    make = "make one with: mlflow run 3_projects/data --env-manager local"
    if data_run != "newest":
        run = get_run(data_run, "the data run", make)
        if "table_sha256" not in run.data.tags:
            raise Refused(f"the data run {data_run} has made no table; {make}")
        return run
    runs = finished_runs("= 'data'", "tags.used_at DESC")
    if not runs:
        raise Refused(f"there is no table to judge on yet; {make}")
    return runs[0]


def read_table(data_run: str) -> pd.DataFrame:
    """Return the table of a run of 3_projects/data."""
    with tempfile.TemporaryDirectory() as folder:
        path = mlflow.artifacts.download_artifacts(run_id=data_run, artifact_path="table.parquet", dst_path=folder)
        return pd.read_parquet(path)


def recorded(table: pd.DataFrame, targets: list[str]) -> pd.DataFrame:
    """Return the recorded targets of the holdout, without the rows that were filled in.

    Raises Refused if the table has no such column or no such row.
    """
    if missing := [target for target in targets if target not in table.columns]:
        raise Refused(f"the table has no column {missing[0]}, which the rules name as a target; name another data_run")
    rows = table["split"] == "holdout"
    if "repaired" in table.columns:
        rows &= ~table["repaired"]
    if not rows.any():
        raise Refused("the table has no row with the split holdout, on which a model could be judged")
    return table.loc[rows, targets]


@functools.cache
def digest_of(data_run: str | None) -> str | None:
    """Return the digest of the table of a run of 3_projects/data, None if no run is named or it is gone."""
    try:
        return client.get_run(data_run).data.tags.get("table_sha256") if data_run else None
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None


def choose_candidates(run_ids: str, digest: str) -> list[Run]:
    """Return the runs whose models are judged; ``newest`` stands for the newest one of each training project.

    All of them have to be trained on the table that they are judged on: another one may have had another holdout, and
    the judged hours in its training.
    """
    if run_ids == "newest":
        newest = {}
        for run in finished_runs("!= 'data'"):
            if run.outputs and run.outputs.model_outputs and digest_of(run.data.tags.get("data_run")) == digest:
                newest.setdefault(run.data.tags["step"], run)
        if not newest:
            train = "mlflow run 3_projects/lr --env-manager local"
            raise Refused(f"no model was trained on this table; train one with: {train}")
        return list(newest.values())
    candidates = []
    for run_id in dict.fromkeys(part.strip() for part in run_ids.split(",")):
        run = get_run(run_id, "the candidate", "give the id of a training run")
        if not (run.outputs and run.outputs.model_outputs):
            raise Refused(f"the candidate {run_id} has no model; give the id of a training run")
        if digest_of(run.data.tags.get("data_run")) != digest:
            raise Refused(
                f"the candidate {run_id} was trained on another table than it would be judged on; train it again"
            )
        candidates.append(run)
    return candidates


def model_of(run: Run) -> str:
    """Return the address of the model that a run has logged."""
    return f"models:/{run.outputs.model_outputs[0].model_id}"


def register(name: str, run: Run, versions: list[ModelVersion]) -> ModelVersion:
    """Return the version of the registered model that holds a run's model, made if it is not among ``versions``."""
    # The server leaves model_id empty in its answers; the source says the same.
    version = next((version for version in versions if version.source == model_of(run)), None)
    return version or mlflow.register_model(model_of(run), name)


def forecast(uri: str, table: pd.DataFrame, truth: pd.DataFrame) -> Forecast:
    """Return what a model predicts for the rows of ``truth``; whatever is wrong with it is told, not raised."""
    inputs = outputs = None
    try:
        with tempfile.TemporaryDirectory() as folder:
            model = mlflow.pyfunc.load_model(uri, dst_path=folder)
        if model.metadata.signature is not None:
            inputs = model.metadata.get_input_schema().input_names()
            outputs = model.metadata.get_output_schema().input_names() if model.metadata.signature.outputs else None
        if missing := [name for name in inputs or [] if name not in table.columns]:
            return Forecast(None, f"the table has no column {', '.join(missing)}", inputs, outputs)
        rows = table.loc[truth.index, inputs or list(table.columns)]
        values = model.predict(rows)
        if not isinstance(values, pd.DataFrame) or len(values) != len(rows):
            return Forecast(None, "it does not predict a frame with a row for each row", inputs, outputs)
        if missing := [target for target in truth.columns if target not in values.columns]:
            return Forecast(None, f"it predicts no {', '.join(missing)}", inputs, outputs)
        return Forecast(values[list(truth.columns)].astype(float).set_axis(truth.index), None, inputs, outputs)
    except Exception as error:  # a model is code from outside, and may raise anything
        reason = next(iter((str(error) or type(error).__name__).splitlines()), "")
        return Forecast(None, reason, inputs, outputs)


def naive_forecasts(table: pd.DataFrame, truth: pd.DataFrame, rules: Rules) -> dict[str, pd.DataFrame]:
    """Return the naive forecasts that the rules name, for the rows of ``truth``; raises Refused if one can't be had."""
    try:
        found = forecasts(table, list(rules.targets), rules.naive)
    except ValueError as error:
        raise Refused(str(error)) from None
    found = {name: frame.reindex(truth.index) for name, frame in found.items()}
    for name, frame in found.items():
        if missing := int(frame.isna().any(axis=1).sum()):
            raise Refused(f"the naive forecast {name} has no number in {missing} of {len(truth)} judged rows")
    return found


def seen_by(run_id: str, digest: str, index: pd.DatetimeIndex) -> np.ndarray:
    """Return which of these rows a model had in its training: none if it was trained on the table of this digest.

    Nothing is known of a model whose run or table is gone; then none is assumed.
    """
    none = np.zeros(len(index), bool)
    try:
        data_run = client.get_run(run_id).data.tags.get("data_run")
        if not data_run or digest_of(data_run) == digest:
            return none
        table = read_table(data_run)
    except (MlflowException, OSError):
        return none
    return index.isin(table.index[table["split"] != "holdout"])
