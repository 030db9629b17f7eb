"""The page of the next days: the weather forecast through the model in production, beside measured and published power.

Off unless the dashboard is started with ``--live-data``.
"""

import dash_mantine_components as dmc
from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html, no_update

from dashboard.cache import remember
from dashboard.components import draw, empty, figure, group, heading, section, table
from dashboard.follower import Follower
from dashboard.next_days.content import content
from dashboard.next_days.feed import Feed
from dashboard.next_days.outlook import TARGETS
from dashboard.settings import Settings
from forecasting.subject import Subject

TITLE, PATH = "Next days", "/next-days"
LICENCE = "https://creativecommons.org/licenses/by/4.0/"


def layout(subject: Subject | None) -> html.Div:
    """Return the page, still without data."""
    choices = [{"value": "power", "label": "Power"}, {"value": "shape", "label": "Shape"}]
    mode = dmc.SegmentedControl(id="next-days-mode", value="power", data=choices)
    lead = "Three days back and three days ahead, by the hour (UTC)."
    shape = "“Shape” divides each line by its own mean over the measured hours, so that its level does not count."
    figures = [figure(f"next-days-{target.name}", target.label, 340) for target in TARGETS]
    modes, words = group("What the figures show", mode), html.P(shape, className="detail")
    ages, credit = html.Div(id="next-days-ages"), html.P(attribution(), style={"marginTop": "0.75rem"})
    content = [
        section("Measured, published, predicted", modes, words, *figures, id="next-days-lines"),
        section("Errors so far", html.Div(id="next-days-errors"), id="next-days-errors-part"),
        section("How to read this", html.Ul(id="next-days-caveats"), id="next-days-reading"),
        section("Where it comes from", ages, credit, id="next-days-origin"),
    ]
    return html.Div(
        [
            heading(TITLE, lead),
            html.Div(id="next-days-notices", role="status", style={"marginTop": "0.75rem"}),
            html.Div(content, id="next-days-content", hidden=True),
            dcc.Store(id="next-days-status"),
            dcc.Store(id="next-days-figures"),
        ]
    )


def attribution() -> list:
    """Return the credit that both licences ask for, and what was done to the data."""
    return [
        html.A("Weather data by Open-Meteo.com", href="https://open-meteo.com/"),
        ", averaged over the country; power by ",
        html.A("Energy-Charts.info", href="https://www.energy-charts.info/"),
        " (Fraunhofer ISE), averaged by the hour. Both are under ",
        html.A("CC BY 4.0", href=LICENCE),
        ".",
    ]


def off() -> html.Div:
    """Return how to switch the page on."""
    why = (
        "Live data are off. This page would ask two services on the internet, Open-Meteo for the weather and "
        "Energy-Charts for the power; the dashboard does that only if you say so. Start it with:"
    )
    return empty(why, "python dashboard/app.py --live-data")


def register(app: Dash, follower: Follower, settings: Settings) -> None:
    """Connect the page; start asking the services if live data are wanted."""
    if not settings.live_data:

        @app.callback(Output("next-days-notices", "children"), Input("next-days-notices", "id"))
        def say_how(_):
            return off()

        return
    feed = Feed(settings, follower)
    feed.start()
    contents = remember(4, lambda state, mode: content(state, mode, feed.now()))

    @app.callback(
        Output("next-days-status", "data"),
        Output("next-days-notices", "children"),
        Output("next-days-ages", "children"),
        Output("next-days-content", "hidden"),
        Input("tick", "n_intervals"),
        State("next-days-status", "data"),
    )
    def follow(_, told):
        key, problem, now = feed.state and feed.state.key, feed.state and feed.state.problem, feed.now()
        said = [sentence for sentence in (*(source.notice(now) for source in feed.sources), problem) if sentence]
        rows = [[source.name.capitalize(), source.where, source.age(now)] for source in feed.sources]
        if [key, said, rows] == told:
            return (no_update,) * 4
        lines = [html.P(line, className="caution") for line in said]
        sources = table("How old the answers are that are shown", ["What", "Where from", "Age"], rows)
        return [key, said, rows], lines, sources, key is None

    @app.callback(
        Output("next-days-figures", "data"),
        Output("next-days-errors", "children"),
        Output("next-days-caveats", "children"),
        Input("next-days-status", "data"),
        Input("next-days-mode", "value"),
        prevent_initial_call=True,
    )
    def show(_, mode):
        return contents(feed.state, mode) if feed.state else (no_update,) * 3

    draw(app, "next-days-figures")
    app.clientside_callback(
        ClientsideFunction("nextDays", "read"),
        Output("next-days-mode", "value"),
        Input("next-days-mode", "id"),
    )
