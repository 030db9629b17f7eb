"""The page of the next days: the weather forecast through the model in production, beside measured and published power.

Off unless the dashboard is started with ``--live-data``.
"""

import dash_mantine_components as dmc
from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html, no_update

from dashboard.cache import Cache
from dashboard.figures.base import NAMES
from dashboard.live import Live
from dashboard.next_days.drawing import age, caveats, error_rows, in_words, lines_around_now
from dashboard.next_days.feed import Feed
from dashboard.parts import draw, empty, figure, heading, section, table
from dashboard.settings import Settings

TITLE, PATH = "Next days", "/next-days"
LICENCE = "https://creativecommons.org/licenses/by/4.0/"
GRAPHS = [f"next-days-{target}" for target in NAMES]
WHAT = ("weather forecast", "measured power", "published forecast")
WHERE = ("Open-Meteo", "Energy-Charts, public_power", "Energy-Charts, public_power_forecast, made the day before")


def layout() -> html.Div:
    """Return the page, still without data."""
    choices = [{"value": "power", "label": "Power"}, {"value": "shape", "label": "Shape"}]
    mode = dmc.SegmentedControl(id="next-days-mode", value="power", data=choices)
    lead = "Three days back and three days ahead, by the hour (UTC)."
    shape = "“Shape” divides each line by its own mean over the measured hours, so that its level does not count."
    return html.Div(
        [
            heading(TITLE, lead),
            html.Div(id="next-days-notices", role="status", style={"marginTop": "0.75rem"}),
            html.Div(
                [
                    section(
                        "Measured, published, predicted",
                        html.Div(mode, role="group", **{"aria-label": "What the figures show"}),
                        html.P(shape, className="detail"),
                        *(figure(graph, name, 340) for graph, name in zip(GRAPHS, NAMES.values(), strict=True)),
                        id="next-days-lines",
                    ),
                    section("Errors so far", html.Div(id="next-days-errors"), id="next-days-errors-part"),
                    section("How to read this", html.Ul(id="next-days-caveats"), id="next-days-reading"),
                    section(
                        "Where it comes from",
                        html.Div(id="next-days-ages"),
                        html.P(attribution(), style={"marginTop": "0.75rem"}),
                        id="next-days-origin",
                    ),
                ],
                id="next-days-content",
                hidden=True,
            ),
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


def notices(feed: Feed) -> list[str]:
    """Return a sentence for everything that is not as it should be."""
    said = []
    for source, what in zip(feed.sources, WHAT, strict=True):
        if source.problem and source.fetched_at:
            old = age(source.fetched_at, feed.now())
            said.append(f"No newer {what}: {source.problem} The last good answer is shown; it is {old}.")
        elif source.problem:
            said.append(f"No {what}: {source.problem}")
        elif source.fetched_at is None:
            said.append(f"The {what} is being asked for.")
    return [*said, feed.state.problem] if feed.state and feed.state.problem else said


def ages(feed: Feed) -> list[list[str]]:
    """Return for each source what comes from where, and how old it is."""
    return [
        [what.capitalize(), where, age(source.fetched_at, feed.now()) if source.fetched_at else "no answer yet"]
        for source, what, where in zip(feed.sources, WHAT, WHERE, strict=True)
    ]


def register(app: Dash, live: Live, settings: Settings) -> None:
    """Connect the page; start asking the services if live data are wanted."""
    if not settings.live_data:

        @app.callback(Output("next-days-notices", "children"), Input("next-days-notices", "id"))
        def say_how(_):
            return off()

        return
    feed = Feed(settings, live)
    feed.start()
    made = Cache(4)

    @app.callback(
        Output("next-days-status", "data"),
        Output("next-days-notices", "children"),
        Output("next-days-ages", "children"),
        Output("next-days-content", "hidden"),
        Input("tick", "n_intervals"),
        State("next-days-status", "data"),
    )
    def follow(_, told):
        status = [feed.state and feed.state.number, notices(feed), ages(feed)]
        if status == told:
            return (no_update,) * 4
        number, said, rows = status
        caption = "How old the answers are that are shown"
        lines = [html.P(line, className="caution") for line in said]
        return status, lines, table(caption, ["What", "Where from", "Age"], rows), number is None

    @app.callback(
        Output("next-days-figures", "data"),
        *(Output(f"{graph}-words", "children") for graph in GRAPHS),
        Output("next-days-errors", "children"),
        Output("next-days-caveats", "children"),
        Input("next-days-status", "data"),
        Input("next-days-mode", "value"),
        State("next-days-figures", "data"),
        prevent_initial_call=True,
    )
    def show(_, mode, shown):
        state = feed.state
        if state is None or (shown and shown[2:] == [state.number, mode]):
            return (no_update,) * 5
        return made.get((state.number, mode), lambda: content(state, feed, mode))

    draw(app, "next-days-figures", GRAPHS)
    app.clientside_callback(
        ClientsideFunction("nextDays", "follow"),
        Output("next-days-mode", "value"),
        Input("url", "search"),
        Input("next-days-mode", "value"),
    )


def content(state, feed: Feed, mode: str) -> tuple:
    """Return everything that changes with the outlook: figures (and what they were made of), words, errors, notes."""
    seen = state.outlook
    caption = (
        "On the measured hours that are shown and that both forecasts have; bias: forecast minus measured; error of "
        "the shape: mean absolute error after each series is divided by its own mean"
    )
    head = ["Forecast", "Hours", "Mean absolute error", "Bias", "Error of the shape"]
    return (
        [*(lines_around_now(seen, target, mode == "shape") for target in NAMES), state.number, mode],
        *(in_words(seen, target) for target in NAMES),
        table(caption, head, error_rows(seen), {1, 2, 3, 4}),
        [html.Li(line) for line in caveats(state, feed.now())],
    )
