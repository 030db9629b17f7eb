"""Train a neural network for solar and wind power on the hourly table, and log it as a model.

mlflow run 3_projects/keras --env-manager local -P epochs=30 --experiment-name chapter_3
"""

import argparse
import ftplib
import os
import sys
import tempfile
from pathlib import Path

import mlflow
import pandas as pd
import yaml
from mlflow.exceptions import MlflowException
from mlflow.models import infer_signature
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

os.environ["KERAS_BACKEND"] = "tensorflow"  # whatever keras.json says
os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "2", "TF_ENABLE_ONEDNN_OPTS": "0"}  # or tensorflow talks about itself
import keras

TARGETS = ["solar_GW", "wind_GW"]
FEATURES = [
    *("windspeed", "temperature", "rad_horizontal", "rad_diffuse"),
    *("hour", "day_of_year", "solar_elevation", "rad_clear_sky"),
    *[f"windspeed_{side}_{hours}" for side in ("lag", "lead") for hours in (1, 2, 3)],
    *("windspeed_mean_7h", "windspeed_mean_25h"),
    "trend",  # carried on beyond the years of the training, since the capacity has been growing
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
                sys.exit(f"keras: there is no table in this experiment yet. Make one there with: {make}")
            data_run = runs["run_id"][0]
        with tempfile.TemporaryDirectory() as folder:
            path = mlflow.artifacts.download_artifacts(run_id=data_run, artifact_path="table.parquet", dst_path=folder)
            return pd.read_parquet(path), data_run
    except (MlflowException, *ftplib.all_errors) as error:
        reason = str(error).splitlines()[0]
        sys.exit(f"keras: can't read the table {data_run} ({reason}). Do both servers run, and let you in?")


parser = argparse.ArgumentParser(description="Train a neural network for solar and wind power.")
parser.add_argument("--epochs", type=int, default=30, help="passes over the table, at the most")
parser.add_argument("--seed", type=int, default=42, help="of the weights at the start and of the order of the rows")
parser.add_argument("--data-run", default="newest", help="run of 3_projects/data whose table is used")
options = parser.parse_args()

sys.stdout.reconfigure(errors="replace")  # MLflow prints emoji, which not every terminal can show
table, data_run = read_table(options.data_run)
data_title = table.attrs.get("subject", {}).get("title", "unknown")
with mlflow.start_run(run_name=f"keras-{options.epochs}"), tempfile.TemporaryDirectory() as folder:
    train, validation = (table[table["split"] == part] for part in ("train", "validation"))
    mlflow.set_tags(
        {"project": "keras", "data_run": data_run, "data_title": data_title, "fitted_on": "train,validation"}
    )
    mlflow.log_input(mlflow.data.from_pandas(train, name=data_title), context="training")

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
    # The network is small: what takes time is not its arithmetic but the call of each batch. So the batches are large,
    # with a learning rate to match, and 16 of them are run in one call.
    adam = keras.optimizers.Adam(learning_rate=0.003)
    network.compile(optimizer=adam, loss="mean_absolute_error", steps_per_execution=16)
    # The model is logged below, with a signature of named columns; autologging it as well would take 10 s.
    mlflow.keras.autolog(log_models=False)
    network.fit(
        train[FEATURES].to_numpy("float32"),
        train[TARGETS].to_numpy("float32"),
        validation_data=(validation[FEATURES].to_numpy("float32"), validation[TARGETS].to_numpy("float32")),
        epochs=options.epochs,
        batch_size=256,
        verbose=2,
        callbacks=[keras.callbacks.EarlyStopping(patience=4, restore_best_weights=True)],
    )

    metrics = {}
    for part, rows in (("train", train), ("validation", validation)):
        power = network.predict(rows[FEATURES].to_numpy("float32"), batch_size=4096, verbose=0).clip(min=0)
        for name, error in (("mae", mean_absolute_error), ("rmse", root_mean_squared_error), ("r2", r2_score)):
            values = error(rows[TARGETS], power, multioutput="raw_values")
            metrics |= {f"{part}_{name}_{target}": value for target, value in zip(TARGETS, values, strict=True)}
    mlflow.log_metrics(metrics)
    errors = [f"{metrics[f'validation_mae_{target}']:.3f} GW {target[:-3]}" for target in TARGETS]
    note = f"MAE on the validation weeks: {', '.join(errors)}"
    mlflow.set_tag("mlflow.note.content", note)

    saved = Path(folder) / "network.keras"
    network.save(saved)
    model = mlflow.pyfunc.log_model(
        name="model",
        python_model="model.py",
        artifacts={"network": str(saved)},
        model_config={"features": FEATURES},
        signature=infer_signature(train[FEATURES], train[TARGETS]),
        input_example=train[FEATURES].between_time("11:00", "13:00").head(3),  # at night there is no solar power
        # Named, because MLflow takes longer to find them out than the training takes.
        pip_requirements=yaml.safe_load(Path("python_env.yaml").read_text())["dependencies"],
    )
    print(f"keras: {note}\nkeras: {model.model_uri}")
