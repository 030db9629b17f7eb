"""Fetch the daily prices of a share, check them, and log them as ``prices.parquet``.

    mlflow run 3_projects/stock -e ingest --env-manager local -P symbol=MSFT
    mlflow run 3_projects/stock -e ingest --env-manager local -P symbol=NVDA -P source=yahoo -P start=2010-01-01

The table has one row for each trading day (index ``date``, midnight UTC), oldest first: open, high, low, close in the
share's currency, adjusted for splits and dividends if the source says how.
"""

import argparse
import contextlib
import tempfile
from datetime import UTC, date, datetime
from pathlib import Path

import mlflow
import pandas as pd
import sources
from prices import YEARS, clean

from forecasting.entry_point import command
from forecasting.errors import UserError
from forecasting.files import sha256

PROJECT_ROOT = Path(__file__).resolve().parents[2]


def parse_day(name: str, text: str, open_end: str) -> date | None:
    """Return a day, or None for the word that means no limit; raises UserError."""
    if text == open_end:
        return None
    with contextlib.suppress(ValueError):
        if (day := date.fromisoformat(text)).year in YEARS:
            return day
    raise UserError(f"expected {name} as a date such as 2010-01-31, or {open_end}, found {text!r}.")


def fetch(symbol: str, source: str, start: str, end: str) -> tuple[pd.DataFrame, dict[str, int], str]:
    """Return the checked prices, the repairs, and what was done about splits; raises UserError."""
    first, last = parse_day("start", start, "first"), parse_day("end", sources.last_day(source, end), "last")
    if first and last and first > last:
        raise UserError(f"expected a start before the end, found {first} and {last}.")
    if source == "sample":
        raw = sources.from_sample(symbol)
    elif source == "yahoo":
        raw = sources.from_yahoo(symbol, first, last)
    else:
        raw = sources.from_csv(PROJECT_ROOT / source)
    try:
        return clean(raw, first, last)
    except UserError as error:
        raise UserError(f"{source}: {error}") from None


def title(symbol: str, source: str) -> str:
    """Return the title of the prices for a reader."""
    known = {"sample": "bokeh_sampledata, 2000 to 2013", "yahoo": "Yahoo Finance"}
    return f"{symbol}, daily prices ({known.get(source) or Path(source).name})"


def main() -> None:
    """Fetch the prices and log them as an artifact of the active run."""
    parser = argparse.ArgumentParser(description="Fetch and check the daily prices of a share.")
    parser.add_argument("--symbol", default="MSFT", help="of the share; for a CSV it is a label only")
    parser.add_argument("--source", default="sample", help="sample, yahoo, or the path of a CSV from the project's top")
    parser.add_argument("--start", default="first", help="first day, such as 2010-01-01")
    parser.add_argument("--end", default="last", help="last day; with yahoo, last is yesterday")
    with command("stock.ingest", parser) as options, tempfile.TemporaryDirectory() as folder:
        symbol = options.symbol.upper()
        mlflow.set_tag("symbol", symbol)
        prices, repairs, note = fetch(symbol, options.source, options.start, options.end)
        data_title = title(symbol, options.source)
        path = Path(folder) / "prices.parquet"
        prices.to_parquet(path)
        # The newest prices are those that were used last; the workflow sets used_at when it reuses some.
        tags = {"prices_sha256": sha256(path), "adjustment": note, "used_at": datetime.now(UTC).isoformat()}
        mlflow.set_tags(tags | {"data_title": data_title})
        mlflow.log_metrics({name.replace(" ", "_"): count for name, count in repairs.items()} | {"days": len(prices)})
        mlflow.log_artifact(str(path))
        print(f"ingest: {data_title}: {len(prices)} days, {prices.index[0]:%Y-%m-%d} to", end=" ")
        print(f"{prices.index[-1]:%Y-%m-%d}; {note}")
        print(f"ingest: repaired: {', '.join(f'{count} {name}' for name, count in repairs.items())}")


if __name__ == "__main__":
    main()
