"""What all figures share: compact arrays, lines over time, axes, the drawing of a range.

Figures are plain dictionaries that plotly.js understands: quick to make, small to send, the same for all viewers.
assets/figures.js adds how they look: a colour is a name such as ``@target1``, which it replaces with the colour of the
light or the dark theme; the ``look`` of an axis names the rest of its settings.
"""

import base64
from collections.abc import Sequence

import numpy as np
import pandas as pd

from dashboard.components import number

MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


def array(values: np.ndarray | pd.Series) -> dict:
    """Return the numbers in plotly's binary form: 4 bytes each, where JSON takes 18 for a float64; NaN is a gap."""
    packed = base64.b64encode(np.ascontiguousarray(values, "<f4").tobytes()).decode()
    shape = {"shape": ", ".join(map(str, values.shape))} if values.ndim > 1 else {}
    return {"dtype": "f4", "bdata": packed} | shape


def start(time: pd.Timestamp) -> str:
    """Return a time as plotly takes it."""
    return f"{time:%Y-%m-%d %H:%M}"


def line(series: pd.Series, colour: str, width: float, dash: str = "solid", **more) -> dict:
    """Return a series over time as a line; its index has a frequency of one hour or several."""
    step = pd.Timedelta(series.index.freq) / pd.Timedelta(milliseconds=1)
    time = {"type": "scatter", "mode": "lines", "x0": start(series.index[0]), "dx": step}
    return time | {"y": array(series), "line": {"color": colour, "width": width, "dash": dash}} | more


def between(name: str, low: pd.Series, high: pd.Series) -> list[dict]:
    """Return the lines that draw a range; the tooltip of the upper edge names both."""
    words = {"customdata": [number(value) for value in low], "hovertemplate": "%{customdata} to %{y}"}
    return [
        line(low, "@band", 0, showlegend=False, hoverinfo="skip"),
        line(high, "@band", 0, name=name, fill="tonexty", fillcolor="@band", **words),
    ]


def values(unit: str, **parts) -> dict:
    """Return an axis of values, with the unit at the uppermost number."""
    return {"look": "values", "ticksuffix": f" {unit}"} | parts


def dates(**parts) -> dict:
    """Return a horizontal axis of dates (UTC)."""
    return {"look": "dates", "type": "date"} | parts


def labels(texts: Sequence[str], places: Sequence[float] | None = None, **parts) -> dict:
    """Return an axis of the cells of a calendar, which has words for some of them."""
    return {"look": "cells", "tickvals": texts if places is None else places, "ticktext": texts} | parts
