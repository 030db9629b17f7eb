"""How good a forecast is on the holdout: errors of a model, and of two forecasts that need none.

Pure functions of the hourly table of 3_projects/data (hourly UTC index, columns ``solar_GW``, ``wind_GW``, ``split``,
``repaired``). Power and errors are in GW.
"""

import pandas as pd

TARGETS = ["solar_GW", "wind_GW"]


def recorded(table: pd.DataFrame) -> pd.DataFrame:
    """Return the recorded power of the holdout, without the hours that were filled in."""
    return table.loc[(table["split"] == "holdout") & ~table["repaired"], TARGETS]


def persistence(table: pd.DataFrame) -> pd.DataFrame:
    """Return, for every hour of the holdout, the power of the same hour of the day before."""
    return table[TARGETS].shift(24)[table["split"] == "holdout"]


def climatology(table: pd.DataFrame) -> pd.DataFrame:
    """Return, for every hour of the holdout, the mean power of that month and hour in the years before."""
    past, future = table[table["split"] != "holdout"], table[table["split"] == "holdout"]
    means = past.groupby([past.index.month, past.index.hour])[TARGETS].mean()
    # A short table may not have every month in its past; then the mean of the hour stands in.
    by_hour = past.groupby(past.index.hour)[TARGETS].mean()
    power = means.reindex(pd.MultiIndex.from_arrays([future.index.month, future.index.hour]))
    return power.set_axis(future.index).fillna(by_hour.reindex(future.index.hour).set_axis(future.index))


def errors(predicted: pd.DataFrame, truth: pd.DataFrame) -> dict[str, float]:
    """Return MAE, RMSE and bias (predicted minus recorded), each in GW, and r2 of each target, and the mean MAE."""
    difference = predicted.reindex(truth.index)[TARGETS] - truth
    scores = {}
    for target in TARGETS:
        error = difference[target]
        scores[f"mae_{target}"] = error.abs().mean()
        scores[f"rmse_{target}"] = (error**2).mean() ** 0.5
        scores[f"bias_{target}"] = error.mean()
        scores[f"r2_{target}"] = 1 - (error**2).sum() / ((truth[target] - truth[target].mean()) ** 2).sum()
    scores["mae"] = difference.abs().mean().mean()
    return scores
