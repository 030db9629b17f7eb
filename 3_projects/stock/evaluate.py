"""Judge the trained models on the holdout, which no training has seen, beside the naive forecasts.

    mlflow run 3_projects/stock -e evaluate --env-manager local

Of the price: RMSE and MAE in money against the last price (regression.json, prices.png). Of the direction: a
classification report against the commoner class and against "same as yesterday" (classification.json, confusion.png).
Nothing is registered here; register asks the gate.
"""

import argparse
import sys

import charts
import measures
import mlflow
import pandas as pd
from approaches import APPROACHES, DIRECTION, PRICE
from handover import HandoverError, find_candidates, find_run, model_of, read_table
from mlflow_ftp.preflight import preflight
from windows import closes_of

NAIVE = {PRICE: ["last_close"], DIRECTION: ["majority", "same_as_yesterday"]}


def predict(runs: dict, rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return what each model predicts, by its name."""
    found = {}
    for step, run in runs.items():
        model = mlflow.pyfunc.load_model(model_of(run))
        found[step.removeprefix("stock.")] = model.predict(rows[closes_of(rows)])
    return found


def judge_prices(rows: pd.DataFrame, predicted: dict[str, pd.DataFrame]) -> dict[str, dict]:
    """Return the errors of each forecast of the price, models and naive ones."""
    forecasts = {name: values[PRICE] for name, values in predicted.items()}
    forecasts |= {name: rows[name] for name in NAIVE[PRICE]}
    return {name: measures.of_price(rows[PRICE], values, rows["last_close"]) for name, values in forecasts.items()}


def judge_directions(rows: pd.DataFrame, predicted: dict[str, pd.DataFrame]) -> dict[str, dict]:
    """Return the classification report of each forecast of the direction, models and naive ones."""
    forecasts = {name: (values[DIRECTION], values["up_probability"]) for name, values in predicted.items()}
    forecasts |= {name: (rows[name], None) for name in NAIVE[DIRECTION]}
    return {
        name: measures.of_direction(rows[DIRECTION], *values)
        | {"confusion": measures.confusion(rows[DIRECTION], values[0])}
        for name, values in forecasts.items()
    }


def keep(found: dict[str, dict], file: str, heading: dict, best: str) -> None:
    """Print a table of the measures, the best first, and log it with each model's own as metrics of the run."""
    mlflow.log_dict(heading | {"forecasts": found}, file)
    frame = pd.DataFrame(found).T.drop(columns="confusion", errors="ignore").astype(float)
    print(frame.sort_values(best, ascending=best != "accuracy").round(4).to_string(na_rep="-"))
    for name, values in frame.iterrows():
        mlflow.log_metrics({f"{measure}_{name}": value for measure, value in values.dropna().items()})


def main() -> None:
    """Judge the models and log the reports on the active run."""
    parser = argparse.ArgumentParser(description="Judge the trained models on the holdout.")
    parser.add_argument("--candidates", default="newest", help="runs of train with commas between, or newest")
    parser.add_argument("--table-run", default="newest", help="run of transform whose holdout is used")
    options = parser.parse_args()
    preflight("stock")
    with mlflow.start_run():
        mlflow.set_tag("step", "stock.evaluate")
        try:
            run = find_run(options.table_run, "stock.transform")
            runs = find_candidates(options.candidates, run, [f"stock.{name}" for name in APPROACHES])
            table = read_table(run, "table.parquet")
        except HandoverError as error:
            mlflow.set_tag("error", str(error))
            sys.exit(f"evaluate: {error}")
        rows = table[table["split"] == "holdout"]
        days = f"{rows.index[0]:%Y-%m-%d} to {rows.index[-1]:%Y-%m-%d}"
        mlflow.set_tags(
            {"data_run": run.info.run_id, "judged_on": days} | {key: run.data.tags[key] for key in ("symbol", "source")}
        )
        about = {"source": table.attrs["source"], "days": days, "windows": len(rows)}
        print(f"evaluate: {about['source']}, {len(rows)} windows from {days}")
        predicted = predict(runs, rows)
        prices, directions = (
            {name: values for name, values in predicted.items() if APPROACHES[name].target == target}
            for target in (PRICE, DIRECTION)
        )
        if prices:
            print("\nThe price of the next day, in USD; skill is against the last price")
            keep(judge_prices(rows, prices), "regression.json", about | {"unit": "USD"}, "mae")
            lines = pd.DataFrame({name: values[PRICE] for name, values in prices.items()})
            mlflow.log_figure(
                charts.prices(rows[PRICE], lines, about["source"]), "prices.png", save_kwargs={"dpi": 120}
            )
        if directions:
            print("\nIs the price of the next day higher?")
            found = judge_directions(rows, directions)
            keep(found, "classification.json", about, "accuracy")
            drawn = charts.confusions({name: values["confusion"] for name, values in found.items()}, about["source"])
            mlflow.log_figure(drawn, "confusion.png", save_kwargs={"dpi": 120})


if __name__ == "__main__":
    main()
