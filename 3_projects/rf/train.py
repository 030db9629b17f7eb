"""Train a random forest for solar and wind power on the hourly table, and log it as a model.

mlflow run 3_projects/rf --env-manager local -P n_estimators=64 --experiment-name chapter_3
"""

import argparse
import ftplib
import os
import sys
import tempfile
from pathlib import Path

import joblib
import mlflow
import pandas as pd
import yaml
from mlflow.exceptions import MlflowException
from mlflow.models import infer_signature
from sklearn.ensemble import RandomForestRegressor
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

TARGETS = ["solar_GW", "wind_GW"]
# No trend and no day of the year: a tree does not carry them beyond the years that it has seen.
FEATURES = [
    *("windspeed", "temperature", "rad_horizontal", "rad_diffuse", "hour", "solar_elevation"),
    *[f"windspeed_{side}_{hours}" for side in ("lag", "lead") for hours in (1, 2, 3)],
    *("windspeed_mean_7h", "windspeed_mean_25h"),
]


def read_table(data_run: str) -> tuple[pd.DataFrame, str]:
    """Read the table of a run of 3_projects/data, by the run's id or the newest in this experiment; return both.

    Ends the program with one sentence if there is none or a server is away: better now than after the training.
    """
    try:
        if data_run == "newest":
            finished = "tags.project = 'data' and attributes.status = 'FINISHED'"
            runs = mlflow.search_runs(filter_string=finished, order_by=["tags.used_at DESC"], max_results=1)
            if runs.empty:
                make = "mlflow run 3_projects/data --env-manager local"
                sys.exit(f"rf: there is no table in this experiment yet. Make one there with: {make}")
            data_run = runs["run_id"][0]
        with tempfile.TemporaryDirectory() as folder:
            path = mlflow.artifacts.download_artifacts(run_id=data_run, artifact_path="table.parquet", dst_path=folder)
            return pd.read_parquet(path), data_run
    except (MlflowException, *ftplib.all_errors) as error:
        reason = str(error).splitlines()[0]
        sys.exit(f"rf: can't read the table {data_run} ({reason}). Do both servers run, and let you in?")


parser = argparse.ArgumentParser(description="Train a random forest for solar and wind power.")
parser.add_argument("--n-estimators", type=int, default=64, help="number of trees")
parser.add_argument("--max-depth", type=int, default=10, help="levels of each tree")
parser.add_argument("--data-run", default="newest", help="run of 3_projects/data whose table is used")
options = parser.parse_args()

sys.stdout.reconfigure(errors="replace")  # MLflow prints emoji, which not every terminal can show
table, data_run = read_table(options.data_run)
data_title = table.attrs.get("subject", {}).get("title", "unknown")
with mlflow.start_run(run_name=f"rf-{options.n_estimators}"), tempfile.TemporaryDirectory() as folder:
    train, validation = (table[table["split"] == part] for part in ("train", "validation"))
    mlflow.set_tags({"project": "rf", "data_run": data_run, "data_title": data_title, "fitted_on": "train"})
    mlflow.log_input(mlflow.data.from_pandas(train, name=data_title), context="training")

    forest = RandomForestRegressor(
        n_estimators=options.n_estimators,
        max_depth=options.max_depth,
        n_jobs=os.cpu_count(),
        random_state=42,
    )
    forest.fit(train[FEATURES], train[TARGETS])

    metrics = {}
    for part, rows in (("train", train), ("validation", validation)):
        power = forest.predict(rows[FEATURES]).clip(min=0)
        for name, error in (("mae", mean_absolute_error), ("rmse", root_mean_squared_error), ("r2", r2_score)):
            values = error(rows[TARGETS], power, multioutput="raw_values")
            metrics |= {f"{part}_{name}_{target}": value for target, value in zip(TARGETS, values, strict=True)}
    mlflow.log_metrics(metrics)
    errors = [f"{metrics[f'validation_mae_{target}']:.3f} GW {target[:-3]}" for target in TARGETS]
    note = f"MAE on the validation weeks: {', '.join(errors)}"
    mlflow.set_tag("mlflow.note.content", note)

    estimator = Path(folder) / "estimator.joblib"
    joblib.dump(forest, estimator, compress=3)
    model = mlflow.pyfunc.log_model(
        name="model",
        python_model="model.py",
        artifacts={"estimator": str(estimator)},
        signature=infer_signature(train[FEATURES], train[TARGETS]),
        input_example=train[FEATURES].between_time("11:00", "13:00").head(3),  # at night there is no solar power
        # Named, because MLflow takes longer to find them out than the training takes.
        pip_requirements=yaml.safe_load(Path("python_env.yaml").read_text())["dependencies"],
    )
    print(f"rf: {note}\nrf: {model.model_uri}")
