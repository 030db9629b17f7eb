"""What daily prices must look like, what is repaired in them, and what is refused.

Repaired and counted: days out of order are sorted; a row that appears twice, each value the same, is kept once; a row
without any price is left out; decimal commas become points. Harmless: columns that nobody asked for, capital letters
and spaces in their names, German names, 28.02.2013 for a date, a time of day behind it. Everything else is refused.
"""

from datetime import date

import numpy as np
import pandas as pd
from sources import COLUMNS

from forecasting.errors import UserError

PRICES = ["open", "high", "low", "close"]
GERMAN = {
    **{"datum": "date", "eröffnung": "open", "eröffn.": "open", "erster": "open", "hoch": "high", "tageshoch": "high"},
    **{"tief": "low", "tagestief": "low", "schluss": "close", "schlusskurs": "close", "zuletzt": "close"},
}
YEARS = range(1800, 2200)  # others are mistyped, and may be too far away for pandas
FEWEST_DAYS = 100  # less has no windows to learn from, to compare on and to judge by
HIGHEST = 1e7  # of a price in money; a share of Berkshire Hathaway costs less than a tenth of it
SPLIT = 0.4  # share of a price; a change like that in one day is rarer than a split


def named(raw: pd.DataFrame) -> pd.DataFrame:
    """Return the wanted columns under their names in small letters; raises UserError if one is missing."""
    frame = raw.rename(columns=lambda name: str(name).strip().lower().replace(" ", "_")).rename(columns=GERMAN)
    wanted = [*COLUMNS, *(["adj_close"] if "adj_close" in frame.columns else [])]
    for name in wanted:
        if (count := list(frame.columns).count(name)) != 1:
            raise UserError(
                f"expected the columns {', '.join(COLUMNS)}, each once, and adj_close if there is one; "
                f"{name} {'appears twice' if count else 'is missing'} in {', '.join(map(str, raw.columns))[:200]}. "
                "Correct the header."
            )
    return frame[wanted]


def parse_dates(text: pd.Series) -> pd.DatetimeIndex:
    """Return the days as midnight UTC; raises UserError at the first value that is not a date."""
    text = text.astype("str").str.strip().str.replace(r"^(\d\d)\.(\d\d)\.(\d{4})", r"\3-\2-\1", regex=True)
    days = pd.to_datetime(text.str[:10], format="%Y-%m-%d", errors="coerce", utc=True)
    if (bad := ~(days.dt.year.isin(YEARS) & text.str[10:].str.match(r"$|[ T]\d"))).any():
        row = bad.idxmax()
        raise UserError(f"row {row}: expected a date such as 2013-02-28, found {text[row]!r}. Correct it.")
    return pd.DatetimeIndex(days, name="date").as_unit("ns")


def with_points(prices: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Return prices with points in place of decimal commas, and how many; only where a comma can't mark thousands."""
    text = prices.stack().dropna().astype("str")
    german = text.str.fullmatch(r"(\d+|\d{1,3}(\.\d{3})+)(,\d+)?").all()
    if german and text.str.contains(r"^0,|,(?!\d{3}$)").any():
        return prices.replace({r"\.": "", ",": "."}, regex=True), int(text.str.contains(",").sum())
    return prices, 0


def parse_numbers(text: pd.DataFrame, days: pd.DatetimeIndex) -> pd.DataFrame:
    """Return the columns as float64 by day; raises UserError at the first row with a value that can't be a price."""
    numbers = text.apply(pd.to_numeric, errors="coerce").astype(float)
    bad = ~((numbers > 0) & (numbers <= HIGHEST)).to_numpy()
    if bad.any():
        row, column = np.argwhere(bad)[0]
        value = "nothing" if pd.isna(text.iat[row, column]) else text.iat[row, column]
        raise UserError(
            f"{text.columns[column]} of {days[row]:%Y-%m-%d} (row {text.index[row]}): expected a price above 0 and up "
            f"to {HIGHEST:.0f}, such as 1234.5, found {value}; such values are {bad.sum()}. Correct or delete them."
        )
    if (crossed := (numbers["high"] < numbers["low"]).to_numpy()).any():
        row = crossed.argmax()
        high, low = numbers.iloc[row][["high", "low"]]
        raise UserError(
            f"{days[row]:%Y-%m-%d} (row {text.index[row]}): expected a high that is not below the low, found {high:g} "
            f"and {low:g}. Are the columns mixed up?"
        )
    return numbers.set_index(days)


def in_order(numbers: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, int]]:
    """Return one row for each day, the oldest first, and the repairs; raises UserError if two rows contradict."""
    repairs = {"days out of order": int((np.diff(numbers.index.asi8) < 0).sum())}
    kept = numbers[~numbers.reset_index().duplicated().to_numpy()].sort_index()
    repairs["rows that appeared twice"] = len(numbers) - len(kept)
    if (twice := kept.index.duplicated()).any():
        day = kept.index[twice][0]
        closes = " and ".join(f"{value:g}" for value in kept.loc[day, "close"])
        raise UserError(
            f"expected one row for {day:%Y-%m-%d}, found {len(kept.loc[[day]])} that differ (close {closes}). Delete "
            "the wrong one."
        )
    return kept, repairs


def adjust(prices: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Return open, high, low and close, adjusted for splits and dividends, and a sentence about that.

    All four prices of a day are multiplied by adj_close / close.
    """
    if "adj_close" in prices.columns:
        factor = prices["adj_close"] / prices["close"]
        # The product can differ from adj_close in its last digit, which makes a rise of two equal days.
        adjusted = prices[PRICES].mul(factor, axis=0).assign(close=prices["adj_close"])
        return adjusted, "adjusted for splits and dividends: the four prices are multiplied by adj_close / close"
    change = prices["close"].pct_change().abs()
    note = "not adjusted: the source has no adj_close, so splits and dividends look like losses"
    if change.max() > SPLIT:
        note += f". The change of {change.max():.0%} on {change.idxmax():%Y-%m-%d} may be a split"
    return prices[PRICES], note


def clean(raw: pd.DataFrame, start: date | None, end: date | None) -> tuple[pd.DataFrame, dict[str, int], str]:
    """Return the prices of the days asked for, the repairs made, and what was done about splits and dividends.

    The frame has a sorted, unique index ``date`` (trading days, midnight UTC), and prices in the share's currency, all
    float64. Raises UserError if the rows can't be used.
    """
    frame = named(raw)
    empty = frame.drop(columns="date").isna().all(axis=1)
    frame = frame[~empty]
    text, commas = with_points(frame.drop(columns="date"))
    prices, repairs = in_order(parse_numbers(text, parse_dates(frame["date"])))
    prices = prices.loc[str(start) if start else None : str(end) if end else None]
    if len(prices) < FEWEST_DAYS:
        since = f" from {prices.index[0]:%Y-%m-%d} to {prices.index[-1]:%Y-%m-%d}" if len(prices) else ""
        raise UserError(
            f"expected at least {FEWEST_DAYS} days with prices, found {len(prices)}{since}. Give an earlier start, a "
            "later end, or another source."
        )
    adjusted, note = adjust(prices)
    return adjusted, {**repairs, "rows without a price": int(empty.sum()), "decimal commas": commas}, note
