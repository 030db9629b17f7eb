"""The dashboard: recorded and predicted wind and solar power, with the model that is in production.

    python dashboard/app.py

``MLFLOW_TRACKING_URI`` says where the model is. The pages follow the production alias: a promotion or a rollback shows
within seconds, without a restart.
"""

import argparse
import logging
import os
import sys
from datetime import timedelta
from pathlib import Path

# A server that is away is asked again every few seconds anyway; MLflow's own seven tries would hide it for minutes.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
# The report's folder holds what both share, the way to the model and the figures.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import flask
import pandas as pd
from dash import Dash, Input, Output, State, dcc, html, no_update
from live import Live, View

from report.figures import NAMES, by_year, recorded_and_predicted
from report.production import TARGETS, server_address

HOURLY_DAYS = 92  # a longer range is drawn as daily means: a screen has no room for more points


def model_card(view: View) -> list:
    """Return what there is to say of the model in production."""
    production = view.production
    errors = ", ".join(f"{NAMES[target]} {production.holdout[target]:.2f} GW" for target in TARGETS)
    rows = {
        "Model": f"wind_solar, version {production.version} ({production.kind})",
        "Alias": "production",
        "Trained": f"{production.trained_at:%Y-%m-%d %H:%M} UTC",
        "Trained on": production.trained_on,
        "Error (MAE) on the holdout": errors,
        "Judged on": production.judged_on,
        "Run": html.A(production.run_id, href=production.run_url, target="_blank"),
    }
    return [html.Dl([part for name, text in rows.items() for part in (html.Dt(name), html.Dd(text))])]


def range_figures(view: View, start: pd.Timestamp, end: pd.Timestamp) -> tuple[list, str]:
    """Return the figures of the hours from ``start`` up to ``end`` (UTC, exclusive), and a sentence on the error."""
    chosen = (view.table.index >= start) & (view.table.index < end)
    rows, predicted = view.table[chosen], view.predicted[chosen]
    if rows.empty:
        return [], "The data hold no hour of this range. Choose dates within the range that is stated at the top."
    recorded = rows[TARGETS].where(~rows["repaired"], axis=0)
    errors = (predicted - recorded).abs().mean()
    sentence = f"{len(rows)} hours. Mean absolute error: " + ", ".join(
        f"{NAMES[target]} {errors[target]:.2f} GW" for target in TARGETS
    )
    if seen := (rows["split"] == "train").sum():
        sentence += f". The model has seen {seen} of these hours in its training"
    daily = end - start > pd.Timedelta(days=HOURLY_DAYS)
    if daily:
        recorded, predicted = recorded.resample("D").mean(), predicted.resample("D").mean()
    return [
        dcc.Graph(
            id=f"range-{target}",
            figure=recorded_and_predicted(
                recorded[target], predicted[target], target, NAMES[target] + (" (daily means)" if daily else "")
            ),
        )
        for target in TARGETS
    ], sentence + "."


def create_app(live: Live) -> Dash:
    """Return the app that shows what ``live`` has."""
    app = Dash(__name__, title="Wind and solar power in Germany", update_title=None)

    app.layout = html.Main(
        [
            html.H1("Wind and solar power in Germany"),
            html.P(id="source", className="source"),
            html.P(id="problem", className="problem", role="alert"),
            html.H2("The model in production"),
            html.Div(id="model"),
            html.H2("Recorded and predicted"),
            html.Label("First and last day (UTC)", htmlFor="dates"),
            dcc.DatePickerRange(id="dates", display_format="YYYY-MM-DD", first_day_of_week=1),
            html.P(id="error"),
            dcc.Loading(html.Div(id="range"), delay_show=400),
            html.H2("By year"),
            html.Div(id="years"),
            dcc.Interval(id="tick", interval=1000 * live.seconds),
            dcc.Store(id="shown"),
        ]
    )

    @app.callback(
        Output("shown", "data"), Output("problem", "children"), Input("tick", "n_intervals"), State("shown", "data")
    )
    def follow(_, shown):
        view = live.view
        current = view and [view.production.version, view.table_run]
        return no_update if current == shown else current, live.problem

    @app.callback(
        Output("model", "children"), Output("source", "children"), Output("years", "children"), Input("shown", "data")
    )
    def show_model(_):
        view = live.view
        if view is None:
            return [], "Nothing to show yet.", []
        index = view.table.index
        source = (
            f"Data: {view.table.attrs['source']}, from {index[0]:%Y-%m-%d %H:%M} to {index[-1]:%Y-%m-%d %H:%M} UTC."
        )
        years = [dcc.Graph(id=f"years-{target}", figure=by_year(view.table, target)) for target in TARGETS]
        return model_card(view), source, years

    @app.callback(
        Output("dates", "min_date_allowed"),
        Output("dates", "max_date_allowed"),
        Output("dates", "start_date"),
        Output("dates", "end_date"),
        Input("shown", "data"),
        State("dates", "start_date"),
        State("dates", "end_date"),
    )
    def limit_dates(_, start, end):
        if live.view is None:
            return None, None, None, None
        first, last = live.view.table.index[0].date(), live.view.table.index[-1].date()
        if not (start and end and str(first) <= start[:10] <= end[:10] <= str(last)):
            start, end = max(first, last - timedelta(days=13)), last
        return first, last, start, end

    @app.callback(
        Output("range", "children"),
        Output("error", "children"),
        Input("dates", "start_date"),
        Input("dates", "end_date"),
        Input("shown", "data"),
    )
    def show_range(start, end, _):
        if live.view is None or not start or not end:
            return [], "Choose a first and a last day."
        first, last = pd.Timestamp(start, tz="UTC"), pd.Timestamp(end, tz="UTC")
        return range_figures(live.view, first, last + pd.Timedelta(days=1))

    @app.server.get("/health")
    def health():
        version = live.view.production.version if live.view else None
        return flask.jsonify(model="wind_solar", version=version, problem=live.problem, mlflow=server_address())

    return app


def port(text: str) -> int:
    """Return the port as a number from 1 to 65535."""
    if text.isdecimal() and 1 <= int(text) <= 65535:
        return int(text)
    raise argparse.ArgumentTypeError(f"expected a number from 1 to 65535, found {text!r}")


def seconds(text: str) -> float:
    """Return a number of seconds from 0.1 to 3600."""
    if 0.1 <= float(text) <= 3600:
        return float(text)
    raise argparse.ArgumentTypeError(f"expected seconds from 0.1 to 3600, found {text!r}")


def main() -> None:
    """Serve the dashboard until Ctrl-C."""
    parser = argparse.ArgumentParser(description="Recorded and predicted wind and solar power.")
    parser.add_argument("--host", default=os.environ.get("DASHBOARD_HOST", "127.0.0.1"), help="default: %(default)s")
    parser.add_argument(
        "--port", type=port, default=os.environ.get("DASHBOARD_PORT", "8050"), help="default: %(default)s"
    )
    parser.add_argument(
        "--refresh", type=seconds, default=5, metavar="SECONDS", help="how often to look at MLflow (default: 5)"
    )
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    live = Live(options.refresh)
    live.start()
    create_app(live).run(host=options.host, port=options.port)


if __name__ == "__main__":
    main()
