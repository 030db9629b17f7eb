"""Write the report of one week with the model that is in production.

    python report/create_report.py
    python report/create_report.py --week 2015-W31 --output DIR

The page holds everything that it shows, so it opens without a network. It is also logged to MLflow, as an artifact of a
run in the experiment ``weekly_report``.
"""

import argparse
import os
import re
import sys
from datetime import UTC, datetime
from pathlib import Path

# A server that is away should be named at once; MLflow's own seven tries take four minutes.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")

import jinja2
import mlflow
import pandas as pd
import plotly.offline
from figures import NAMES, by_year, recorded_and_predicted
from mlflow.exceptions import MlflowException
from production import TARGETS, NotThere, load, newest_table_run, production_version, read_table, server_address

HERE = Path(__file__).resolve().parent
WEEK = pd.Timedelta(weeks=1)


def first_hour(week: str) -> pd.Timestamp:
    """Return the first hour (UTC) of an ISO week such as 2015-W31; raises argparse.ArgumentTypeError."""
    match = re.fullmatch(r"(\d{4})-W(\d{2})", week)
    try:
        year, number = (int(part) for part in match.groups())
        return pd.Timestamp(datetime.fromisocalendar(year, number, 1), tz="UTC")
    except (AttributeError, ValueError):
        raise argparse.ArgumentTypeError(f"expected an ISO week such as 2015-W31, found {week!r}") from None


def name_of(start: pd.Timestamp) -> str:
    """Return the name of the ISO week that begins at ``start``."""
    year, number, _ = start.isocalendar()
    return f"{year}-W{number:02d}"


def last_complete_week(index: pd.DatetimeIndex) -> pd.Timestamp:
    """Return the first hour of the last ISO week of which all 168 hours are in the index; raises NotThere."""
    end = index[-1] + pd.Timedelta(hours=1)
    start = (end - pd.Timedelta(days=end.weekday())).floor("D") - WEEK
    if start < index[0]:
        raise NotThere(f"The data, from {index[0]} to {index[-1]}, hold no complete week to report on. Give more data.")
    return start


def select(table: pd.DataFrame, start: pd.Timestamp) -> pd.DataFrame:
    """Return the hours of the week that begins at ``start``; raises NotThere if there are none."""
    week = table[start : start + WEEK - pd.Timedelta(hours=1)]
    if week.empty:
        raise NotThere(
            f"Week {name_of(start)} is not in the data, which reach from {table.index[0]} to {table.index[-1]}. "
            f"Choose a week from {name_of(table.index[0].floor('D') - pd.Timedelta(days=table.index[0].weekday()))} to "
            f"{name_of(table.index[-1].floor('D') - pd.Timedelta(days=table.index[-1].weekday()))}."
        )
    return week


def render(table: pd.DataFrame, table_run: str, production, start: pd.Timestamp, made_at: datetime) -> tuple[str, dict]:
    """Return the page, and the model's MAE of the week in GW by target. ``start`` is the week's first hour in UTC."""
    week = select(table, start)
    power = production.predict(week)
    measured = ~week["repaired"]
    following = table[start + WEEK : start + 2 * WEEK - pd.Timedelta(hours=1)]
    errors = {target: (power[target] - week[target])[measured].abs().mean() for target in TARGETS}

    figures = {"by_year": [by_year(table, target) for target in TARGETS]}
    figures["week"] = [
        recorded_and_predicted(week[target].where(measured), power[target], target, NAMES[target]) for target in TARGETS
    ]
    figures["following"] = []
    if len(following):
        forecast = production.predict(following)
        figures["following"] = [
            recorded_and_predicted(None, forecast[target], target, NAMES[target]) for target in TARGETS
        ]
    html = {
        part: [
            figure.to_html(full_html=False, include_plotlyjs=False, config={"displaylogo": False}, div_id=f"{part}-{n}")
            for n, figure in enumerate(several)
        ]
        for part, several in figures.items()
    }
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    page = environment.get_template("template.html").render(
        week=name_of(start),
        hours=week,
        measured=int(measured.sum()),
        trained=int((week["split"] == "train").sum()),
        following=following,
        following_name=name_of(start + WEEK),
        source=table.attrs["source"],
        first=table.index[0],
        last=table.index[-1],
        table_run=table_run,
        production=production,
        rows=[
            {
                "name": NAMES[target],
                "mean": week[target].mean(),
                "highest": week[target].max(),
                "predicted": power[target].mean(),
                "mae": errors[target],
                "usual": production.holdout[target],
            }
            for target in TARGETS
        ],
        figures=html,
        plotly=plotly.offline.get_plotlyjs(),
        made_at=made_at,
        server=server_address(),
    )
    return page, errors


def write(page: str, path: Path) -> None:
    """Write the page beside its place and rename it, so that a reader never meets half a page."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.part")
    beside.write_text(page, encoding="utf-8")
    beside.replace(path)


def main() -> None:
    """Write the report and log it."""
    parser = argparse.ArgumentParser(description="Write the report of one week with the model in production.")
    parser.add_argument("--week", type=first_hour, help="ISO week, such as 2015-W31 (default: the last complete one)")
    parser.add_argument(
        "--output",
        type=Path,
        default=os.environ.get("REPORT_OUTPUT", HERE / "output"),
        help="folder (default: REPORT_OUTPUT, else report/output)",
    )
    options = parser.parse_args()
    try:
        version = production_version()
        table_run = newest_table_run()
        table = read_table(table_run)
        start = options.week if options.week is not None else last_complete_week(table.index)
        select(table, start)  # before the model is loaded, which takes seconds
        production = load(version)
        page, errors = render(table, table_run, production, start, datetime.now(UTC))
        path = options.output / f"{name_of(start)}.html"
        write(page, path)
        mlflow.set_experiment("weekly_report")
        with mlflow.start_run(run_name=name_of(start)):
            mlflow.set_tags({"step": "report", "week": name_of(start), "model_version": version, "data_run": table_run})
            mlflow.log_metrics({f"mae_{target}": error for target, error in errors.items() if pd.notna(error)})
            mlflow.log_artifact(str(path))
    except (NotThere, OSError) as error:
        sys.exit(f"report: {error}")
    except MlflowException as error:
        reason = str(error).splitlines()[0]
        sys.exit(f"report: the tracking server {server_address()} or its artifact store did not do its part: {reason}")
    except KeyError as error:
        sys.exit(
            f"report: version {version} of wind_solar takes a column that the table lacks: {error}. Train it again."
        )
    print(f"report: {path.resolve()}")
    print(f"report: wind_solar version {version} ({production.kind}) on {table.attrs['source']}")


if __name__ == "__main__":
    main()
