"""Train a neural network for solar and wind power on the hourly table, and log it as a model.

mlflow run 3_projects/keras --env-manager local -P epochs=30 --experiment-name predicting_wind_solar
"""

import argparse
import sys
import tempfile
from pathlib import Path

import keras
import mlflow
import pandas as pd
import yaml
from mlflow.models import infer_signature
from mlflow_ftp.preflight import preflight
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

TARGETS = ["solar_GW", "wind_GW"]
FEATURES = [
    "windspeed",
    "temperature",
    "rad_horizontal",
    "rad_diffuse",
    "hour",
    "day_of_year",
    "solar_elevation",
    "rad_clear_sky",
    *[f"windspeed_{side}_{hours}" for side in ("lag", "lead") for hours in (1, 2, 3)],
    "windspeed_mean_7h",
    "windspeed_mean_25h",
    "trend",  # carried on beyond the years of the training, since the capacity has been growing
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


parser = argparse.ArgumentParser(description="Train a neural network for solar and wind power.")
parser.add_argument("--epochs", type=int, default=30, help="passes over the table, at the most")
parser.add_argument("--seed", type=int, default=42, help="of the weights at the start and of the order of the rows")
parser.add_argument("--data-run", default="newest", help="run of 3_projects/data whose table is used")
options = parser.parse_args()
preflight("keras")

with mlflow.start_run(), tempfile.TemporaryDirectory() as folder:
    table, data_run = read_table(options.data_run)
    train, validation = (table[table["split"] == part] for part in ("train", "validation"))
    mlflow.set_tags({"step": "keras", "data_run": data_run, "source": table.attrs["source"]})
    mlflow.log_input(mlflow.data.from_pandas(train[FEATURES + TARGETS], name=table.attrs["source"]), context="training")

    keras.utils.set_random_seed(options.seed)
    scale = keras.layers.Normalization()
    scale.adapt(train[FEATURES].to_numpy("float32"))
    network = keras.Sequential(
        [
            keras.Input((len(FEATURES),)),
            scale,
            keras.layers.Dense(32, activation="relu"),
            keras.layers.Dense(32, activation="relu"),
            keras.layers.Dense(len(TARGETS)),
        ]
    )
    network.compile(optimizer="adam", loss="mean_absolute_error")
    # The model is logged below, with a signature of named columns; autologging it as well would take 10 s.
    mlflow.keras.autolog(log_models=False)
    network.fit(
        train[FEATURES].to_numpy("float32"),
        train[TARGETS].to_numpy("float32"),
        validation_data=(validation[FEATURES].to_numpy("float32"), validation[TARGETS].to_numpy("float32")),
        epochs=options.epochs,
        batch_size=64,
        verbose=2,
        callbacks=[keras.callbacks.EarlyStopping(patience=4, restore_best_weights=True)],
    )

    for part, rows in (("train", train), ("validation", validation)):
        power = network.predict(rows[FEATURES].to_numpy("float32"), verbose=0).clip(min=0)
        for column, target in enumerate(TARGETS):
            recorded, predicted = rows[target], power[:, column]
            mlflow.log_metrics(
                {
                    f"{part}_mae_{target}": mean_absolute_error(recorded, predicted),
                    f"{part}_rmse_{target}": root_mean_squared_error(recorded, predicted),
                    f"{part}_r2_{target}": r2_score(recorded, predicted),
                }
            )

    saved = Path(folder) / "network.keras"
    network.save(saved)
    model = mlflow.pyfunc.log_model(
        name="model",
        python_model="model.py",
        artifacts={"network": str(saved)},
        model_config={"features": FEATURES},
        signature=infer_signature(train[FEATURES], train[TARGETS]),
        input_example=train[FEATURES].head(3),
        # Named, since finding them out takes MLflow longer than the training.
        pip_requirements=yaml.safe_load(Path("python_env.yaml").read_text())["dependencies"],
    )
    print(f"keras: {model.model_uri}")
