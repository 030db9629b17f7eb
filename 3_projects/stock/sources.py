"""Where daily share prices come from: the installed sample, Yahoo Finance, or a CSV.

Each function returns the rows as they come, as text or numbers, with the columns ``date``, ``open``, ``high``,
``low``, ``close`` and, where the source has one, ``adj_close``. prices.py checks them.
"""

import logging
import warnings
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pandas as pd

from forecasting.errors import UserError

SAMPLE = ("AAPL", "FB", "GOOG", "IBM", "MSFT")  # what bokeh_sampledata has
COLUMNS = ["date", "open", "high", "low", "close"]


def last_day(source: str, end: str) -> str:
    """Return the last day to fetch: for Yahoo at most yesterday (UTC), because the price of today changes."""
    yesterday = (datetime.now(UTC).date() - timedelta(days=1)).isoformat()
    return yesterday if source == "yahoo" and (end == "last" or end > yesterday) else end


def from_sample(symbol: str) -> pd.DataFrame:
    """Return the real prices that the package bokeh_sampledata ships, 2000 to 2013; raises UserError."""
    from bokeh_sampledata import stocks  # reads all five series when it is imported

    if symbol not in SAMPLE:
        raise UserError(
            f"expected one of {', '.join(SAMPLE)}, the symbols of the sample, found {symbol}. For another one give "
            "source=yahoo, or the path of a CSV as the source."
        )
    return pd.DataFrame(getattr(stocks, symbol))


def from_yahoo(symbol: str, start: date | None, end: date) -> pd.DataFrame:
    """Return the prices that Yahoo Finance has, from ``start`` (None: the first) to ``end``; raises UserError."""
    import yfinance

    yfinance.config.debug.hide_exceptions = False
    logging.getLogger("yfinance").setLevel(logging.CRITICAL)  # what goes wrong is said below, once
    days = {"start": start or "1900-01-01", "end": end + timedelta(days=1)}  # the end is not among them
    try:
        prices = yfinance.Ticker(symbol).history(**days, auto_adjust=False, actions=False)
        reason = f"none from {days['start']} to {end}"
    except Exception as error:  # the format of the answer is not documented, and may change
        prices, reason = pd.DataFrame(), f"{type(error).__name__}: {error}"
    if prices.empty:
        raise UserError(
            f"Yahoo Finance gives no prices of {symbol} ({' '.join(reason.split())}). Look the symbol up on "
            "finance.yahoo.com, ask later, or, without a network, give source=sample or the path of a CSV."
        )
    prices.index = prices.index.tz_localize(None).strftime("%Y-%m-%d")  # the day at the exchange
    return prices.rename_axis("date").reset_index()


def from_csv(path: Path) -> pd.DataFrame:
    """Return the rows of a CSV as text, indexed by line number; raises UserError if it is not such a file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            with path.open(encoding="utf-8-sig") as file:
                mark = max(",;\t", key=file.readline().count)
                file.seek(0)
                rows = pd.read_csv(
                    file, sep=mark, dtype=str, index_col=False, skip_blank_lines=False, skipinitialspace=True
                )
    except (OSError, ValueError, pd.errors.ParserWarning) as error:  # pandas' own errors are ValueErrors
        reason = getattr(error, "strerror", None) or " ".join(str(error).split()).removesuffix(".")
        raise UserError(
            f"{path}: expected a CSV in UTF-8 with a header and as many values in each line ({', '.join(COLUMNS)}), or "
            f"source=sample; found: {reason}."
        ) from None
    return rows.set_axis(range(2, len(rows) + 2))
