"""Make the hourly table that every model is trained and judged on, from a CSV of power and weather.

    mlflow run 3_projects/data --env-manager local -P csv=1_starting_point/germany.csv
    mlflow run 3_projects/data -e features --env-manager local -P csv=weather.csv

The second command writes the features of weather alone to output/features.csv, in this folder if no other output is
given: what a model is asked with over HTTP.

The table is logged as ``table.parquet``: an hourly UTC index without gaps, the targets, the weather, the derived
features of features.py, ``repaired``, and ``split``: ``train`` and ``validation`` (every fifth week) for the training,
``holdout`` (the last year) for judging. Its attributes say what it is about: see read_subject() in validate.py.
"""

import argparse
import ftplib
import hashlib
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
from features import add_features
from mlflow.exceptions import MlflowException
from validate import WEATHER, DataError, in_words, load, read_subject

FOLDER = Path(__file__).resolve().parent
SHORTEST_TRAINING = 35  # days; less has no validation week in it


def split(index: pd.DatetimeIndex, holdout_days: float) -> np.ndarray:
    """Return ``train``, ``validation`` or ``holdout`` for each hour; raises ValueError if too little is left to train.

    Time decides: the last ``holdout_days`` are seen by no training step. Whole weeks are set aside for validation,
    every fifth one, so that all seasons are in both parts and neighbouring hours are not.
    """
    if not holdout_days >= 1:
        raise ValueError(f"expected holdout_days of at least 1, found {holdout_days:g}. The default is 365.")
    days = len(index) / 24
    if days - holdout_days < max(holdout_days, SHORTEST_TRAINING):
        raise ValueError(
            f"expected at least as many days for training as the {holdout_days:g} that are kept for judging, and five "
            f"weeks at least; found {days:g} days in all. Give more data, or a smaller holdout_days."
        )
    start = index[-1] + pd.Timedelta(hours=1) - pd.Timedelta(days=holdout_days)
    week = (index - pd.Timestamp("1970-01-05", tz="UTC")) // pd.Timedelta(weeks=1)  # a Monday
    return np.where(index >= start, "holdout", np.where(week % 5 == 4, "validation", "train"))


def make_table(csv: Path, holdout_days: float) -> tuple[pd.DataFrame, dict[str, int]]:
    """Return the table of a CSV and the repairs made; raises DataError if the file can't be used."""
    series, repairs = load(csv)
    table = add_features(series)
    try:
        table["split"] = split(table.index, holdout_days)
    except ValueError as error:
        raise DataError(f"{csv}: {error}") from None
    table.attrs = {"subject": read_subject(csv), "file": csv.name, "repairs": repairs}
    return table, repairs


def write_features(csv: Path, output: Path) -> None:
    """Write a CSV with the features of a CSV of weather; raises DataError if one of them can't be used."""
    weather, repairs = load(csv, WEATHER)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        add_features(weather).to_csv(output)
    except OSError as error:
        raise DataError(f"{output}: can't be written ({error.strerror}). Give another output.") from None
    print(f"data: the features of {len(weather)} hours are in {output}; repaired: {in_words(repairs)}")


def log_table(csv: Path, holdout_days: float) -> None:
    """Log the table of a CSV as an artifact of the active run; raises DataError if the file can't be used."""
    table, repairs = make_table(csv, holdout_days)
    title = table.attrs["subject"]["title"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.parquet"
        table.to_parquet(path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        mlflow.log_artifact(str(path))
    # Known to the server before models that train side by side log it: two that add it at once fail.
    mlflow.log_input(mlflow.data.from_pandas(table[table["split"] == "train"], name=title), context="training")
    # The newest table is the one that was used last; the workflow sets used_at when it reuses one.
    used_at = datetime.now(UTC).isoformat()
    parts = ", ".join(f"{count} for {part}" for part, count in table["split"].value_counts().items())
    tags = {"data_title": title, "table_sha256": digest, "used_at": used_at}
    mlflow.set_tags(tags | {"mlflow.note.content": f"{len(table)} hours: {parts}"})
    mlflow.log_metrics({name.replace(" ", "_"): count for name, count in repairs.items()} | {"hours": len(table)})
    print(f"data: {title}")
    print(f"data: {len(table)} hours from {table.index[0]} to {table.index[-1]}")
    print(f"data: {parts}")
    print(f"data: repaired: {in_words(repairs)}")


def main() -> None:
    """Run the command: the table of a CSV, or the features of weather alone."""
    parser = argparse.ArgumentParser(description="Make the hourly table from a CSV of power and weather.")
    # On Windows a path with blanks arrives from MLflow in pieces and with its quotation marks.
    parser.add_argument("--csv", nargs="+", required=True, help="the file")
    parser.add_argument("--holdout-days", type=float, default=365, help="days at the end that no training step sees")
    parser.add_argument("--output", nargs="+", help="a CSV: make no table, but write the features of weather there")
    options = parser.parse_args()
    csv = Path(" ".join(options.csv).strip('"'))
    sys.stdout.reconfigure(errors="replace")  # MLflow prints emoji, which not every terminal can show

    name = "features" if options.output else "data"
    try:
        with mlflow.start_run(run_name=name):
            mlflow.set_tag("project", name)
            try:
                if options.output:
                    write_features(csv, FOLDER / " ".join(options.output).strip('"'))
                else:
                    log_table(csv, options.holdout_days)
            except DataError as error:
                mlflow.set_tag("error", str(error))
                sys.exit(f"data: {error}")
    except (MlflowException, *ftplib.all_errors) as error:
        sys.exit(
            f"data: the table can't be logged ({str(error).splitlines()[0]}). Do both servers run, and let you in?"
        )


if __name__ == "__main__":
    main()
