"""Compare the challengers, the model in production and the naive forecasts on the same rows of the holdout.

    mlflow run 3_projects/registry -e evaluate --env-manager local

Nothing is registered and no alias is moved. All figures are in evaluation.json of this run: mean absolute error, root
mean squared error, bias and r2 of each target, in all, by season, and by hour of the day (UTC). Two plots show them.
"""

import argparse
from collections.abc import Sequence

import mlflow
import pandas as pd
from decisions import read_ledger
from holdout import Holdout, add_options, forecast, read_holdout
from mlflow.entities import Run
from rules import season_of
from thresholds import load

from forecasting.entry_point import command, next_command
from forecasting.metrics import METRICS, score
from forecasting.plots import draw_errors
from forecasting.tracking import find_challengers, model_of, project_of

PLOTS = {
    "season": {"kind": "bar", "width": 0.8, "edgecolor": "white"},
    "hour": {"style": ["o-", "s-", "^-", "D-", "v-", "P-", "X-", "*-"], "markersize": 5},
}


def collect(name: str, runs: list[Run], holdout: Holdout) -> dict[str, pd.DataFrame]:
    """Return each forecast by its title, one for a challenger in production; print which gives none, and why."""
    models = {f"{project_of(run)} (run {run.info.run_id[:6]})": model_of(run) for run in runs}
    if version := read_ledger(name).production:
        about = mlflow.MlflowClient().get_model_version(name, version)
        models = {title: uri for title, uri in models.items() if uri != about.source}
        models[f"production (version {version})"] = f"models:/{name}/{version}"
        if seen := holdout.seen_by(about.run_id).sum():
            rows = len(holdout.actuals)
            print(f"evaluate: version {version} in production was trained on {seen} of these {rows} rows")
    forecasts = forecast(models, holdout)
    for title, about in forecasts.items():
        if about.values is None:
            print(f"evaluate: {title} gives no predictions: {about.problem}")
    return {title: about.values for title, about in forecasts.items() if about.values is not None} | holdout.baselines


def breakdown(forecast: pd.DataFrame, actuals: pd.DataFrame, seasons: dict[str, list[int]]) -> pd.DataFrame:
    """Return the metrics of each target on all rows, by season, and by hour of the day (UTC).

    Columns: ``target``, ``by`` (all, season or hour), ``part``, ``rows`` (their number), and the metrics in the
    target's unit.
    """
    index, rows = actuals.index, []
    groupings = {"all": pd.Series("all", index), "season": season_of(index, seasons)}
    if index.hour.nunique() > 1:  # daily values have no hours
        groupings["hour"] = pd.Series(index.strftime("%H"), index)
    for by, part_of in groupings.items():
        for part in seasons if by == "season" else sorted(set(part_of)):
            chosen = part_of == part
            for target in actuals.columns if chosen.any() else ():
                scores = score(actuals.loc[chosen, target], forecast.loc[chosen, target])
                rows.append({"target": target, "by": by, "part": part, "rows": int(chosen.sum())} | scores)
    return pd.DataFrame(rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print, draw and log the comparison."""
    parser = argparse.ArgumentParser(description="Compare challengers, production and naive forecasts on the holdout.")
    add_options(parser)
    with command("evaluate", parser, arguments) as options:
        holdout = read_holdout(options.data_run, load(options.rules))
        runs = find_challengers(options.challengers, holdout.table.digest, next_command("lr"))
        print(f"evaluate: {len(holdout.actuals)} rows of {holdout.title}")
        forecasts = collect(options.registered_model, runs, holdout)
        targets, seasons = holdout.thresholds.targets, holdout.thresholds.seasons
        evaluation = pd.concat(
            [breakdown(values, holdout.actuals, seasons).assign(forecast=title) for title, values in forecasts.items()],
            ignore_index=True,
        )
        mlflow.set_tag("data_run", holdout.table.run_id)
        mlflow.log_table(evaluation, "evaluation.json")
        for target, unit in targets.items():
            rows = evaluation[(evaluation["target"] == target) & (evaluation["by"] == "all")]
            print(f"\n{target}, in {unit}")
            print(rows.set_index("forecast")[METRICS].sort_values("mae").round(3).to_string(index_names=False))
        for by, style in PLOTS.items():
            if len(rows := evaluation[evaluation["by"] == by]):
                mlflow.log_figure(draw_errors(rows, targets, **style), f"mae_by_{by}.png", save_kwargs={"dpi": 120})


if __name__ == "__main__":
    main()
