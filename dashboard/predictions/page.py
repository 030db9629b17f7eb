"""The page Predictions: its layout, its callbacks, and the download of its CSV."""

from datetime import date

import dash_mantine_components as dmc
import flask
from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html, no_update

from dashboard.cache import remember
from dashboard.components import draw, empty, figure, group, heading, loading, section
from dashboard.date_range import QUICK, read_range
from dashboard.follower import Follower, View
from dashboard.predictions.content import calendars_of, content, csv_of
from dashboard.predictions.series import series_of
from dashboard.settings import Settings
from dashboard.targets import targets_of
from forecasting.errors import UserError
from forecasting.production import REGISTERED_MODEL
from forecasting.subject import Subject

TITLE, PATH = "Predictions", "/predictions"
HEIGHTS = {"series": 380, "calendar": 200, "scatter": 340}


def layout(subject: Subject | None) -> html.Div:
    """Return the page, still without data."""
    if subject is None:
        return loading(TITLE)

    def day(id: str, label: str) -> dmc.DateInput:
        return dmc.DateInput(
            id=id, label=label, valueFormat="YYYY-MM-DD", firstDayOfWeek=1, w=130, debounce=True, disabled=True
        )

    def button(id: str, text: str, label: str | None = None) -> html.Button:
        names = {"aria-label": label, "title": label} if label else {}
        return html.Button(text, id=id, type="button", disabled=True, **names)

    controls = group(
        "Range of days, in UTC",
        day("first-day", "First day"),
        day("last-day", "Last day"),
        group(
            "Length of the range, up to its last day",
            *(button(f"quick-{days}", text) for text, days in QUICK.items()),
            className="buttons",
        ),
        group(
            "Move the range",
            button("earlier", "←", "Earlier, by the length of the range"),
            button("later", "→", "Later, by the length of the range"),
            button("newest", "Newest"),
            className="buttons",
        ),
        html.A("Download CSV", id="csv", href="/predictions.csv", className="button", download=""),
        className="controls",
    )

    def figures(kind: str, className: str) -> html.Div:
        places = [figure(f"{kind}-{target.name}", target.label, HEIGHTS[kind]) for target in targets_of(subject)]
        return html.Div(places, className=className)

    content = [
        section("Recorded and predicted", figures("series", "rows"), id="series"),
        section("How good is that?", html.Div(id="measures"), id="measures"),
        section("Error by day", figures("calendar", "columns"), id="calendar"),
        section("Predicted against recorded", figures("scatter", "columns"), id="scatter"),
    ]
    return html.Div(
        [
            heading(TITLE, id="predictions-lead"),
            controls,
            html.P(id="range-words", className="caution", role="alert"),
            html.Div(id="predictions-empty", **{"aria-live": "polite"}),
            html.Div(content, id="predictions-content"),
            dcc.Store(id="range"),
            dcc.Store(id="predictions-figures"),
        ]
    )


def register(app: Dash, follower: Follower, settings: Settings) -> None:
    """Connect the page."""
    series = remember(2, series_of)
    calendars = remember(20, lambda view, year: calendars_of(series(view), year))
    contents = remember(96, lambda view, shown: content(series(view), shown, calendars(view, shown.last.year)))
    downloads = remember(4, csv_of)

    def limits_of(view: View) -> tuple[date, date]:
        index = view.table.frame.index
        return index[0].date(), index[-1].date()

    @app.callback(
        Output("predictions-lead", "children"),
        Output("measures", "children"),
        Output("predictions-figures", "data"),
        Output("predictions-empty", "children"),
        Output("predictions-content", "hidden"),
        Output("range", "data"),
        Output("csv", "href"),
        Input("url", "search"),
        Input("view-key", "data"),
        State("url", "pathname"),
    )
    def show(search: str | None, _, path: str):
        view = follower.view
        if view is None or path.rstrip("/") != PATH:  # the address of another page, a moment before this one goes
            return (no_update,) * 7
        limits = limits_of(view)
        about = {"min": str(limits[0]), "max": str(limits[1]), "newest": str(read_range("", limits).first)}
        try:
            shown = read_range(search, limits)
        except UserError as error:
            return "", no_update, no_update, empty(f"{error} Choose other days above."), True, about, no_update
        return *contents(view, shown), None, False, about, f"/predictions.csv{shown.query}"

    draw(app, "predictions-figures")
    app.clientside_callback(ClientsideFunction("range", "show"), Input("range", "data"))

    @app.server.get("/predictions.csv")
    def download():
        view = follower.view
        if view is None:
            return flask.Response(f"{follower.problem}\n", 503, mimetype="text/plain")
        try:
            shown = read_range(flask.request.query_string.decode("ascii", "replace"), limits_of(view))
        except UserError as error:
            return flask.Response(f"{error}\n", 400, mimetype="text/plain")
        text = downloads(view, shown)
        name = f"{REGISTERED_MODEL}_{shown.first}_{shown.last}_version_{view.production.version}.csv"
        return flask.Response(
            text, mimetype="text/csv", headers={"Content-Disposition": f'attachment; filename="{name}"'}
        )
