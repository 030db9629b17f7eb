"""Where daily share prices come from: the installed sample, Yahoo Finance, or a CSV.

Each function returns the rows as they were found, in text or numbers, with the columns ``date``, ``open``, ``high``,
``low``, ``close``, ``volume`` and, where the source has one, ``adj_close``. prices.py checks them.
"""

import logging
import warnings
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pandas as pd

SAMPLE = ("AAPL", "FB", "GOOG", "IBM", "MSFT")  # what bokeh_sampledata has
COLUMNS = ["date", "open", "high", "low", "close", "volume"]


class PriceError(Exception):
    """Prices that can't be had or used; the message says what was expected, what was found, and what to type next."""


def last_day(source: str, end: str) -> str:
    """Return the last day that is asked for: for Yahoo yesterday (UTC) at the most, as the price of today changes."""
    yesterday = (datetime.now(UTC).date() - timedelta(days=1)).isoformat()
    return yesterday if source == "yahoo" and (end == "last" or end > yesterday) else end


def from_sample(symbol: str) -> pd.DataFrame:
    """Return the real prices that the package bokeh_sampledata ships, 2000 to 2013; raises PriceError."""
    from bokeh_sampledata import stocks  # reads all five series when it is imported

    if symbol not in SAMPLE:
        raise PriceError(
            f"expected one of {', '.join(SAMPLE)}, the symbols of the sample, found {symbol}. For another one give "
            "source=yahoo, or the path of a CSV as the source."
        )
    return pd.DataFrame(getattr(stocks, symbol))


def from_yahoo(symbol: str, start: date | None, end: date) -> pd.DataFrame:
    """Return the prices that Yahoo Finance has, from ``start`` (None: the first) to ``end``; raises PriceError."""
    import yfinance
    from yfinance.exceptions import YFRateLimitError, YFTickerMissingError

    yfinance.config.debug.hide_exceptions = False
    logging.getLogger("yfinance").setLevel(logging.CRITICAL)  # what goes wrong is said below, once
    days = {"start": start or "1900-01-01", "end": end + timedelta(days=1)}  # the end is not among them
    try:
        found = yfinance.Ticker(symbol).history(**days, auto_adjust=False, actions=False)
    except YFRateLimitError:
        raise PriceError("Yahoo Finance has had too many questions. Ask later, or give source=sample.") from None
    except YFTickerMissingError:
        found = pd.DataFrame()
    except OSError as error:
        # yfinance looks an unknown symbol up once more, elsewhere, and passes on that this is not found.
        if getattr(getattr(error, "response", None), "status_code", None) != 404:
            raise PriceError(
                f"Yahoo Finance does not answer ({type(error).__name__}). Is there a network? Without one give "
                "source=sample, or the path of a CSV as the source."
            ) from None
        found = pd.DataFrame()
    except Exception as error:  # it reads an answer that nobody has promised to keep as it is
        raise PriceError(
            f"Yahoo Finance's answer about {symbol} can't be understood ({type(error).__name__}: {error}). Give "
            "source=sample, or the path of a CSV as the source."
        ) from None
    if found.empty:
        since = f"from {start} to {end}" if start else f"until {end}"
        raise PriceError(
            f"Yahoo Finance knows no prices of {symbol} {since}. Look the symbol up on finance.yahoo.com, or give "
            "other dates."
        )
    found.index = found.index.tz_localize(None).strftime("%Y-%m-%d")  # the day at the exchange
    return found.rename_axis("date").reset_index()


def from_csv(path: Path) -> pd.DataFrame:
    """Return the rows of a CSV as text, indexed by line number; raises PriceError if it is no such file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            found = pd.read_csv(
                path, dtype=str, index_col=False, skip_blank_lines=False, skipinitialspace=True, encoding="utf-8-sig"
            )
    except FileNotFoundError:
        raise PriceError(f"{path}: no such file. Give a CSV with {', '.join(COLUMNS)}, or source=sample.") from None
    except OSError as error:
        raise PriceError(f"{path}: can't be read ({error.strerror}). Give a CSV that you may read.") from None
    except UnicodeDecodeError:
        raise PriceError(f"{path}: expected text in UTF-8, found something else. Save it as CSV in UTF-8.") from None
    except (pd.errors.ParserError, pd.errors.ParserWarning, pd.errors.EmptyDataError) as error:
        reason = " ".join(str(error).split()).removeprefix("Error tokenizing data. C error: ").removesuffix(".")
        raise PriceError(f"{path}: expected a header and as many values in each line, found: {reason}.") from None
    return found.set_axis(range(2, len(found) + 2))
