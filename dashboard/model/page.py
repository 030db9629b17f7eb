"""The page Model: its layout and its callbacks."""

from urllib.parse import parse_qs

import dash_ag_grid as dag
import dash_mantine_components as dmc
from dash import Dash, Input, Output, State, html, no_update

from dashboard.cache import remember
from dashboard.components import empty, heading, section
from dashboard.follower import Follower
from dashboard.model import versions
from dashboard.model.card import card
from dashboard.model.runs import columns_of, rows_of
from dashboard.settings import Settings
from dashboard.targets import targets_of
from forecasting.production import REGISTERED_MODEL
from forecasting.subject import Subject

TITLE, PATH = "Model", "/model"
dag._js_dist[0]["dynamic"] = True  # a large script, left out of the other pages: assets/shell.js loads it


def layout(subject: Subject | None) -> html.Div:
    """Return the page, still without data."""
    grid = dag.AgGrid(
        id="runs",
        columnDefs=columns_of(targets_of(subject)),
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
            "theme": {"function": "pageTheme(themeQuartz)"},
        },
        getRowId="params.data.id",
        style={"height": None},
    )
    shadow = {"shadow": "md"}
    other = dmc.Select(
        id="compared", label="Version beside it", disabled=True, allowDeselect=False, w=260, comboboxProps=shadow
    )
    not_read = empty("The registry has not been read yet.")
    return html.Div(
        [
            heading(TITLE, id="model-lead"),
            section("Model card", html.Div(empty("No model is shown yet."), id="card"), id="card"),
            section("Candidate against production", other, html.Div(not_read, id="against"), id="against"),
            section("What was in production", html.Div(not_read, id="history"), id="history"),
            section(
                "All runs",
                html.P("The runs have not been read yet.", id="runs-words"),
                html.Label("Search all columns", htmlFor="runs-search", className="label"),
                dmc.TextInput(id="runs-search", placeholder="for example rf or FAILED", w=260, mb="sm"),
                html.Div(grid, className="grid"),
                id="runs",
            ),
        ]
    )


def register(app: Dash, follower: Follower, settings: Settings) -> None:
    """Connect the page."""
    listed = remember(2, rows_of)

    @app.callback(
        Output("model-lead", "children"),
        Output("card", "children"),
        Input("view-key", "data"),
        Input("registry-key", "data"),
    )
    def show_card(*_):
        view, registry = follower.view, follower.registry
        if view is None:
            return no_update, no_update
        production, now = view.production, registry and registry.production
        state = "in production" if now and now.number == production.version else "shown, but not in production any more"
        return f"{REGISTERED_MODEL} version {production.version} ({production.project}) is {state}.", card(
            view, registry
        )

    @app.callback(
        Output("history", "children"),
        Output("runs", "rowData"),
        Output("runs-words", "children"),
        Input("registry-key", "data"),
    )
    def show_registry(_):
        registry = follower.registry
        if registry is None:
            return (no_update,) * 3
        rows = listed(registry)
        words = f"{len(rows)} runs, the newest first. Each name leads to the run in the MLflow pages."
        if registry.more_runs:
            words = f"The newest {len(rows)} runs; the MLflow pages have the older ones. Each name leads to its run."
        return versions.history(registry), rows, words

    @app.callback(
        Output("compared", "data"),
        Output("compared", "value"),
        Output("compared", "disabled"),
        Output("against", "children"),
        Input("registry-key", "data"),
        Input("view-key", "data"),
        Input("url", "search"),
        State("url", "pathname"),
    )
    def show_candidate(_registry, _view, search: str | None, path: str):
        registry = follower.registry
        if registry is None or path.rstrip("/") != PATH:
            return (no_update,) * 4
        asked = parse_qs((search or "").removeprefix("?")).get("beside", [None])[-1]
        targets = follower.view.targets if follower.view else []
        choices, chosen, words = versions.comparison(registry, targets, asked)
        return choices, chosen, not choices, words

    app.clientside_callback(
        "(text) => ({quickFilterText: text})",
        Output("runs", "dashGridOptions"),
        Input("runs-search", "value"),
        prevent_initial_call=True,
    )
