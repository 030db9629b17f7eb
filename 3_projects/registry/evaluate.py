"""Compare all candidates, the model in production and the naive forecasts on the same rows of the holdout.

    mlflow run 3_projects/registry -e evaluate --env-manager local

Nothing is registered and no alias is moved. All figures are in evaluation.json of this run: mean absolute error, root
mean squared error, bias and r2 of each target, in all, by season, and by hour of the day (UTC). Two plots show them.
"""

import argparse
from collections.abc import Sequence

import mlflow
import pandas as pd
import transitions
from candidates import (
    choose_candidates,
    choose_table,
    forecast,
    model_of,
    naive_forecasts,
    read_table,
    recorded,
    seen_by,
)
from command import command
from errors import METRICS, breakdown
from plots import by_hour, by_season
from rules import Rules, load


def collect(name: str, runs: list, table: pd.DataFrame, truth: pd.DataFrame, rules: Rules, digest: str) -> dict:
    """Return the predictions of each forecast by its title, and print which model gives none, and why."""
    asked = {f"{run.data.tags.get('step', 'unknown')} (run {run.info.run_id[:6]})": model_of(run) for run in runs}
    if version := transitions.read(name).production:
        about = mlflow.MlflowClient().get_model_version(name, version)
        # A candidate that is in production has one line.
        asked = {title: uri for title, uri in asked.items() if uri != about.source}
        asked[f"production (version {version})"] = f"models:/{name}/{version}"
        if seen := seen_by(about.run_id, digest, truth.index).sum():
            print(f"evaluate: version {version} in production was trained on {seen} of these {len(truth)} rows")
    found = {}
    for title, uri in asked.items():
        answer = forecast(uri, table, truth)
        if answer.values is None:
            print(f"evaluate: {title} gives no predictions: {answer.problem}")
        else:
            found[title] = answer.values
    return found | naive_forecasts(table, truth, rules)


def show(evaluation: pd.DataFrame, rules: Rules) -> None:
    """Print the metrics of each target, and its mean absolute error by season and by hour."""
    for target, unit in rules.targets.items():
        rows = evaluation[evaluation["target"] == target]
        all_rows = rows[rows["by"] == "all"].set_index("forecast")[METRICS]
        order = all_rows.sort_values("mae").index
        print(f"\n{target}, in {unit}")
        print(all_rows.loc[order].round(3).to_string(index_names=False))
        for by in ("season", "hour"):
            part = rows[rows["by"] == by]
            if len(part):
                wide = part.pivot(index="forecast", columns="part", values="mae")[list(dict.fromkeys(part["part"]))]
                print(f"MAE by {by}{' (UTC)' if by == 'hour' else ''}")
                print(
                    wide.loc[order]
                    .rename_axis(columns=None)
                    .to_string(index_names=False, float_format="{:.1f}".format if by == "hour" else "{:.2f}".format)
                )


def evaluate(options: argparse.Namespace) -> None:
    """Print and log the comparison."""
    name, rules = options.registered_model, load(options.rules)
    transitions.mend(name)
    data = choose_table(options.data_run)
    digest = data.data.tags["table_sha256"]
    runs = choose_candidates(options.candidates, digest)
    table = read_table(data.info.run_id)
    truth = recorded(table, list(rules.targets))
    print(
        f"evaluate: {len(truth)} rows of {table.attrs.get('source', 'unknown')}, {truth.index[0]} to {truth.index[-1]}"
    )
    found = collect(name, runs, table, truth, rules, digest)
    parts = [breakdown(values, truth, rules.seasons).assign(forecast=title) for title, values in found.items()]
    evaluation = pd.concat(parts, ignore_index=True)
    show(evaluation, rules)
    mlflow.set_tag("data_run", data.info.run_id)
    mlflow.log_table(evaluation, "evaluation.json")
    for file, figure in (("mae_by_season.png", by_season), ("mae_by_hour.png", by_hour)):
        if (drawn := figure(evaluation, rules.targets)) is not None:
            mlflow.log_figure(drawn, file, save_kwargs={"dpi": 120})


def main(arguments: Sequence[str] | None = None) -> None:
    """Evaluate, as a step of its own."""
    parser = argparse.ArgumentParser(description="Compare candidates, production and naive forecasts on the holdout.")
    parser.add_argument("--candidates", default="newest", help="run ids with commas between, or newest")
    parser.add_argument("--data-run", default="newest", help="run of 3_projects/data whose holdout is used, or newest")
    parser.add_argument("--rules", default="rules.yaml", help="a file beside this one, or from the top of the project")
    parser.add_argument("--registered-model", default="wind_solar", help="default: %(default)s")
    options = parser.parse_args(arguments)
    with command("evaluate"):
        evaluate(options)


if __name__ == "__main__":
    main()
