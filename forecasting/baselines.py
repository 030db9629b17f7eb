"""Forecasts that need no model. A model has to be better than them.

Pure functions of the table's frame (UTC index, ``split``); each returns the targets for every row, in their own units.
"""

import pandas as pd


def persistence(frame: pd.DataFrame, targets: list[str]) -> pd.DataFrame:
    """Return the value of the same hour of the day before; for a Monday of a market, that of its Friday.

    The first day has none (NaN).
    """
    return frame[targets].reindex(frame.index - pd.Timedelta(days=1), method="ffill").set_axis(frame.index)


def climatology(frame: pd.DataFrame, targets: list[str]) -> pd.DataFrame:
    """Return the mean of that month and hour in the years before.

    Where the years before lack the month, it is their mean of the hour. The first year has none (NaN), but for a
    holdout in it: a short table has only the hours before the holdout to go by.
    """
    index, held = frame.index, frame["split"] == "holdout"
    forecast = pd.DataFrame(index=index, columns=targets, dtype=float)
    for year in index.year.unique():
        past, rows = frame.loc[index.year < year, targets], index.year == year
        if past.empty:
            past, rows = frame.loc[~held, targets], rows & held.to_numpy()
        forecast[rows] = _means(past, index[rows]).to_numpy()
    return forecast


def _means(past: pd.DataFrame, index: pd.DatetimeIndex) -> pd.DataFrame:
    by_hour = past.groupby(past.index.hour).mean().reindex(index.hour).set_axis(index)
    by_month = past.groupby([past.index.month, past.index.hour]).mean()
    return by_month.reindex(pd.MultiIndex.from_arrays([index.month, index.hour])).set_axis(index).fillna(by_hour)
