"""How far a forecast is from what was recorded: pure functions of two frames on an hourly or daily UTC index.

Columns are the targets, errors are in the targets' own units. A forecast that has no number for a row has no error:
NaN, which is never better than anything.
"""

import numpy as np
import pandas as pd

METRICS = ["mae", "rmse", "bias", "r2"]


def metrics_of(predicted: pd.Series, truth: pd.Series) -> dict[str, float]:
    """Return mean absolute error, root mean squared error, bias (predicted minus recorded), and r2."""
    error, spread = (predicted - truth).to_numpy(float), ((truth - truth.mean()) ** 2).sum()
    with np.errstate(invalid="ignore"):  # an infinite prediction has no bias
        bias = float(error.mean())
    return {
        "mae": float(np.abs(error).mean()),
        "rmse": float((error**2).mean() ** 0.5),
        "bias": bias,
        "r2": float(1 - (error**2).sum() / spread) if spread else float("nan"),
    }


def errors(predicted: pd.DataFrame, truth: pd.DataFrame) -> dict[str, float]:
    """Return ``mae_TARGET`` and so on for each column of ``truth``, and ``mae``, the mean of the targets' MAE."""
    predicted = predicted.reindex(truth.index)
    found = {target: metrics_of(predicted[target], truth[target]) for target in truth.columns}
    scores = {f"{metric}_{target}": found[target][metric] for target in truth.columns for metric in METRICS}
    return scores | {"mae": float(np.mean([found[target]["mae"] for target in truth.columns]))}


def season_of(index: pd.DatetimeIndex, seasons: dict[str, list[int]]) -> pd.Series:
    """Return the season of each row, of seasons given by their months; a month of no season has a missing one."""
    names = {month: name for name, months in seasons.items() for month in months}
    return pd.Series(index.month, index).map(names)


def breakdown(predicted: pd.DataFrame, truth: pd.DataFrame, seasons: dict[str, list[int]]) -> pd.DataFrame:
    """Return the metrics of each target on all rows, by season, and by hour of the day (UTC), and the rows of each.

    Columns: ``target``, ``by`` (all, season or hour), ``part``, ``rows``, and the metrics.
    """
    predicted = predicted.reindex(truth.index)
    found = []
    parts = {"all": pd.Series("all", truth.index), "season": season_of(truth.index, seasons)}
    if truth.index.hour.nunique() > 1:  # daily values have no hours
        parts["hour"] = pd.Series(truth.index.strftime("%H"), truth.index)
    for by, part_of in parts.items():
        names = [name for name in seasons if (part_of == name).any()] if by == "season" else sorted(part_of.unique())
        for part in names:
            rows = part_of == part
            for target in truth.columns:
                about = {"target": target, "by": by, "part": part, "rows": int(rows.sum())}
                found.append(about | metrics_of(predicted.loc[rows, target], truth.loc[rows, target]))
    return pd.DataFrame(found)
