"""The holdout that models are judged on, with its naive forecasts, and what a model predicts for it."""

import json
import subprocess
import sys
import tempfile
from argparse import ArgumentParser
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from thresholds import Thresholds

from forecasting.baselines import climatology, persistence
from forecasting.errors import UserError
from forecasting.metrics import METRICS, score
from forecasting.production import REGISTERED_MODEL
from forecasting.table import HourlyTable
from forecasting.tracking import data_title_of, find_run

TRIAL_SECONDS = 300  # for each model; one with tensorflow in it takes 10 s to load


@dataclass(frozen=True)
class Forecast:
    """What a model predicts for the judged rows, or its problem; the names of its columns if it has a signature."""

    values: pd.DataFrame | None
    problem: str = ""
    inputs: list[str] | None = None
    outputs: list[str] | None = None
    seconds: float = 0.0  # for one row


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


def errors(forecast: pd.DataFrame | None, actuals: pd.DataFrame) -> dict[str, float]:
    """Return ``mae_TARGET`` and so on in the targets' units, and ``mae``, their mean; NaN if there is no forecast."""
    forecast = pd.DataFrame(np.nan, actuals.index, actuals.columns) if forecast is None else forecast
    by_target = {target: score(actuals[target], forecast[target]) for target in actuals.columns}
    scores = {f"{metric}_{target}": by_target[target][metric] for target in by_target for metric in METRICS}
    return scores | {"mae": float(np.mean([by_target[target]["mae"] for target in by_target]))}


def forecast(models: dict[str, str], holdout: Holdout) -> dict[str, Forecast]:
    """Return what models predict for the judged rows, by the keys of their addresses, or the problem of one that fails.

    All are loaded in one clean process. If one ends it, that is its problem, and another process tries the rest.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = holdout.table.frame.loc[holdout.actuals.index]
        rows.attrs = {"targets": list(holdout.actuals.columns)}
        rows.to_parquet(folder / "rows.parquet")
        results = [folder / f"{place}.json" for place in range(len(models))]
        while waiting := [path for path in results if not path.exists()]:
            problem = try_in_clean_process([name, *models.values()], TRIAL_SECONDS * len(waiting))
            if unfinished := [path for path in waiting if not path.exists()]:
                unfinished[0].write_text(json.dumps({"problem": problem}), encoding="utf-8")
        forecasts = {}
        for key, path in zip(models, results, strict=True):
            about = json.loads(path.read_text(encoding="utf-8"))
            values = None if about["problem"] else pd.read_parquet(path.with_suffix(".parquet"))
            forecasts[key] = Forecast(values, **about)
        return forecasts


def try_in_clean_process(arguments: list[str], seconds: float) -> str:
    """Run try_models.py, in the folder that its arguments begin with; return how it ended."""
    # -P: modules are not imported from the folder of the script.
    command = [sys.executable, "-P", str(Path(__file__).with_name("try_models.py")), *arguments]
    try:
        trial = subprocess.run(
            command, cwd=arguments[0], stderr=subprocess.PIPE, text=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        return f"it took longer than {TRIAL_SECONDS} s"
    print(trial.stderr, end="", file=sys.stderr)
    last = (trial.stderr.strip().splitlines() or ["it printed nothing"])[-1]
    return f"the process ended with status {trial.returncode}: {last}"
