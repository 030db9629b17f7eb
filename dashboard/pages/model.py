"""The model: the card of the one in production, what was in production before, the candidate, and all runs."""

import json
from urllib.parse import parse_qs

import dash_ag_grid as dag
import dash_mantine_components as dmc
from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html, no_update

from dashboard import cards, versions
from dashboard.cache import Cache
from dashboard.live import Live
from dashboard.parts import empty, heading, section
from dashboard.runs import COLUMNS, rows_of
from dashboard.settings import Settings

TITLE, PATH = "Model", "/model"
LOOK = {  # the page's own colours, in either theme
    "backgroundColor": "var(--paper)",
    "foregroundColor": "var(--ink)",
    "borderColor": "var(--line)",
    "headerBackgroundColor": "var(--paper)",
    "headerTextColor": "var(--soft)",
    "accentColor": "var(--link)",
    "browserColorScheme": "inherit",
    "fontFamily": "inherit",
    "fontSize": 14,
    "wrapperBorderRadius": 0,
    "wrapperBorder": False,
}


def layout() -> html.Div:
    """Return the page, still without data."""
    grid = dag.AgGrid(
        id="runs",
        columnDefs=COLUMNS,
        rowData=[],
        defaultColDef={"sortable": True, "filter": True, "resizable": True, "minWidth": 90},
        columnSize="autoSize",
        dashGridOptions={
            "pagination": True,
            "paginationPageSize": 20,
            "paginationPageSizeSelector": [20, 50, 100],
            "domLayout": "autoHeight",
            "enableCellTextSelection": True,
            "ensureDomOrder": True,
            "suppressColumnVirtualisation": True,
            "theme": {"function": f"themeQuartz.withParams({json.dumps(LOOK)})"},
        },
        getRowId="params.data.id",
        style={"height": None},
    )
    other = dmc.Select(
        id="compared", label="Version beside it", data=[], allowDeselect=False, w=260, comboboxProps={"shadow": "md"}
    )
    return html.Div(
        [
            heading(TITLE, id="model-lead"),
            html.Div(id="model-empty"),
            html.Div(section("In production", html.Div(id="card"), id="card"), id="model-content"),
            section("Candidate against production", other, html.Div(id="against"), id="against"),
            section("What was in production", html.Div(id="history"), id="history"),
            section(
                "All runs",
                html.P(id="runs-words"),
                html.Label("Search all columns", htmlFor="runs-search", className="label"),
                dmc.TextInput(id="runs-search", placeholder="for example rf, FAILED, or a version", w=260, mb="sm"),
                html.Div(grid, className="grid"),
                id="runs",
            ),
            dcc.Store(id="shown-beside"),
            dcc.Store(id="chosen-beside"),
        ]
    )


def register(app: Dash, live: Live, settings: Settings) -> None:
    """Connect the page."""
    listed = Cache(2)

    @app.callback(
        Output("model-lead", "children"),
        Output("model-empty", "children"),
        Output("model-content", "hidden"),
        Output("card", "children"),
        Input("view-key", "data"),
        Input("registry-key", "data"),
    )
    def show_card(*_):
        view = live.view
        if view is None:
            return "", empty(live.problem or "The model in production is being loaded."), True, None
        production = view.production
        lead = f"wind_solar version {production.version} ({production.kind}) is in production."
        return lead, None, False, cards.card(view, live.registry)

    @app.callback(
        Output("history", "children"),
        Output("runs", "rowData"),
        Output("runs-words", "children"),
        Input("registry-key", "data"),
    )
    def show_registry(_):
        registry = live.registry
        if registry is None:
            return empty("The registry has not been read yet."), [], "The runs have not been read yet."
        rows = listed.get(registry.key, lambda: rows_of(registry))
        words = f"{len(rows)} runs, the newest first. Each name leads to the run in the MLflow pages."
        if registry.more_runs:
            words = f"The newest {len(rows)} runs; the MLflow pages have the older ones. Each name leads to its run."
        return versions.history(registry), rows, words

    @app.callback(
        Output("compared", "data"),
        Output("compared", "value"),
        Output("shown-beside", "data"),
        Output("compared", "disabled"),
        Output("against", "children"),
        Input("registry-key", "data"),
        Input("view-key", "data"),
        Input("url", "search"),
        State("url", "pathname"),
    )
    def show_candidate(_registry, _view, search: str | None, path: str):
        if path.rstrip("/") != PATH:
            return (no_update,) * 5
        registry = live.registry
        if registry is None:
            return [], None, None, True, empty("The registry has not been read yet.")
        asked = parse_qs((search or "").removeprefix("?")).get("beside", [None])[-1]
        choices, chosen, words = versions.candidate(registry, asked)
        return choices, chosen, chosen, not choices, words

    app.clientside_callback(
        ClientsideFunction("shell", "beside"),
        Output("chosen-beside", "data"),
        Input("compared", "value"),
        State("shown-beside", "data"),
        prevent_initial_call=True,
    )
    app.clientside_callback(
        "(text) => ({quickFilterText: text})",
        Output("runs", "dashGridOptions"),
        Input("runs-search", "value"),
        prevent_initial_call=True,
    )
