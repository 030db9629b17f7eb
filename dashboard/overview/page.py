"""The page Overview: its layout and its callbacks."""

import dash_mantine_components as dmc
from dash import ClientsideFunction, Dash, Input, Output, dcc, html, no_update

from dashboard.cache import remember
from dashboard.components import draw, figure, group, heading, loading, section
from dashboard.figure_style import MONTHS
from dashboard.follower import Follower
from dashboard.overview.content import content
from dashboard.settings import Settings
from dashboard.targets import targets_of
from forecasting.subject import Subject

TITLE, PATH = "Overview", "/"
FIRST_DAYS = [1, 32, 61, 92, 122, 153, 183, 214, 245, 275, 306, 336]  # of the months of a leap year


def layout(subject: Subject | None) -> html.Div:
    """Return the page, still without data."""
    if subject is None:
        return loading(TITLE)
    slider = dmc.RangeSlider(
        id="days",
        min=1,
        max=366,
        minRange=6,
        value=[1, 366],
        marks=[{"value": day, "label": month} for month, day in zip(MONTHS, FIRST_DAYS, strict=True)],
        label=None,
        color="gray",
        thumbFromLabel="First day of the year that is shown",
        thumbToLabel="Last day of the year that is shown",
        mb="xl",
    )
    figures = [figure(f"years-{target.name}", target.label, 320) for target in targets_of(subject)]
    months = html.Span("Months shown", className="label")
    shown = group("Part of the year that is shown", months, slider, className="days")
    words = html.P("Means of the seven days that end on each day, all years on one calendar.")
    records = section("Records", html.Div(id="records"), id="records")
    repairs = section("Missing or repaired hours", html.Div(id="repairs"), id="repairs")
    return html.Div(
        [
            heading(TITLE, id="overview-lead"),
            section("Last hour, week and year", html.Div(id="now", className="columns"), id="now"),
            section("The weeks of every year", words, html.Div(figures, className="columns"), shown, id="years"),
            html.Div([records, repairs], className="columns"),
            section("Where the data come from", html.Div(id="origin"), id="origin"),
            dcc.Store(id="overview-figures"),
        ]
    )


def register(app: Dash, follower: Follower, settings: Settings) -> None:
    """Connect the page."""
    contents = remember(2, content)

    @app.callback(
        Output("overview-lead", "children"),
        Output("now", "children"),
        Output("overview-figures", "data"),
        Output("records", "children"),
        Output("repairs", "children"),
        Output("origin", "children"),
        Input("view-key", "data"),
    )
    def show(_):
        return contents(follower.view) if follower.view else (no_update,) * 6

    draw(app, "overview-figures", Input("days", "value"))
    app.clientside_callback(ClientsideFunction("days", "read"), Output("days", "value"), Input("days", "id"))
    app.clientside_callback(ClientsideFunction("days", "write"), Input("days", "value"), prevent_initial_call=True)
