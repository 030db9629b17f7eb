"""Train one model on the windows of a share, and log it.

    mlflow run 3_projects/stock -e train --env-manager local -P model=linear
    mlflow run 3_projects/stock -e train --env-manager local -P model=lstm -P lstm_units=60 -P epochs=20

Of the price of tomorrow: lstm, linear, knn, moving_average. Of its direction: random_forest, xgboost.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import mlflow
import pandas as pd
import yaml
from approaches import APPROACHES, DIRECTION, PRICE, fit_estimator, fit_network
from handover import HandoverError, find_run, read_table
from mlflow.models import infer_signature
from mlflow_ftp.preflight import preflight
from model import relative
from windows import closes_of

SEED = 42
LONGEST_TRAINING = 10000  # epochs
WIDEST = 1000  # cells in a layer


def parse() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description="Train one model on the windows of a share.")
    parser.add_argument("--model", default="linear", help=f"one of {', '.join(APPROACHES)}")
    parser.add_argument("--table-run", default="newest", help="run of transform whose table is used")
    parser.add_argument("--lstm-units", type=int, default=60, help="cells in each of the two layers of lstm")
    parser.add_argument("--epochs", type=int, default=20, help="passes of lstm over the table, at the most")
    options = parser.parse_args()
    if options.model not in APPROACHES:
        sys.exit(f"train: expected model={', '.join(APPROACHES)}, found {options.model}")
    for name, value, most in (("lstm_units", options.lstm_units, WIDEST), ("epochs", options.epochs, LONGEST_TRAINING)):
        if not 1 <= value <= most:
            sys.exit(f"train: expected {name} from 1 to {most}, found {value}")
    return options


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
    """Return the lines of python_env.yaml that a saved model needs. Finding them out takes MLflow longer than a fit."""
    lines = yaml.safe_load(Path("python_env.yaml").read_text(encoding="utf-8"))["dependencies"]
    return [line for line in lines if line.split("==")[0] in ("mlflow", "numpy", "pandas", *packages)]


def main() -> None:
    """Train a model as the active run."""
    options = parse()
    approach = APPROACHES[options.model]
    preflight("stock")
    with mlflow.start_run(), tempfile.TemporaryDirectory() as folder:
        mlflow.set_tag("step", f"stock.{options.model}")
        try:
            run = find_run(options.table_run, "stock.transform")
            table = read_table(run, "table.parquet")
            known = table.loc[table["split"] == "train", "up"].unique()
            if approach.target == DIRECTION and len(known) < 2:
                found = "rises" if known[0] else "days without a rise"
                raise HandoverError(
                    f"expected rises and other days in the training part of run {run.info.run_id}, found only {found}. "
                    "Take other prices, or train a model of the price."
                )
        except HandoverError as error:
            mlflow.set_tag("error", str(error))
            sys.exit(f"train: {error}")
        closes, target = closes_of(table), approach.target
        parts = {name: table[table["split"] == name] for name in ("train", "validation")}
        tags = {name: run.data.tags[name] for name in ("symbol", "source", "table_sha256")}
        mlflow.set_tags(tags | {"data_run": run.info.run_id})
        dataset = mlflow.data.from_pandas(parts["train"][[*closes, target]], name=table.attrs["source"])
        mlflow.log_input(dataset, context="training")

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
            pip_requirements=requirements(approach.packages),
        )
        model = mlflow.pyfunc.load_model(logged.model_uri)
        for part, rows in parts.items():
            error = (model.predict(rows[closes])[target] - rows[target]).abs().mean()
            mlflow.log_metric(f"{part}_mae_{target}", error)
            print(f"{options.model}: {part}: mean absolute error of {target} {error:.4f}")
        print(f"{options.model}: {logged.model_uri}")


if __name__ == "__main__":
    main()
