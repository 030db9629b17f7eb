"""Cut the prices into windows for the models, and log them as ``table.parquet``.

    mlflow run 3_projects/stock -e transform --env-manager local -P days=14

windows.py says what is in the table. Nothing is scaled here: a model takes prices as they are, and carries the scale
that it has learnt from the training part inside.
"""

import argparse
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import mlflow
from lineage import find_step, read_table
from windows import make_table

from forecasting.entry_point import command
from forecasting.files import sha256
from forecasting.tracking import data_title_of


def main() -> None:
    """Make the table and log it."""
    parser = argparse.ArgumentParser(description="Cut daily prices into windows.")
    parser.add_argument("--prices-run", default="newest", help="run of ingest whose prices are used")
    parser.add_argument("--days", type=int, default=14, help="closing prices in a window")
    parser.add_argument("--holdout-years", type=float, default=2, help="years at the end that no training step sees")
    with command("stock.transform", parser) as options, tempfile.TemporaryDirectory() as folder:
        run = find_step(options.prices_run, "stock.ingest")
        prices = read_table(run, "prices.parquet")
        table = make_table(prices, options.days, options.holdout_years)
        title = data_title_of(run)
        table.attrs = {"source": title}
        path = Path(folder) / "table.parquet"
        table.to_parquet(path)
        tags = {name: run.data.tags[name] for name in ("symbol", "adjustment")}
        tags |= {"prices_run": run.info.run_id, "used_at": datetime.now(UTC).isoformat()}
        mlflow.set_tags(tags | {"table_sha256": sha256(path), "data_title": title})
        counts = table["split"].value_counts()
        purged = len(prices) - options.days - len(table)
        mlflow.log_metrics({f"windows_{part}": count for part, count in counts.items()} | {"windows_purged": purged})
        mlflow.log_artifact(str(path))
        # Known to the server before models that train side by side log it: two that add it at once fail.
        mlflow.log_input(mlflow.data.from_pandas(table[table["split"] == "train"], name=title), context="training")
        print(f"transform: {title}: windows of {options.days} days, {len(table)} in all")
        for part, rows in table.groupby("split", sort=False):
            days = f"{rows.index[0]:%Y-%m-%d} to {rows.index[-1]:%Y-%m-%d}"
            print(f"transform: {part}: {len(rows)} windows, {days}, {rows['up'].mean():.1%} followed by a rise")
        print(f"transform: {purged} windows left out, because they reach from one part into the next")


if __name__ == "__main__":
    main()
