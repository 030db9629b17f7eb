"""Fetch the daily prices of a share, check them, and keep them as ``prices.parquet``.

    mlflow run 3_projects/stock -e ingest --env-manager local -P symbol=MSFT
    mlflow run 3_projects/stock -e ingest --env-manager local -P symbol=NVDA -P source=yahoo -P start=2010-01-01

The table has one row for each trading day (index ``date``, midnight UTC), oldest first: open, high, low, close in the
share's currency, adjusted for splits and dividends if the source says how, and volume.
"""

import argparse
import contextlib
import hashlib
import sys
import tempfile
from datetime import UTC, date, datetime
from pathlib import Path

import mlflow
import pandas as pd
import sources
from mlflow_ftp.preflight import preflight
from prices import YEARS, clean
from sources import PriceError

PROJECT_ROOT = Path(__file__).resolve().parents[2]


def parse_day(name: str, text: str, open_end: str) -> date | None:
    """Return a day, None for the word that stands for no limit; raises PriceError."""
    if text == open_end:
        return None
    with contextlib.suppress(ValueError):
        if (day := date.fromisoformat(text)).year in YEARS:
            return day
    raise PriceError(f"expected {name} as a date such as 2010-01-31, or {open_end}, found {text!r}.")


def fetch(symbol: str, source: str, start: str, end: str) -> tuple[pd.DataFrame, dict[str, int], str]:
    """Return the checked prices, the repairs, and what was done about splits; raises PriceError."""
    first, last = parse_day("start", start, "first"), parse_day("end", sources.last_day(source, end), "last")
    if first and last and first > last:
        raise PriceError(f"expected a start before the end, found {first} and {last}.")
    if source == "sample":
        raw = sources.from_sample(symbol)
    elif source == "yahoo":
        raw = sources.from_yahoo(symbol, first, last)
    else:
        raw = sources.from_csv(PROJECT_ROOT / source)
    try:
        return clean(raw, first, last)
    except PriceError as error:
        raise PriceError(f"{source}: {error}") from None


def title(symbol: str, source: str) -> str:
    """Return what the source is called wherever the prices are shown."""
    known = {"sample": "bokeh_sampledata, 2000 to 2013", "yahoo": "Yahoo Finance"}
    return f"{symbol}, daily prices ({known.get(source) or Path(source).name})"


def main() -> None:
    """Fetch the prices and log them as an artifact of the active run."""
    parser = argparse.ArgumentParser(description="Fetch and check the daily prices of a share.")
    parser.add_argument("--symbol", default="MSFT", help="of the share; for a CSV it is a label only")
    parser.add_argument("--source", default="sample", help="sample, yahoo, or the path of a CSV from the project's top")
    parser.add_argument("--start", default="first", help="first day, such as 2010-01-01")
    parser.add_argument("--end", default="last", help="last day; with yahoo, last is yesterday")
    options = parser.parse_args()
    symbol = options.symbol.upper()

    preflight("stock")
    with mlflow.start_run(), tempfile.TemporaryDirectory() as folder:
        mlflow.set_tags({"step": "stock.ingest", "symbol": symbol})
        try:
            prices, repairs, note = fetch(symbol, options.source, options.start, options.end)
        except PriceError as error:
            mlflow.set_tag("error", str(error))
            sys.exit(f"ingest: {error}")
        prices.attrs = {"source": title(symbol, options.source), "symbol": symbol, "adjustment": note}
        path = Path(folder) / "prices.parquet"
        prices.to_parquet(path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        # Whoever wants the newest prices takes those that were used last; main sets used_at when it reuses some.
        tags = {"prices_sha256": digest, "adjustment": note, "used_at": datetime.now(UTC).isoformat()}
        mlflow.set_tags(tags | {"source": prices.attrs["source"]})
        mlflow.log_metrics({name.replace(" ", "_"): count for name, count in repairs.items()} | {"days": len(prices)})
        mlflow.log_artifact(str(path))
        print(f"ingest: {prices.attrs['source']}: {len(prices)} days, {prices.index[0]:%Y-%m-%d} to", end=" ")
        print(f"{prices.index[-1]:%Y-%m-%d}; {note}")
        print(f"ingest: repaired: {', '.join(f'{count} {name}' for name, count in repairs.items())}")


if __name__ == "__main__":
    main()
