"""What surrounds every page: header with the ways to all pages, notices, footer with where the data come from."""

import dash_mantine_components as dmc
from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html, no_update

from dashboard.live import Live
from dashboard.parts import heading
from dashboard.settings import Settings

TITLE = "Wind and solar power in Germany"
THEME = {
    "fontFamily": "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif",
    "primaryColor": "blue",
    "defaultRadius": "sm",
    "headings": {"fontWeight": 650},
}
# A page in English, on a background that follows the theme before anything is drawn.
INDEX = """<!DOCTYPE html>
<html lang="en">
<head>
{%metas%}
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{%title%}</title>
{%favicon%}
{%css%}
</head>
<body>
{%app_entry%}
<noscript>This dashboard needs JavaScript.</noscript>
<div>{%config%}{%scripts%}{%renderer%}</div>
</body>
</html>"""


def key_of(live: Live) -> str | None:
    """Return what changes with the model in production or the table."""
    return live.view.key if live.view else None


def source(live: Live, settings: Settings) -> list:
    """Return where the data come from and how far they reach, and which model is shown."""
    view = live.view
    if view is None:
        return ["No data are shown yet."]
    index = view.table.index
    title = str(view.table.attrs.get("source", "source not stated"))
    online = "Open-Meteo and Energy-Charts, on the page Next days" if settings.live_data else "off"
    parts = {
        "Data": title,
        "Reach": f"{index[0]:%Y-%m-%d %H:%M} to {index[-1]:%Y-%m-%d %H:%M} UTC",
        "Live data": online,
        "Model": f"wind_solar version {view.production.version} ({view.production.kind})",
    }
    return [html.Span([html.B(name), f" {text}"], className="fact") for name, text in parts.items()]


def layout(live: Live, settings: Settings, pages: list) -> dmc.MantineProvider:
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
    header = [
        dcc.Link(
            [html.Span("Wind and solar power"), html.Span(" in Germany", className="wide")], "/", className="brand"
        ),
        html.Nav(links, **{"aria-label": "Pages"}),
        toggle,
    ]
    state = [
        dcc.Location(id="url", refresh=False),
        dcc.Interval(id="tick", interval=1000 * settings.refresh),
        dcc.Store(id="theme"),
        dcc.Store(id="view-key", data=key_of(live)),
        dcc.Store(id="registry-key", data=live.registry and live.registry.key),
        dmc.NotificationContainer(id="news", position="bottom-right", autoClose=10_000),
    ]
    return dmc.MantineProvider(
        [
            html.A("To the content", href="#content", className="skip"),
            *state,
            dmc.AppShell(
                [
                    dmc.AppShellHeader(html.Div(header, className="bar")),
                    dmc.AppShellMain(
                        [
                            html.P(live.problem, id="problem", className="problem", role="alert"),
                            html.Div(id="page", className="page"),
                        ],
                        id="content",
                        tabIndex=-1,
                    ),
                    dmc.AppShellFooter(html.Div(source(live, settings), id="source", className="source")),
                ],
                header={"height": {"base": 88, "sm": 56}},
                footer={"height": {"base": 64, "xl": 36}},
                padding=0,
            ),
        ],
        theme=THEME,
        defaultColorScheme="auto",
    )


def register(app: Dash, live: Live, settings: Settings, pages: list) -> None:
    """Let the shell change pages, and follow the tracking server in every open tab."""
    by_path = {page.PATH: page for page in pages}

    @app.callback(Output("page", "children"), Input("url", "pathname"))
    def go(path: str | None):
        page = by_path.get((path or "/").rstrip("/") or "/")
        if page:
            return page.layout()
        ways = [html.Li(dcc.Link(page.TITLE, href=page.PATH)) for page in pages]
        return [heading("No such page", f"There is nothing at {path}. The pages are:"), html.Ul(ways)]

    @app.callback(
        Output("view-key", "data"),
        Output("registry-key", "data"),
        Output("problem", "children"),
        Output("source", "children"),
        Output("news", "sendNotifications"),
        Input("tick", "n_intervals"),
        State("view-key", "data"),
        State("registry-key", "data"),
        State("problem", "children"),
        prevent_initial_call=True,
    )
    def follow(_, shown: str | None, registry_shown: str | None, told: str | None):
        key, problem = key_of(live), live.problem
        registry = live.registry and live.registry.key
        news = []
        if key != shown and key and shown:
            before, after = shown.partition("/")[0], key.partition("/")[0]
            what = f"Version {after} is in production now, after version {before}."
            news.append(what if before != after else "The newest table is shown now.")
        if told and not problem and shown:
            news.append("All is well again: the pages are up to date.")
        return (
            key if key != shown else no_update,
            registry if registry != registry_shown else no_update,
            problem if problem != told else no_update,
            source(live, settings) if key != shown else no_update,
            [{"action": "show", "message": text, "withBorder": True} for text in news] or no_update,
        )

    app.clientside_callback(
        ClientsideFunction("shell", "arrived"),
        Output("page", "id"),
        Input("page", "children"),
        State("url", "pathname"),
    )
