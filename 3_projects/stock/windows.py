"""Turn daily prices into windows: so many closing prices in, the next one and its direction out.

Pure functions. A row's index is the last day of its window.
"""

import numpy as np
import pandas as pd

from forecasting.errors import UserError

FEWEST = {"train": 100, "validation": 20, "holdout": 20}  # windows
LONGEST_WINDOW = 250  # trading days, a year
VALIDATION = 0.2  # share of the days before the holdout
YEAR = pd.Timedelta(days=365.25)


def part_of_days(index: pd.DatetimeIndex, holdout_years: float) -> np.ndarray:
    """Return ``train``, ``validation`` or ``holdout`` for each day, in this order; time decides."""
    before = int((index <= index[-1] - holdout_years * YEAR).sum())
    train = int(before * (1 - VALIDATION))
    return np.repeat(["train", "validation", "holdout"], [train, before - train, len(index) - before])


def make_table(prices: pd.DataFrame, days: int, holdout_years: float) -> pd.DataFrame:
    """Return the windows of a series of prices; raises UserError if there are too few.

    Columns, prices in the share's currency:

    - ``close_1`` to ``close_N``: the closing prices of the N = ``days`` days of the window, oldest first
    - ``next_close``: the closing price of the day after, and ``up``: 1.0 if that is higher than the last one, else 0.0
    - the naive forecasts ``last_close`` (of ``next_close``), ``majority`` (the commoner direction of the training part)
      and ``same_as_yesterday`` (1.0 if the window ended with a rise), both of ``up``
    - ``split``: train, validation or holdout, by time. A window counts to a part only if all of its days and the day
      after are in it, so no part learns from a price that another one is asked for.
    - ``repaired``: False throughout; missing days are not filled in
    """
    if not 2 <= days <= LONGEST_WINDOW:
        raise UserError(f"expected days from 2 to {LONGEST_WINDOW}, found {days}. The default is 14.")
    if not 0 < holdout_years < 100:
        raise UserError(f"expected holdout_years above 0 and below 100, found {holdout_years:g}. The default is 2.")
    if len(prices) <= days:
        raise UserError(f"expected more than {days} days of prices, as many as a window has, found {len(prices)}.")
    close = prices["close"].to_numpy()
    windows = np.lib.stride_tricks.sliding_window_view(close, days)[:-1]
    part = part_of_days(prices.index, holdout_years)
    first, after = part[: len(windows)], part[days:]
    names = [f"close_{number}" for number in range(1, days + 1)]
    table = pd.DataFrame(windows, prices.index[days - 1 : -1], names)
    table["next_close"] = close[days:]
    table["up"] = (table["next_close"] > table[names[-1]]).astype(float)
    table["last_close"] = table[names[-1]]
    table["same_as_yesterday"] = (table[names[-1]] > table[names[-2]]).astype(float)
    table["split"] = after
    table["repaired"] = False
    table = table[first == after]
    counts = table["split"].value_counts().reindex(FEWEST, fill_value=0)
    if (counts < pd.Series(FEWEST)).any():
        wanted, counted = (
            ", ".join(f"{number} for {name}" for name, number in numbers.items()) for numbers in (FEWEST, counts)
        )
        raise UserError(
            f"expected windows of {days} days, at least {wanted}; found {counted}. Give more days of prices, a shorter "
            "window, or another holdout_years."
        )
    table["majority"] = float(table.loc[table["split"] == "train", "up"].mean() > 0.5)
    return table


def closes_of(table: pd.DataFrame) -> list[str]:
    """Return the names of the columns of the window, oldest day first."""
    return [name for name in table.columns if name.startswith("close_")]
