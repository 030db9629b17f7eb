"""The pieces that the pages are made of: numbers with units, tables, facts, places for figures."""

import math

from dash import ClientsideFunction, Dash, Input, Output, dcc, html
from dash.development.base_component import Component

NARROW = "\u202f"  # the space between a number and its unit, where no line may break


def gw(value: float | None, digits: int = 2, sign: bool = False) -> str:
    """Return a power in GW for a reader."""
    return number(value, digits, sign) + (f"{NARROW}GW" if known(value) else "")


def number(value: float | None, digits: int = 2, sign: bool = False) -> str:
    """Return a number for a reader, with a real minus; a dash for what is not known."""
    if not known(value):
        return "–"
    text = f"{value:+.{digits}f}" if sign else f"{value:.{digits}f}"
    if not float(text):
        text = text.lstrip("+-")
    return text.replace("-", "−")


def percent(share: float | None, digits: int = 0, sign: bool = False) -> str:
    """Return a share for a reader, as a percentage."""
    return number(share * 100, digits, sign) + f"{NARROW}%" if known(share) else "–"


def known(value: float | None) -> bool:
    """Return whether there is a number."""
    return value is not None and math.isfinite(value)


def heading(title: str, lead: str | list | None = None, id: str | None = None) -> html.Header:
    """Return the top of a page; its heading can be focused, for readers of the screen."""
    lead = html.P(lead or "", className="lead", **({"id": id} if id else {}))
    return html.Header([html.H1(title, tabIndex=-1), lead], className="page-top")


def section(title: str, *children: Component, id: str, className: str = "") -> html.Section:
    """Return a part of a page with a heading, which is also its name as a landmark."""
    return html.Section(
        [html.H2(title, id=f"{id}-title"), *children],
        id=f"{id}-section",
        className=className,
        **{"aria-labelledby": f"{id}-title"},
    )


def figure(id: str, title: str, height: int) -> html.Figure:
    """Return the place of a figure: its title, the graph, and the sentence that says the same in words."""
    graph = dcc.Graph(
        id=id,
        figure={
            "data": [],
            "layout": {
                "height": height,
                "xaxis": {"visible": False},
                "yaxis": {"visible": False},
                "paper_bgcolor": "rgba(0,0,0,0)",
                "plot_bgcolor": "rgba(0,0,0,0)",
                "annotations": [{"text": "Loading …", "showarrow": False, "font": {"color": "#868e96"}}],
            },
        },
        config={"displayModeBar": False, "responsive": True, "doubleClick": False},
        style={"height": height},
    )
    return html.Figure(
        [
            html.H3(title, id=f"{id}-title"),
            html.Div(graph, role="img", **{"aria-labelledby": f"{id}-title", "aria-describedby": f"{id}-words"}),
            html.Figcaption(id=f"{id}-words"),
        ]
    )


def draw(app: Dash, store: str, graphs: list[str], *more: Input) -> None:
    """Draw the figures that a store has a list of, in the colours of the theme that the viewer has chosen."""
    app.clientside_callback(
        ClientsideFunction("figures", "draw"),
        [Output(graph, "figure") for graph in graphs],
        Input(store, "data"),
        Input("theme", "data"),
        *more,
    )


def facts(rows: dict[str, str | Component | list]) -> html.Dl:
    """Return names and what they stand for."""
    return html.Dl([html.Div([html.Dt(name), html.Dd(text)]) for name, text in rows.items()], className="facts")


def table(
    caption: str, header: list[str], rows: list[list], numbers: set[int] = frozenset(), id: str | None = None
) -> html.Div:
    """Return a table; the columns in ``numbers`` are right-aligned, the first column names its row."""

    def style(column: int) -> dict:
        return {"className": "number"} if column in numbers else {}

    head = html.Tr([html.Th(text, scope="col", **style(column)) for column, text in enumerate(header)])
    body = [
        html.Tr(
            [
                html.Th(cell, scope="row") if column == 0 else html.Td(cell, **style(column))
                for column, cell in enumerate(row)
            ]
        )
        for row in rows
    ]
    whole = html.Table([html.Caption(caption), html.Thead(head), html.Tbody(body)], **({"id": id} if id else {}))
    # A table that is wider than a phone scrolls by itself, also with the keys.
    return html.Div(whole, className="scroll", tabIndex=0, role="region", **{"aria-label": caption})


def empty(sentence: str, command: str | None = None) -> html.Div:
    """Return what stands where there is nothing to show: why, and the command that changes it."""
    return html.Div(
        [html.P(sentence), *([html.Pre(html.Code(command), tabIndex=0)] if command else [])], className="empty"
    )


def outside(text: str | Component, address: str) -> html.A:
    """Return a link into the MLflow pages, which open beside the dashboard."""
    return html.A(text, href=address, target="_blank", rel="noopener")
