"""Make the hourly table that every model is trained and judged on, from a CSV of power and weather.

    mlflow run 3_projects/data --env-manager local -P csv=1_starting_point/germany.csv

The table is logged as ``table.parquet``: an hourly UTC index without gaps, the targets ``solar_GW`` and ``wind_GW``,
the weather, the derived features of features.py, ``repaired``, and ``split``: ``train`` and ``validation`` (every fifth
week) for the training steps, ``holdout`` (the last year) for the judges.
"""

import argparse
import hashlib
import json
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
from features import add_features
from mlflow_ftp.preflight import preflight
from validate import DataError, load

PROJECT_ROOT = Path(__file__).resolve().parents[2]
SHORTEST_TRAINING = pd.Timedelta(weeks=5)  # less has no validation week in it
LONGEST_HOLDOUT = 36500  # days; a century, which keeps a slip of the finger from ending in an overflow


def split(index: pd.DatetimeIndex, holdout_days: float) -> np.ndarray:
    """Return ``train``, ``validation`` or ``holdout`` for each hour; raises ValueError if too little is left to train.

    Time decides: the last ``holdout_days`` are seen by no training step. Whole weeks are set aside for validation,
    every fifth one, so that all seasons are in both parts and neighbouring hours are not.
    """
    if not 1 <= holdout_days <= LONGEST_HOLDOUT:
        raise ValueError(
            f"expected holdout_days from 1 to {LONGEST_HOLDOUT}, found {holdout_days:g}. The default is 365."
        )
    holdout = pd.Timedelta(days=holdout_days)
    start = index[-1] + pd.Timedelta(hours=1) - holdout
    training = start - index[0]
    if training < max(holdout, SHORTEST_TRAINING):
        raise ValueError(
            f"expected at least as many days for training as the {holdout_days:g} that are kept for judging, and five "
            f"weeks at least; found {len(index) / 24:g} days in all. Give more data, or a smaller holdout_days."
        )
    week = (index - pd.Timestamp("1970-01-05", tz="UTC")) // pd.Timedelta(weeks=1)  # a Monday
    return np.where(index >= start, "holdout", np.where(week % 5 == 4, "validation", "train"))


def describe(csv: Path) -> str:
    """Return what the data package beside the file says of it, such as that it is simulated, or its name alone."""
    try:
        package = json.loads(csv.with_name("datapackage.json").read_text(encoding="utf-8-sig"))
        for resource in package["resources"]:
            if resource["path"] == csv.name and resource["title"]:
                return str(resource["title"])
    except FileNotFoundError:
        pass
    except (OSError, ValueError, LookupError, TypeError):  # a label is no reason to refuse good data
        return f"{csv.name} (its source is not stated: datapackage.json beside it can't be understood)"
    return f"{csv.name} (its source is not stated)"


def make_table(csv: Path, holdout_days: float) -> tuple[pd.DataFrame, dict[str, int]]:
    """Return the table of a CSV and the repairs made; raises DataError if the file can't be used."""
    series, repairs = load(csv)
    table = add_features(series)
    try:
        table["split"] = split(table.index, holdout_days)
    except ValueError as error:
        raise DataError(f"{csv}: {error}") from None
    table.attrs = {"source": describe(csv), "file": csv.name, "repairs": repairs}
    return table, repairs


def main() -> None:
    """Validate the CSV and log the table as an artifact of the active run."""
    parser = argparse.ArgumentParser(description="Make the hourly table from a CSV of power and weather.")
    parser.add_argument("--csv", required=True, help="the file; a relative path starts at the top of the project")
    parser.add_argument("--holdout-days", type=float, default=365, help="days at the end that no training step sees")
    options = parser.parse_args()
    csv = PROJECT_ROOT / options.csv

    preflight("data")
    with mlflow.start_run(), tempfile.TemporaryDirectory() as folder:
        mlflow.set_tag("step", "data")
        try:
            table, repairs = make_table(csv, options.holdout_days)
        except DataError as error:
            mlflow.set_tag("error", str(error))
            sys.exit(f"data: {error}")
        path = Path(folder) / "table.parquet"
        table.to_parquet(path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        # Whoever wants the newest table takes the one that was used last; the workflow sets used_at when it reuses one.
        used_at = datetime.now(UTC).isoformat()
        mlflow.set_tags({"source": table.attrs["source"], "table_sha256": digest, "used_at": used_at})
        mlflow.log_metrics({name.replace(" ", "_"): count for name, count in repairs.items()} | {"hours": len(table)})
        mlflow.log_artifact(str(path))
        print(f"data: {table.attrs['source']}")
        print(f"data: {len(table)} hours from {table.index[0]} to {table.index[-1]}")
        print(f"data: {', '.join(f'{count} for {part}' for part, count in table['split'].value_counts().items())}")
        print(f"data: repaired: {', '.join(f'{count} {name}' for name, count in repairs.items())}")


if __name__ == "__main__":
    main()
