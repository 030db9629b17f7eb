"""What surrounds every page: header with links to all pages, notices, footer with the origin of the data."""

from pathlib import Path

import dash_mantine_components as dmc
from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html, no_update

from dashboard.components import heading
from dashboard.follower import Follower
from dashboard.settings import Settings
from dashboard.targets import targets_of
from forecasting.production import REGISTERED_MODEL

TITLE = "Dashboard"  # as long as no table has been read
THEME = {
    "fontFamily": "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif",
    "primaryColor": "blue",
    "defaultRadius": "sm",
    "headings": {"fontWeight": 650},
}
# A page in English, on a background that follows the theme before anything is drawn.
INDEX = Path(__file__).with_name("index.html").read_text(encoding="utf-8")


def state_of(follower: Follower) -> dict[str, str | None]:
    """Return what open tabs follow, by the id of its store.

    ``view-key`` changes with the model in production or the table, ``subject-key`` with the table's subject,
    ``registry-key`` with versions, ledger or runs; None as long as there is nothing to show.
    """
    view, registry = follower.view, follower.registry
    return {
        "view-key": view.key if view else None,
        "subject-key": view.subject_key if view else None,
        "registry-key": registry.key if registry else None,
    }


def brand(follower: Follower) -> list:
    """Return the title of all pages: what is forecast, and where."""
    subject = follower.view.table.subject if follower.view else None
    if subject is None:
        return [TITLE]
    labels = " and ".join(target.label for target in targets_of(subject)).capitalize()
    return [html.Span(labels), html.Span(f" in {subject.place}" if subject.place else "", className="wide")]


def origin(follower: Follower, settings: Settings) -> list:
    """Return where the data come from and how far they reach, and which model is shown."""
    view = follower.view
    if view is None:
        return ["No data are shown yet."]
    index = view.table.frame.index
    online = "Open-Meteo and Energy-Charts, on the page Next days" if settings.live_data else "off"
    parts = {
        "Data": view.table.title,
        "Reach": f"{index[0]:%Y-%m-%d %H:%M} to {index[-1]:%Y-%m-%d %H:%M} UTC",
        "Live data": online,
        "Model": f"{REGISTERED_MODEL} version {view.production.version} ({view.production.project})",
    }
    return [html.Span([html.B(name), f" {text}"], className="fact") for name, text in parts.items()]


def layout(follower: Follower, settings: Settings, pages: list) -> dmc.MantineProvider:
    """Return the shell; the page itself comes into ``page``."""
    links = [dcc.Link(page.TITLE, href=page.PATH) for page in pages]
    toggle = dmc.ColorSchemeToggle(
        id="scheme",
        lightIcon=html.Span("☀", className="glyph"),
        darkIcon=html.Span("☾", className="glyph"),
        variant="subtle",
        color="gray",
        size="lg",
        **{"aria-label": "Change between the light and the dark theme"},
    )
    brand_link = dcc.Link(brand(follower), "/", id="brand", className="brand")
    bar = html.Div([brand_link, html.Nav(links, **{"aria-label": "Pages"}), toggle], className="bar")
    problem = html.P(follower.problem, id="problem", className="problem", role="alert")
    page = html.Main([problem, html.Div(id="page", className="page")], id="content", tabIndex=-1)
    footer = html.Footer(html.Div(origin(follower, settings), id="source", className="source"))
    return dmc.MantineProvider(
        [
            html.A("To the content", href="#content", className="skip"),
            dcc.Location(id="url", refresh=False),
            dcc.Interval(id="tick", interval=1000 * settings.refresh),
            dcc.Store(id="theme"),
            dcc.Store(id="arriving"),
            *(dcc.Store(id=id, data=key) for id, key in state_of(follower).items()),
            dmc.NotificationContainer(id="news", position="bottom-right", autoClose=10_000),
            html.Div([html.Header(bar), page, footer], className="shell"),
        ],
        theme=THEME,
        defaultColorScheme="auto",
    )


def register(app: Dash, follower: Follower, settings: Settings, pages: list) -> None:
    """Let the shell change pages, and follow the tracking server in every open tab."""
    by_path, keys = {page.PATH: page for page in pages}, list(state_of(follower))

    @app.callback(Output("arriving", "data"), Input("url", "pathname"), Input("subject-key", "data"))
    def go(path: str | None, _):
        page = by_path.get((path or "/").rstrip("/") or "/")
        if page:
            return page.layout(follower.view and follower.view.table.subject)
        links = [html.Li(dcc.Link(page.TITLE, href=page.PATH)) for page in pages]
        return [heading("No such page", f"There is nothing at {path}. The pages are:"), html.Ul(links)]

    @app.callback(
        *(Output(key, "data") for key in keys),
        Output("problem", "children"),
        Output("brand", "children"),
        Output("source", "children"),
        Output("news", "sendNotifications"),
        Input("tick", "n_intervals"),
        *(State(key, "data") for key in keys),
        State("problem", "children"),
        prevent_initial_call=True,
    )
    def follow(_, *shown: str | None):
        now, news = (*state_of(follower).values(), follower.problem), []
        (view, subject, _, problem), (view_shown, subject_shown, _, told) = now, shown
        if view and view_shown and view != view_shown:
            before, after = view_shown.partition("/")[0], view.partition("/")[0]
            moved = f"Version {after} is in production now, after version {before}."
            news.append(moved if before != after else "The newest table is shown now.")
        if told and not problem and view_shown:
            news.append("The pages are up to date again.")
        return (
            *(new if new != old else no_update for new, old in zip(now, shown, strict=True)),
            brand(follower) if subject != subject_shown else no_update,
            origin(follower, settings) if view != view_shown else no_update,
            [{"action": "show", "message": text, "withBorder": True} for text in news] or no_update,
        )

    app.clientside_callback(ClientsideFunction("shell", "show"), Output("page", "children"), Input("arriving", "data"))
    app.clientside_callback(
        ClientsideFunction("shell", "arrived"),
        Output("page", "id"),
        Input("page", "children"),
        State("url", "pathname"),
    )
