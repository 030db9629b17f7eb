"""How good predictions are, and what two forecasts that need no model would have said.

Pure functions of the hourly table of 3_projects/data (UTC index without gaps) and of arrays in GW.
"""

import numpy as np
import pandas as pd

from report import basis

METRICS = ["mae", "rmse", "bias", "r2"]
NAIVE = ["climatology", "persistence"]


def persistence(table: pd.DataFrame, targets: list[str]) -> pd.DataFrame:
    """Return the power of the same hour of the day before, in GW; the first day has none (NaN)."""
    return table[targets].shift(24)


def climatology(table: pd.DataFrame, targets: list[str]) -> pd.DataFrame:
    """Return the mean power of that month and hour in the years before, in GW; the first year has none (NaN).

    For the hours of the holdout it is the one that 3_projects/registry judges with: all hours before the holdout count,
    and a month that is not among them has the mean of the hour.
    """
    index, held = table.index, (table["split"] == "holdout").to_numpy()
    power = pd.DataFrame(np.nan, index, targets)
    for year in index.year.unique():
        power[(index.year == year) & ~held] = _means(table[(index.year < year) & ~held], index, targets)
    power.loc[held] = basis.climatology(table).loc[held, targets]
    return power


def _means(past: pd.DataFrame, index: pd.DatetimeIndex, targets: list[str]) -> pd.DataFrame:
    means = past.groupby([past.index.month, past.index.hour])[targets].mean()
    return means.reindex(pd.MultiIndex.from_arrays([index.month, index.hour])).set_axis(index)


def measure(recorded: np.ndarray, predicted: np.ndarray, naive: dict[str, np.ndarray]) -> dict[str, float]:
    """Return ``hours``, MAE, RMSE and bias (predicted minus recorded) in GW, r2, and ``skill_NAME`` of each forecast.

    Hours of which no power was recorded, or none was predicted, are NaN and don't count. The skill is the share of the
    naive forecast's MAE that the prediction spares, on the hours that both have: 1 is perfect, 0 is no better. What
    can't be said is NaN.
    """
    known = np.isfinite(recorded) & np.isfinite(predicted)
    error, truth = (predicted - recorded)[known], recorded[known]
    hours = len(error)
    spread = ((truth - truth.mean()) ** 2).sum() if hours else 0.0
    found = {
        "hours": hours,
        "mae": np.abs(error).mean() if hours else np.nan,
        "rmse": (error**2).mean() ** 0.5 if hours else np.nan,
        "bias": error.mean() if hours else np.nan,
        "r2": 1 - (error**2).sum() / spread if spread else np.nan,
    }
    for name, forecast in naive.items():
        both = np.isfinite(forecast[known])
        theirs = np.abs(forecast[known] - truth)[both].sum()
        found[f"skill_{name}"] = 1 - np.abs(error)[both].sum() / theirs if theirs else np.nan
    return {name: float(value) for name, value in found.items()} | {"hours": hours}


def means(values: np.ndarray, size: int) -> np.ndarray:
    """Return the means of every ``size`` values in a row, without the NaN among them; the last may have fewer."""
    starts = np.arange(0, len(values), size)
    known = np.isfinite(values)
    sums, counts = np.add.reduceat(np.where(known, values, 0.0), starts), np.add.reduceat(known.astype(float), starts)
    return np.divide(sums, counts, out=np.full(len(starts), np.nan), where=counts > 0)
