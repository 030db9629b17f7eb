"""Cut the prices into windows for the models, and keep them as ``table.parquet``.

    mlflow run 3_projects/stock -e transform --env-manager local -P days=14

windows.py says what is in the table. Nothing is scaled here: a model takes prices as they are, and what it learns about
their scale it learns from the training part and carries inside.
"""

import argparse
import hashlib
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import mlflow
from handover import HandoverError, find_run, read_table
from mlflow_ftp.preflight import preflight
from windows import make_table


def main() -> None:
    """Make the table and log it as an artifact of the active run."""
    parser = argparse.ArgumentParser(description="Cut daily prices into windows.")
    parser.add_argument("--prices-run", default="newest", help="run of ingest whose prices are used")
    parser.add_argument("--days", type=int, default=14, help="closing prices in a window")
    parser.add_argument("--holdout-years", type=float, default=2, help="years at the end that no training step sees")
    options = parser.parse_args()

    preflight("stock")
    with mlflow.start_run(), tempfile.TemporaryDirectory() as folder:
        mlflow.set_tag("step", "stock.transform")
        try:
            run = find_run(options.prices_run, "stock.ingest")
            prices = read_table(run, "prices.parquet")
            table = make_table(prices, options.days, options.holdout_years)
        except (HandoverError, ValueError) as error:
            mlflow.set_tag("error", str(error))
            sys.exit(f"transform: {error}")
        table.attrs = prices.attrs | {"days": options.days}
        path = Path(folder) / "table.parquet"
        table.to_parquet(path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        tags = {"table_sha256": digest, "prices_run": run.info.run_id, "used_at": datetime.now(UTC).isoformat()}
        mlflow.set_tags(tags | {name: prices.attrs[name] for name in ("symbol", "source", "adjustment")})
        counts = table["split"].value_counts()
        purged = len(prices) - options.days - len(table)
        mlflow.log_metrics({f"windows_{part}": count for part, count in counts.items()} | {"windows_purged": purged})
        mlflow.log_artifact(str(path))
        print(f"transform: {table.attrs['source']}: windows of {options.days} days, {len(table)} in all")
        for part in ("train", "validation", "holdout"):
            rows = table[table["split"] == part]
            print(
                f"transform: {part}: {len(rows)} windows, {rows.index[0]:%Y-%m-%d} to {rows.index[-1]:%Y-%m-%d},",
                end="",
            )
            print(f" {rows['up'].mean():.1%} followed by a rise")
        print(f"transform: {purged} windows left out, as they reach from one part into the next")


if __name__ == "__main__":
    main()
