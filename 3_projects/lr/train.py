"""Train a linear regression for solar and wind power on the hourly table, and log it as a model.

mlflow run 3_projects/lr --env-manager local --experiment-name predicting_wind_solar
"""

import argparse
import sys
import tempfile
from pathlib import Path

import joblib
import mlflow
import pandas as pd
import yaml
from mlflow.models import infer_signature
from mlflow_ftp.preflight import preflight
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

TARGETS = ["solar_GW", "wind_GW"]
FEATURES = [
    "windspeed",
    "temperature",
    "rad_horizontal",
    "rad_diffuse",
    "rad_clear_sky",
    *[f"windspeed_{side}_{hours}" for side in ("lag", "lead") for hours in (1, 2, 3)],
    "windspeed_mean_7h",
    "windspeed_mean_25h",
]


def read_table(data_run: str) -> tuple[pd.DataFrame, str]:
    """Return the hourly table of a run of 3_projects/data, and that run's id; ``newest`` stands for the last one."""
    if data_run == "newest":
        runs = mlflow.search_runs(
            search_all_experiments=True,
            filter_string="tags.step = 'data' and attributes.status = 'FINISHED'",
            order_by=["tags.used_at DESC"],
            max_results=1,
            output_format="list",
        )
        if not runs:
            sys.exit("There is no table to train on yet. Make it with: mlflow run 3_projects/data --env-manager local")
        data_run = runs[0].info.run_id
    with tempfile.TemporaryDirectory() as folder:
        path = mlflow.artifacts.download_artifacts(run_id=data_run, artifact_path="table.parquet", dst_path=folder)
        return pd.read_parquet(path), data_run


parser = argparse.ArgumentParser(description="Train a linear regression for solar and wind power.")
parser.add_argument("--data-run", default="newest", help="run of 3_projects/data whose table is used")
options = parser.parse_args()
preflight("lr")

with mlflow.start_run(), tempfile.TemporaryDirectory() as folder:
    table, data_run = read_table(options.data_run)
    train, validation = (table[table["split"] == part] for part in ("train", "validation"))
    mlflow.set_tags({"step": "lr", "data_run": data_run, "source": table.attrs["source"]})
    mlflow.log_input(mlflow.data.from_pandas(train[FEATURES + TARGETS], name=table.attrs["source"]), context="training")

    regression = LinearRegression().fit(train[FEATURES], train[TARGETS])

    for part, rows in (("train", train), ("validation", validation)):
        power = regression.predict(rows[FEATURES]).clip(min=0)
        for column, target in enumerate(TARGETS):
            recorded, predicted = rows[target], power[:, column]
            mlflow.log_metrics(
                {
                    f"{part}_mae_{target}": mean_absolute_error(recorded, predicted),
                    f"{part}_rmse_{target}": root_mean_squared_error(recorded, predicted),
                    f"{part}_r2_{target}": r2_score(recorded, predicted),
                }
            )

    estimator = Path(folder) / "estimator.joblib"
    joblib.dump(regression, estimator)
    model = mlflow.pyfunc.log_model(
        name="model",
        python_model="model.py",
        artifacts={"estimator": str(estimator)},
        signature=infer_signature(train[FEATURES], train[TARGETS]),
        input_example=train[FEATURES].head(3),
        # Named, since finding them out takes MLflow longer than the training.
        pip_requirements=yaml.safe_load(Path("python_env.yaml").read_text())["dependencies"],
    )
    print(f"lr: {model.model_uri}")
