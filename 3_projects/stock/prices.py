"""What daily prices must look like, what is repaired in them, and what is refused.

Repaired and counted: days out of order are sorted; a row that stands twice, each value the same, is kept once; a row
without any price is left out. Harmless: columns that nobody asked for, capital letters and spaces in their names, a
time of day behind the date. Everything else is refused.
"""

import warnings
from datetime import date

import numpy as np
import pandas as pd
from sources import COLUMNS, PriceError

# pandera looks into pyspark.pandas where it is installed; that warns of pandas 3, and nothing here uses it.
warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)

import pandera.pandas as pa  # noqa: E402

PRICES = ["open", "high", "low", "close"]
YEARS = range(1800, 2200)  # others are mistyped, and may be too far away for pandas
FEWEST_DAYS = 100  # less has no windows to learn from, to compare on and to judge by
HIGHEST = 1e7  # of a price in money; a share of Berkshire Hathaway costs less than a tenth of it
SPLIT = 0.4  # share of a price; a change like that in one day is rarer than a split
_PRICE = pa.Column(
    float, pa.Check.in_range(0, HIGHEST, include_min=False), description=f"a price above 0 and up to {HIGHEST:.0f}"
)
SCHEMA = pa.DataFrameSchema(
    dict.fromkeys(PRICES, _PRICE)
    | {"volume": pa.Column(float, pa.Check.in_range(0, 1e15), description="a number of shares, 0 or more")}
)


def named(raw: pd.DataFrame) -> pd.DataFrame:
    """Return the wanted columns under their names in small letters; raises PriceError if one is missing."""
    found = raw.rename(columns=lambda name: str(name).strip().lower().replace(" ", "_"))
    for name in (*COLUMNS, "adj_close"):
        count = list(found.columns).count(name)
        if count > 1 or (not count and name in COLUMNS):
            raise PriceError(
                f"expected the columns {', '.join(COLUMNS)}, each once, and adj_close if there is one; "
                f"{name} {'is missing' if not count else 'stands twice'} in {', '.join(map(str, raw.columns))[:200]}. "
                "Correct the header; values are separated by commas."
            )
    return found[[*COLUMNS, *(["adj_close"] if "adj_close" in found.columns else [])]]


def parse_dates(text: pd.Series) -> pd.DatetimeIndex:
    """Return the days as midnight UTC; raises PriceError at the first value that is no date."""
    text = text.astype("str").str.strip()
    days = pd.to_datetime(text.str[:10], format="%Y-%m-%d", errors="coerce", utc=True)
    if (bad := ~(days.dt.year.isin(YEARS) & text.str[10:].str.match(r"$|[ T]\d"))).any():
        row = bad.idxmax()
        raise PriceError(f"row {row}: expected a date such as 2013-02-28, found {text[row]!r}. Correct it.")
    return pd.DatetimeIndex(days, name="date").as_unit("ns")


def parse_numbers(frame: pd.DataFrame, days: pd.DatetimeIndex) -> pd.DataFrame:
    """Return the columns as float64 by day; raises PriceError at the first value that can't be one."""
    schema = SCHEMA.add_columns({"adj_close": _PRICE}) if "adj_close" in frame.columns else SCHEMA
    text = frame.drop(columns="date").set_axis(range(len(frame)))
    numbers = text.apply(pd.to_numeric, errors="coerce").astype(float)
    try:
        schema.validate(numbers.fillna(np.inf), lazy=True)  # what is missing or no number is out of range
    except pa.errors.SchemaErrors as error:
        column, row = error.failure_cases.sort_values("index", kind="stable").iloc[0][["column", "index"]]
        value = "nothing" if pd.isna(text.at[row, column]) else text.at[row, column]
        more = f" and {count} more such values" if (count := len(error.failure_cases) - 1) else ""
        where, expected = f"{days[row]:%Y-%m-%d} (row {frame.index[row]})", schema.columns[column].description
        raise PriceError(
            f"{column} of {where}: expected {expected}, found {value}{more}. Correct it, or delete the row."
        ) from None
    if (crossed := numbers["high"] < numbers["low"]).any():
        row = crossed.idxmax()
        raise PriceError(
            f"{days[row]:%Y-%m-%d} (row {frame.index[row]}): expected a high that is not below the low, found "
            f"{numbers.at[row, 'high']:g} and {numbers.at[row, 'low']:g}. Are the columns mixed up?"
        )
    return numbers.set_index(days)


def in_order(numbers: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, int]]:
    """Return one row for each day, the oldest first, and the repairs; raises PriceError if two rows contradict."""
    repairs = {"days out of order": int((np.diff(numbers.index.asi8) < 0).sum())}
    kept = numbers[~numbers.reset_index().duplicated().to_numpy()].sort_index()
    repairs["rows that stood twice"] = len(numbers) - len(kept)
    if (twice := kept.index.duplicated()).any():
        day = kept.index[twice][0]
        closes = " and ".join(f"{value:g}" for value in kept.loc[day, "close"])
        raise PriceError(
            f"expected one row for {day:%Y-%m-%d}, found {len(kept.loc[[day]])} that differ (close {closes}). Delete "
            "the wrong one."
        )
    return kept, repairs


def adjust(prices: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Return open, high, low, close and volume, adjusted for splits and dividends, and a sentence about that.

    All four prices of a day are multiplied by adj_close / close. The volume stays as it was found.
    """
    if "adj_close" in prices.columns:
        factor = prices["adj_close"] / prices["close"]
        # The product can differ from adj_close in its last digit, which makes a rise of two equal days.
        adjusted = prices[PRICES].mul(factor, axis=0).assign(close=prices["adj_close"], volume=prices["volume"])
        return adjusted, "adjusted for splits and dividends: the four prices are multiplied by adj_close / close"
    change = prices["close"].pct_change().abs()
    note = "not adjusted: the source has no adj_close, so splits and dividends look like losses"
    if change.max() > SPLIT:
        note += f". The change of {change.max():.0%} on {change.idxmax():%Y-%m-%d} may be a split"
    return prices[[*PRICES, "volume"]], note


def clean(raw: pd.DataFrame, start: date | None, end: date | None) -> tuple[pd.DataFrame, dict[str, int], str]:
    """Return the prices of the days asked for, the repairs made, and what was done about splits and dividends.

    The frame has a sorted, unique index ``date`` (trading days, midnight UTC), prices in the share's currency and
    volume, all float64. Raises PriceError if the rows can't be used.
    """
    frame = named(raw)
    empty = frame.drop(columns=["date", "volume"]).isna().all(axis=1)
    frame = frame[~empty]
    days = parse_dates(frame["date"])
    prices, repairs = in_order(parse_numbers(frame, days))
    prices = prices.loc[str(start) if start else None : str(end) if end else None]
    if len(prices) < FEWEST_DAYS:
        since = f" from {prices.index[0]:%Y-%m-%d} to {prices.index[-1]:%Y-%m-%d}" if len(prices) else ""
        raise PriceError(
            f"expected at least {FEWEST_DAYS} days with prices, found {len(prices)}{since}. Give an earlier start, a "
            "later end, or another source."
        )
    adjusted, note = adjust(prices)
    return adjusted, {**repairs, "rows without a price": int(empty.sum())}, note
