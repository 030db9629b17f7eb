"""The components that the pages are made of: numbers with units, tables, lists, places for figures."""

import json
import math
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import TypeGuard

from dash import ClientsideFunction, Dash, Input, Output, dcc, html
from dash.development.base_component import Component

NARROW = "\u202f"  # the space between a number and its unit, where no line may break


def quantity(value: float | None, unit: str, digits: int = 2, sign: bool = False) -> str:
    """Return a value with its unit for a reader."""
    return number(value, digits, sign) + (f"{NARROW}{unit}" if known(value) else "")


def number(value: float | None, digits: int = 2, sign: bool = False) -> str:
    """Return a number for a reader, with a real minus; a dash for an unknown one."""
    if not known(value):
        return "–"
    text = f"{value:+.{digits}f}" if sign else f"{value:.{digits}f}"
    if not float(text):
        text = text.lstrip("+-")
    return text.replace("-", "−")


def percent(share: float | None, digits: int = 0, sign: bool = False) -> str:
    """Return a share as a percentage; without a sign, a share that would be rounded to nothing is "<1 %"."""
    if not sign and known(share) and share and not float(f"{share * 100:.{digits}f}"):
        return f"<{NARROW}{10**-digits:g}{NARROW}%"
    return number(share * 100, digits, sign) + f"{NARROW}%" if known(share) else "–"


def measure(key: str, value: float | None, unit: str, digits: int = 2) -> str:
    """Return a measure, named as in ``forecasting.metrics``; ``digits`` are those of an error."""
    if key.startswith("skill"):
        return percent(value, sign=True)
    if key in ("r2", "hours"):
        return number(value, 3 if key == "r2" else 0)
    return quantity(value, unit, digits, sign=key == "bias")


def known(value: float | None) -> TypeGuard[float]:
    """Return whether there is a number."""
    return value is not None and math.isfinite(value)


def duration(since: datetime, until: datetime | None) -> str:
    """Return the length of a time in words."""
    if until is None:
        return "–"
    hours = (until - since).total_seconds() / 3600
    if hours < 2:
        return f"{60 * hours:.0f} min" if hours > 1 / 60 else "less than 1 min"
    return f"{hours:.0f} h" if hours < 48 else f"{hours / 24:.0f} d"


def heading(title: str, lead: str = "", id: str = "lead") -> html.Header:
    """Return the top of a page; its heading can take the focus, for screen readers."""
    return html.Header([html.H1(title, tabIndex=-1), html.P(lead, id=id, className="lead")], className="page-top")


def section(title: str, *children: Component, id: str) -> html.Section:
    """Return a part of a page with a heading, which is also its name as a landmark."""
    name = f"{id}-title"
    return html.Section([html.H2(title, id=name), *children], id=f"{id}-section", **{"aria-labelledby": name})


def group(label: str, *children: Component, className: str = "") -> html.Div:
    """Return controls that belong together, and what they are for."""
    return html.Div(children, role="group", className=className, **{"aria-label": label})


def figure(id: str, title: str, height: int) -> html.Figure:
    """Return the place of a figure: its title, the graph, and the sentence that says the same in words."""
    clear, hidden = "rgba(0,0,0,0)", {"visible": False}
    note = {"text": "Loading …", "showarrow": False, "font": {"color": "#868e96"}}
    layout = {"height": height, "paper_bgcolor": clear, "plot_bgcolor": clear, "xaxis": hidden, "yaxis": hidden}
    graph = dcc.Graph(
        id=id,
        figure={"data": [], "layout": layout | {"annotations": [note]}},
        config={"displayModeBar": False, "responsive": True, "doubleClick": False},
        style={"height": height},
    )
    names = {"aria-labelledby": f"{id}-title", "aria-describedby": f"{id}-words"}
    return html.Figure(
        [html.H3(title, id=f"{id}-title"), html.Div(graph, role="img", **names), html.Figcaption(id=f"{id}-words")]
    )


def draw(app: Dash, store: str, *more: Input) -> None:
    """Draw the figures of a store, in the colours of the theme that the viewer has chosen.

    The store holds them as ``drawings`` makes them.
    """
    app.clientside_callback(
        ClientsideFunction("figures", "draw"),
        Output(store, "id"),  # never changed: without an output, Dash would ask for the inputs on every page
        Input(store, "data"),
        Input("theme", "data"),
        *more,
    )


def drawings(drawn: Mapping[str, tuple[dict, str]]) -> str:
    """Return figures, each with its sentence, by the id of their place, as the store of a page holds them."""
    # Dash encodes an answer twice if it sees a NaN in it, even in the middle of base64: it must not see one.
    return json.dumps(drawn).replace("NaN", "N\\u0061N")


def name_value_list(rows: Mapping[str, str | Component | list]) -> html.Dl:
    """Return names and values, one below the other."""
    return html.Dl([html.Div([html.Dt(name), html.Dd(text)]) for name, text in rows.items()], className="facts")


def table(caption: str, header: list[str], rows: list[list], numbers: Collection[int] = ()) -> html.Div:
    """Return a table; the columns in ``numbers`` are right-aligned, the first column names its row."""
    columns = range(1, len(header))
    looks = ["number" if column in numbers else None for column in range(len(header))]
    head = html.Tr([html.Th(text, scope="col", className=look) for text, look in zip(header, looks, strict=True)])
    body = [
        html.Tr([html.Th(row[0], scope="row"), *(html.Td(row[column], className=looks[column]) for column in columns)])
        for row in rows
    ]
    whole = html.Table([html.Caption(caption), html.Thead(head), html.Tbody(body)], className="table")
    # A table that is wider than a phone scrolls by itself, also with the keys.
    return html.Div(whole, className="scroll", tabIndex=0, role="region", **{"aria-label": caption})


def empty(sentence: str, command: str | None = None) -> html.Div:
    """Return the replacement for what can't be shown: why, and the command that changes it."""
    typed = [html.Pre(html.Code(command), tabIndex=0)] if command else []
    return html.Div([html.P(sentence), *typed], className="empty")


def loading(title: str) -> html.Div:
    """Return a page that waits for the first data; the shell says what is wrong, if anything."""
    return html.Div([heading(title), empty("The page is shown as soon as the first data are loaded.")])


def outside(text: str | Component, address: str) -> html.A:
    """Return a link to the MLflow pages, which open in a new tab."""
    return html.A(text, href=address, target="_blank", rel="noopener")
