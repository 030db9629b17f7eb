"""The predictions: recorded against predicted power for a range of days, the error, and how good that is."""

import dash_mantine_components as dmc
import flask
from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html, no_update

from dashboard.answer import csv_of, outputs
from dashboard.cache import Cache
from dashboard.comparison import KINDS, calendar_of, compare
from dashboard.figures.base import NAMES
from dashboard.hours import Hours, hours_of
from dashboard.live import Live, View
from dashboard.parts import draw, empty, figure, heading, section
from dashboard.ranges import QUICK, BadRange, Range, read_range
from dashboard.settings import Settings
from report.production import TARGETS

TITLE, PATH = "Predictions", "/predictions"
GRAPHS = [f"{kind}-{target}" for kind in KINDS for target in TARGETS]
HEIGHTS = {"series": 380, "calendar": 200, "scatter": 340}
CLICKS = [f"quick-{days}" for days in QUICK.values()] + ["earlier", "later", "newest"]


def layout() -> html.Div:
    """Return the page, still without data."""

    def day(id: str, label: str) -> dmc.DateInput:
        return dmc.DateInput(
            id=id, label=label, valueFormat="YYYY-MM-DD", firstDayOfWeek=1, clearable=False, w=130, debounce=True
        )

    def button(id: str, text: str, label: str | None = None) -> html.Button:
        return html.Button(
            text, id=id, n_clicks=0, type="button", **({"aria-label": label, "title": label} if label else {})
        )

    quick = [button(f"quick-{days}", text) for text, days in QUICK.items()]
    steps = [
        button("earlier", "←", "Earlier, by the length of the range"),
        button("later", "→", "Later, by the length of the range"),
        button("newest", "Newest"),
    ]
    controls = [
        day("first-day", "First day"),
        day("last-day", "Last day"),
        html.Div(quick, role="group", className="buttons", **{"aria-label": "Length of the range, up to its last day"}),
        html.Div(steps, role="group", className="buttons", **{"aria-label": "Move the range"}),
        html.A("Download CSV", id="csv", href="/predictions.csv", className="button", download=""),
    ]

    def pair(kind: str, className: str) -> html.Div:
        return html.Div([figure(f"{kind}-{t}", NAMES[t], HEIGHTS[kind]) for t in TARGETS], className=className)

    return html.Div(
        [
            heading(TITLE, id="predictions-lead"),
            html.Div(controls, className="controls", role="group", **{"aria-label": "Range of days, in UTC"}),
            html.Div(id="predictions-empty", **{"aria-live": "polite"}),
            html.Div(
                [
                    section("Recorded and predicted", pair("series", "rows"), id="series"),
                    section("How good is that?", html.Div(id="measures"), id="measures"),
                    section("Error by day", pair("calendar", "columns"), id="calendar"),
                    section("Predicted against recorded", pair("scatter", "columns"), id="scatter"),
                ],
                id="predictions-content",
            ),
            dcc.Store(id="range"),
            dcc.Store(id="chosen"),
            dcc.Store(id="predictions-figures"),
        ]
    )


def register(app: Dash, live: Live, settings: Settings) -> None:
    """Connect the page."""
    all_hours, years, made, downloads = Cache(2), Cache(20), Cache(96), Cache(4)

    def hours(view: View) -> Hours:
        return all_hours.get(view.key, lambda: hours_of(view))

    def make(view: View, shown: Range) -> tuple:
        year = shown.last.year
        of_year = years.get((view.key, year), lambda: calendar_of(hours(view), year))
        return outputs(compare(hours(view), shown, of_year), shown)

    @app.callback(
        Output("predictions-lead", "children"),
        Output("predictions-empty", "children"),
        Output("predictions-content", "hidden"),
        Output("range", "data"),
        Output("csv", "href"),
        Output("measures", "children"),
        Output("predictions-figures", "data"),
        *(Output(f"{graph}-words", "children") for graph in GRAPHS),
        Input("url", "search"),
        Input("view-key", "data"),
        State("url", "pathname"),
    )
    def show(search: str | None, _, path: str):
        nothing = (no_update,) * (len(GRAPHS) + 3)
        view = live.view
        if path.rstrip("/") != PATH:  # the address of another page, a moment before this one goes
            return (no_update,) * (len(GRAPHS) + 7)
        if view is None:
            return "", empty(live.problem or "The first data are being loaded."), True, None, *nothing
        limits = view.table.index[0].date(), view.table.index[-1].date()
        about = {"min": str(limits[0]), "max": str(limits[1])}
        try:
            shown = read_range(search, limits)
        except BadRange as error:
            newest = read_range("", limits)
            about |= {"first": str(newest.first), "last": str(newest.last), "days": newest.days}
            message = empty(f"{error} Choose other days above.")
            return "", message, True, about, *nothing
        about |= {"first": str(shown.first), "last": str(shown.last), "days": shown.days}
        lead, *rest = made.get((view.key, shown), lambda: make(view, shown))
        return lead, None, False, about, f"/predictions.csv{shown.query}", *rest

    draw(app, "predictions-figures", GRAPHS)
    app.clientside_callback(ClientsideFunction("range", "show"), Input("range", "data"))
    app.clientside_callback(
        ClientsideFunction("range", "choose"),
        Output("chosen", "data"),
        Input("first-day", "value"),
        Input("last-day", "value"),
        *(Input(id, "n_clicks") for id in CLICKS),
        prevent_initial_call=True,
    )

    @app.server.get("/predictions.csv")
    def download():
        view = live.view
        if view is None:
            return flask.Response(f"{live.problem}\n", 503, mimetype="text/plain")
        limits = view.table.index[0].date(), view.table.index[-1].date()
        try:
            shown = read_range(flask.request.query_string.decode("ascii", "replace"), limits)
        except BadRange as error:
            return flask.Response(f"{error}\n", 400, mimetype="text/plain")
        text = downloads.get((view.key, shown), lambda: csv_of(view, shown))
        name = f"wind_solar_{shown.first}_{shown.last}_version_{view.production.version}.csv"
        return flask.Response(
            text, mimetype="text/csv", headers={"Content-Disposition": f'attachment; filename="{name}"'}
        )
