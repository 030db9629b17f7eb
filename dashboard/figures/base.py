"""What all figures have in common: names, colours, compact arrays, axes."""

import base64

import numpy as np
import pandas as pd

NAMES = {"solar_GW": "Solar", "wind_GW": "Wind"}
COLOURS = {"solar_GW": "@solar", "wind_GW": "@wind"}
MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
HOUR = 3_600_000  # milliseconds, plotly's unit for a step in time
DAY = 24 * HOUR
# ISO dates at every zoom; two lines where the second one says what does not change from tick to tick.
TICKS = [
    {"dtickrange": [None, DAY - 1], "value": "%H:%M\n%Y-%m-%d"},
    {"dtickrange": [DAY, 28 * DAY - 1], "value": "%m-%d\n%Y"},
    {"dtickrange": [28 * DAY, "M11"], "value": "%Y-%m"},
    {"dtickrange": ["M12", None], "value": "%Y"},
]


def array(values: np.ndarray) -> dict:
    """Return the numbers in plotly's binary form: 4 bytes each, where JSON takes 18 for a float64; NaN is a gap."""
    packed = base64.b64encode(np.ascontiguousarray(values, "<f4").tobytes()).decode()
    shape = {"shape": ", ".join(map(str, values.shape))} if values.ndim > 1 else {}
    return {"dtype": "f4", "bdata": packed} | shape


def start(time: pd.Timestamp) -> str:
    """Return a time as plotly takes it."""
    return f"{time:%Y-%m-%d %H:%M}"


def layout(height: int, **parts) -> dict:
    """Return the look that all figures have."""
    return {
        "height": height,
        "margin": {"l": 48, "r": 12, "t": 30, "b": 40},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "system-ui, sans-serif", "size": 12, "color": "@text"},
        "legend": {"orientation": "h", "x": 0, "y": 1.01, "yanchor": "bottom", "font": {"size": 12}},
        "hoverlabel": {"bgcolor": "@surface", "bordercolor": "@grid", "font": {"color": "@ink"}},
        "dragmode": False,
    } | parts


def gigawatts(**parts) -> dict:
    """Return an axis in GW; the unit stands at the uppermost number."""
    return {
        "gridcolor": "@grid",
        "zerolinecolor": "@axis",
        "ticksuffix": " GW",
        "showticksuffix": "last",
        "nticks": 6,
        "fixedrange": True,
    } | parts


def dates(**parts) -> dict:
    """Return a horizontal axis of dates (UTC)."""
    return {
        "type": "date",
        "showgrid": False,
        "ticks": "outside",
        "tickcolor": "@axis",
        "linecolor": "@axis",
        "showline": True,
        "tickformatstops": TICKS,
    } | parts
