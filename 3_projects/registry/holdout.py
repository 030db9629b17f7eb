"""The holdout that models are judged on, with its naive forecasts, and what a model predicts for it."""

import tempfile
from argparse import ArgumentParser
from dataclasses import dataclass

import mlflow
import numpy as np
import pandas as pd
from thresholds import Thresholds

from forecasting.baselines import climatology, persistence
from forecasting.errors import UserError, first_line
from forecasting.metrics import METRICS, score
from forecasting.production import REGISTERED_MODEL
from forecasting.table import HourlyTable
from forecasting.tracking import data_title_of, find_run


@dataclass(frozen=True)
class Forecast:
    """What a model predicts for the judged rows, or its problem; the names of its columns if it has a signature."""

    values: pd.DataFrame | None
    problem: str = ""
    inputs: list[str] | None = None
    outputs: list[str] | None = None


@dataclass(frozen=True)
class Holdout:
    """The rows that all forecasts are judged on: the holdout of a table, without hours whose values were filled in."""

    table: HourlyTable
    actuals: pd.DataFrame
    baselines: dict[str, pd.DataFrame]
    thresholds: Thresholds  # with the targets that are judged
    title: str  # of the data, with the first and the last day

    def seen_by(self, run_id: str | None) -> np.ndarray:
        """Return for each judged row whether the model of a training run has learnt from it."""
        seen = pd.Series(self.table.seen_by(find_run(run_id)), self.table.frame.index)
        return seen.loc[self.actuals.index].to_numpy()


def add_options(parser: ArgumentParser) -> None:
    """Add the options that evaluate and validate share."""
    parser.add_argument("--challengers", default="newest", help="run ids with commas between, or newest")
    parser.add_argument("--data-run", default="newest", help="run of 3_projects/data whose holdout is used, or newest")
    parser.add_argument("--rules", default="rules.yaml", help="a file beside this one, or from the top of the project")
    parser.add_argument("--registered-model", default=REGISTERED_MODEL, help="default: %(default)s")


def read_holdout(data_run: str, thresholds: Thresholds) -> Holdout:
    """Read the judged rows of the table of a run, or of the newest one; raises UserError if there are none.

    Thresholds that name no targets are for those of the table.
    """
    table = HourlyTable.newest() if data_run == "newest" else HourlyTable.read(data_run)
    if not thresholds.targets:
        units = {target: table.subject.unit(target) for target in table.targets}
        thresholds = thresholds.model_copy(update={"targets": units})
    frame, targets = table.frame, list(thresholds.targets)
    if missing := [target for target in targets if target not in frame.columns]:
        raise UserError(
            f"the table has no column {missing[0]}, which the rules name as a target; name another data_run"
        )
    rows = table.holdout() & ~(frame["repaired"] if "repaired" in frame.columns else np.zeros(len(frame), bool))
    if not rows.any():
        raise UserError("the table has no row with the split holdout, on which a model could be judged")
    actuals = frame.loc[rows, targets]
    baselines = {name: baseline(name, frame, targets).loc[actuals.index] for name in thresholds.naive}
    for name, forecasts in baselines.items():
        if missing := int(forecasts.isna().any(axis=1).sum()):
            raise UserError(f"the naive forecast {name} has no number in {missing} of {len(actuals)} judged rows")
    title = f"{data_title_of(find_run(table.run_id))}, {actuals.index[0]:%Y-%m-%d} to {actuals.index[-1]:%Y-%m-%d}"
    return Holdout(table, actuals, baselines, thresholds, title)


def baseline(name: str, frame: pd.DataFrame, targets: list[str]) -> pd.DataFrame:
    """Return a naive forecast for each row of the table; raises UserError for a column that the table lacks."""
    kind, _, column = name.partition(":")
    if kind == "persistence":
        return persistence(frame, targets)
    if kind == "climatology":
        return climatology(frame, targets)
    if column not in frame.columns:
        raise UserError(f"the naive forecast {name} needs the column {column}, which the table does not have")
    return pd.DataFrame(dict.fromkeys(targets, frame[column]))


def errors(forecast: pd.DataFrame, actuals: pd.DataFrame) -> dict[str, float]:
    """Return ``mae_TARGET`` and so on in the targets' units, and ``mae``, the mean of the targets' MAE."""
    by_target = {target: score(actuals[target], forecast[target]) for target in actuals.columns}
    scores = {f"{metric}_{target}": by_target[target][metric] for target in by_target for metric in METRICS}
    return scores | {"mae": float(np.mean([by_target[target]["mae"] for target in by_target]))}


def forecast(uri: str, holdout: Holdout) -> Forecast:
    """Return what a model predicts for the judged rows; a model that fails is described, nothing is raised."""
    actuals, frame, inputs, outputs = holdout.actuals, holdout.table.frame, None, None
    try:
        with tempfile.TemporaryDirectory() as folder:
            model = mlflow.pyfunc.load_model(uri, dst_path=folder)
        if model.metadata.signature is not None:
            inputs = model.metadata.get_input_schema().input_names()
            outputs = model.metadata.get_output_schema().input_names() if model.metadata.signature.outputs else None
        if missing := [name for name in inputs or [] if name not in frame.columns]:
            return Forecast(None, f"the table has no column {', '.join(missing)}", inputs, outputs)
        values = model.predict(frame.loc[actuals.index, inputs or list(frame.columns)])
        if not isinstance(values, pd.DataFrame) or len(values) != len(actuals):
            return Forecast(None, "it does not predict a frame with a row for each row", inputs, outputs)
        if missing := [target for target in actuals.columns if target not in values.columns]:
            return Forecast(None, f"it does not predict {', '.join(missing)}", inputs, outputs)
        return Forecast(values[list(actuals.columns)].astype(float).set_axis(actuals.index), "", inputs, outputs)
    except Exception as error:  # a model is code from outside, and may raise anything
        return Forecast(None, first_line(error), inputs, outputs)
