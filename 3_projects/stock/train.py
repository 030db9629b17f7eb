"""Train one model on the windows of a share, and log it.

    mlflow run 3_projects/stock -e train --env-manager local -P model=linear
    mlflow run 3_projects/stock -e train --env-manager local -P model=lstm -P lstm_units=60 -P epochs=20

Of the price of tomorrow: lstm, linear, knn, moving_average. Of its direction: random_forest, xgboost.
"""

import argparse
import tempfile
from pathlib import Path

import mlflow
import pandas as pd
import yaml
from approaches import APPROACHES, DIRECTION, PRICE, fit_estimator, fit_network
from lineage import find_step, read_table
from mlflow.models import infer_signature
from model import relative
from windows import closes_of

from forecasting.entry_point import command
from forecasting.errors import UserError
from forecasting.tracking import data_title_of

SEED = 42


def learn(
    options: argparse.Namespace, parts: dict[str, pd.DataFrame], closes: list[str], folder: Path
) -> dict[str, str]:
    """Fit the model on the training part and return the files that it is saved in; a moving average has none."""
    if options.model == "moving_average":
        return {}
    target, pairs = APPROACHES[options.model].target, {}
    for name, rows in parts.items():
        wanted = rows["next_close"] / rows[closes[-1]] - 1 if target == PRICE else rows["up"]
        pairs[name] = relative(rows[closes]), wanted.to_numpy()
    if options.model == "lstm":
        return fit_network(pairs["train"], pairs["validation"], options.lstm_units, options.epochs, folder, SEED)
    return fit_estimator(options.model, pairs["train"], folder, SEED)


def requirements(packages: tuple[str, ...]) -> list[str]:
    """Return the lines of python_env.yaml that a saved model needs. MLflow takes longer to find them than a fit."""
    lines = yaml.safe_load(Path("python_env.yaml").read_text(encoding="utf-8"))["dependencies"]
    return [line for line in lines if line.split("==")[0] in ("mlflow", "numpy", "pandas", *packages)]


def main() -> None:
    """Train a model and log it."""
    parser = argparse.ArgumentParser(description="Train one model on the windows of a share.")
    parser.add_argument("--model", default="linear", choices=list(APPROACHES), help="default: %(default)s")
    parser.add_argument("--table-run", default="newest", help="run of transform whose table is used")
    parser.add_argument("--lstm-units", type=int, default=60, help="cells in each of the two layers of lstm")
    parser.add_argument("--epochs", type=int, default=20, help="passes of lstm over the table, at most")
    with command("stock.train", parser) as options, tempfile.TemporaryDirectory() as folder:
        if min(options.lstm_units, options.epochs) < 1:
            raise UserError(
                f"expected at least 1 for lstm_units and epochs, found {options.lstm_units}, {options.epochs}"
            )
        mlflow.set_tags({"project": f"stock.{options.model}", "mlflow.runName": options.model})
        target, packages = APPROACHES[options.model].target, APPROACHES[options.model].packages
        run = find_step(options.table_run, "stock.transform")
        table, title = read_table(run, "table.parquet"), data_title_of(run)
        parts = {name: table[table["split"] == name] for name in ("train", "validation")}
        directions = parts["train"]["up"].unique()
        if target == DIRECTION and len(directions) < 2:
            only = "rises" if directions[0] else "days without a rise"
            raise UserError(
                f"expected rises and other days in the training part of run {run.info.run_id}, found only {only}. "
                "Take other prices, or train a model of the price."
            )
        closes = closes_of(table)
        tags = {name: run.data.tags[name] for name in ("symbol", "table_sha256")}
        mlflow.set_tags(tags | {"data_run": run.info.run_id, "data_title": title, "fitted_on": "train"})
        mlflow.log_input(mlflow.data.from_pandas(parts["train"], name=title), context="training")

        artifacts = learn(options, parts, closes, Path(folder))

        inputs = parts["train"][closes]
        outputs = dict.fromkeys([target] if target == PRICE else [target, "up_probability"], 0.0)
        logged = mlflow.pyfunc.log_model(
            name="model",
            python_model="model.py",
            artifacts=artifacts,
            model_config={"closes": closes, "target": target},
            signature=infer_signature(inputs, pd.DataFrame([outputs])),
            input_example=inputs.head(3),
            pip_requirements=requirements(packages),
        )
        model = mlflow.pyfunc.load_model(logged.model_uri)
        for part, rows in parts.items():
            error = (model.predict(rows[closes])[target] - rows[target]).abs().mean()
            mlflow.log_metric(f"{part}_mae_{target}", error)
            print(f"{options.model}: {part}: mean absolute error of {target} {error:.4f}")
        print(f"{options.model}: {logged.model_uri}")


if __name__ == "__main__":
    main()
