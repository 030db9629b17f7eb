"""Judge the trained models on the holdout, which no training has seen, beside the naive forecasts.

    mlflow run 3_projects/stock -e evaluate --env-manager local

Of the price: RMSE and MAE in money, against the last price (regression.json, prices.png). Of the direction: a
classification report, against the commoner class and "same as yesterday" (classification.json, confusion.png).
Nothing is registered here; ``register`` runs the gate.
"""

import argparse

import charts
import mlflow
import pandas as pd
import scores
from approaches import APPROACHES, DIRECTION, PRICE
from lineage import find_models, find_step, read_table
from windows import closes_of

from forecasting.entry_point import command
from forecasting.tracking import data_title_of, model_of

NAIVE = {PRICE: ["last_close"], DIRECTION: ["majority", "same_as_yesterday"]}


def predict(runs: dict, rows: pd.DataFrame, target: str) -> dict[str, pd.DataFrame]:
    """Return the forecasts of a target, of each model and each naive one, by name; empty without a model."""
    models = {name: model_of(run) for name, run in runs.items() if APPROACHES[name].target == target}
    closes = rows[closes_of(rows)]
    predicted = {name: mlflow.pyfunc.load_model(uri).predict(closes) for name, uri in models.items()}
    return predicted | {name: pd.DataFrame({target: rows[name]}) for name in NAIVE[target]} if predicted else {}


def log(report: dict[str, dict], file: str, heading: dict, best: str) -> None:
    """Print a table of the scores, the best first, and log it with each model's own as metrics of the run."""
    mlflow.log_dict(heading | {"forecasts": report}, file)
    frame = pd.DataFrame(report).T.drop(columns="confusion", errors="ignore").astype(float)
    print(frame.sort_values(best, ascending=best != "accuracy").round(4).to_string(na_rep="-"))
    for name, values in frame.iterrows():
        mlflow.log_metrics({f"{metric}_{name}": value for metric, value in values.dropna().items()})


def main() -> None:
    """Judge the models and log the reports."""
    parser = argparse.ArgumentParser(description="Judge the trained models on the holdout.")
    parser.add_argument("--challengers", default="newest", help="runs of train with commas between, or newest")
    parser.add_argument("--table-run", default="newest", help="run of transform whose holdout is used")
    with command("stock.evaluate", parser) as options:
        run = find_step(options.table_run, "stock.transform")
        runs = find_models(options.challengers, run, APPROACHES)
        table, title = read_table(run, "table.parquet"), data_title_of(run)
        rows = table[table["split"] == "holdout"]
        days = f"{rows.index[0]:%Y-%m-%d} to {rows.index[-1]:%Y-%m-%d}"
        tags = {"data_run": run.info.run_id, "judged_on": days, "data_title": title, "symbol": run.data.tags["symbol"]}
        mlflow.set_tags(tags)
        heading = {"data_title": title, "days": days, "windows": len(rows)}
        print(f"evaluate: {title}, {len(rows)} windows from {days}")
        if prices := predict(runs, rows, PRICE):
            print("\nThe price of the next day, in USD; skill is against the last price")
            lines = pd.DataFrame({name: values[PRICE] for name, values in prices.items()})
            report = {name: scores.of_price(rows[PRICE], lines[name], rows["last_close"]) for name in lines}
            log(report, "regression.json", heading | {"unit": "USD"}, "mae")
            figure = charts.prices(rows[PRICE], lines.drop(columns=NAIVE[PRICE]), title)
            mlflow.log_figure(figure, "prices.png", save_kwargs={"dpi": 120})
        if directions := predict(runs, rows, DIRECTION):
            print("\nIs the price of the next day higher?")
            report = {name: scores.of_direction(rows[DIRECTION], values) for name, values in directions.items()}
            log(report, "classification.json", heading, "accuracy")
            figure = charts.confusions({name: values["confusion"] for name, values in report.items()}, title)
            mlflow.log_figure(figure, "confusion.png", save_kwargs={"dpi": 120})


if __name__ == "__main__":
    main()
