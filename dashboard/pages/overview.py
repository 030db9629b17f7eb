"""The overview: now, this week and this year against former years, the weeks of every year, records, and the data."""

import dash_mantine_components as dmc
from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html, no_update

from dashboard.cache import Cache
from dashboard.digest import content
from dashboard.figures.base import MONTHS, NAMES
from dashboard.live import Live
from dashboard.parts import draw, empty, figure, heading, section
from dashboard.settings import Settings
from report.production import TARGETS

TITLE, PATH = "Overview", "/"
FIRSTS = [1, 32, 61, 92, 122, 153, 183, 214, 245, 275, 306, 336]  # their first days in a leap year


def layout() -> html.Div:
    """Return the page, still without data."""
    slider = dmc.RangeSlider(
        id="days",
        min=1,
        max=366,
        minRange=6,
        value=[1, 366],
        marks=[{"value": day, "label": month} for month, day in zip(MONTHS, FIRSTS, strict=True)],
        label=None,
        color="gray",
        thumbFromLabel="First day of the year that is shown",
        thumbToLabel="Last day of the year that is shown",
        mb="xl",
    )
    return html.Div(
        [
            heading(TITLE, id="overview-lead"),
            html.Div(id="overview-empty"),
            html.Div(
                [
                    section("Now, this week, this year", html.Div(id="now", className="columns"), id="now"),
                    section(
                        "The weeks of every year",
                        html.P("Means of the seven days that end on each day, all years on one calendar."),
                        html.Div(
                            [figure(f"years-{target}", NAMES[target], 320) for target in TARGETS], className="columns"
                        ),
                        html.Div(
                            [html.Span("Months shown", className="label"), slider],
                            className="days",
                            role="group",
                            **{"aria-label": "Part of the year that is shown"},
                        ),
                        id="years",
                    ),
                    html.Div(
                        [
                            section("Records", html.Div(id="records"), id="records"),
                            section("Missing or repaired hours", html.Div(id="repairs"), id="repairs"),
                        ],
                        className="columns",
                    ),
                    section("Where the data come from", html.Div(id="origin"), id="origin"),
                ],
                id="overview-content",
            ),
            dcc.Store(id="overview-figures"),
        ]
    )


def register(app: Dash, live: Live, settings: Settings) -> None:
    """Connect the page."""
    made = Cache(2)

    @app.callback(
        Output("overview-lead", "children"),
        Output("now", "children"),
        Output("overview-figures", "data"),
        *(Output(f"years-{target}-words", "children") for target in TARGETS),
        Output("records", "children"),
        Output("repairs", "children"),
        Output("origin", "children"),
        Output("overview-empty", "children"),
        Output("overview-content", "hidden"),
        Input("view-key", "data"),
    )
    def show(_):
        view = live.view
        if view is None:
            return *(no_update,) * 8, empty(live.problem or "The first data are being loaded."), True
        return *made.get(view.key, lambda: content(view, settings)), None, False

    draw(app, "overview-figures", [f"years-{target}" for target in TARGETS], Input("days", "value"))
    app.clientside_callback(
        ClientsideFunction("days", "follow"),
        Output("days", "value"),
        Input("url", "search"),
        Input("days", "value"),
        State("url", "pathname"),
    )
