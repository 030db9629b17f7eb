"""Forecasts that need no model, as a model has to be better than them.

Pure functions of the table (UTC index, ``split``); each returns the targets for every row of the holdout, in their
own units.
"""

import pandas as pd


def persistence(table: pd.DataFrame, targets: list[str]) -> pd.DataFrame:
    """Return the value of the same hour of the day before; for a Monday of a market, that of its Friday."""
    holdout = table.index[table["split"] == "holdout"]
    return table[targets].reindex(holdout - pd.Timedelta(days=1), method="ffill").set_axis(holdout)


def climatology(table: pd.DataFrame, targets: list[str]) -> pd.DataFrame:
    """Return the mean of that month and hour in the time before the holdout."""
    past, future = table[table["split"] != "holdout"], table[table["split"] == "holdout"]
    means = past.groupby([past.index.month, past.index.hour])[targets].mean()
    # A short table may not have every month in its past; then the mean of the hour stands in.
    by_hour = past.groupby(past.index.hour)[targets].mean()
    values = means.reindex(pd.MultiIndex.from_arrays([future.index.month, future.index.hour]))
    return values.set_axis(future.index).fillna(by_hour.reindex(future.index.hour).set_axis(future.index))


def forecasts(table: pd.DataFrame, targets: list[str], names: tuple[str, ...]) -> dict[str, pd.DataFrame]:
    """Return the naive forecasts of the rules by name; ``column:NAME`` takes a column of the table as it is.

    Raises ValueError for a column that is not there.
    """
    found = {}
    for name in names:
        kind, _, column = name.partition(":")
        if kind == "persistence":
            found[name] = persistence(table, targets)
        elif kind == "climatology":
            found[name] = climatology(table, targets)
        elif column in table.columns:
            rows = table.loc[table["split"] == "holdout", column]
            found[name] = pd.DataFrame(dict.fromkeys(targets, rows))
        else:
            raise ValueError(f"the naive forecast {name} needs the column {column}, which the table does not have")
    return found
