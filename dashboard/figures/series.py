"""Recorded and predicted power over time, with the error below."""

import numpy as np
import pandas as pd

from dashboard.figures.base import COLOURS, DAY, HOUR, array, dates, gigawatts, layout, start
from dashboard.measures import means

HOURLY_DAYS = 92  # a longer range is drawn as daily means: a screen has no room for more points
DAILY_DAYS = 2208  # and a still longer one as weekly means
STEPS = {1: "hourly", 24: "daily means", 168: "weekly means"}


def step_of(hours: int) -> int:
    """Return how many hours one drawn point stands for; no line gets more than 2,208 points in 40 years."""
    return 1 if hours <= 24 * HOURLY_DAYS else 24 if hours <= 24 * DAILY_DAYS else 168


def recorded_and_predicted(
    target: str,
    first: pd.Timestamp,
    recorded: np.ndarray,
    predicted: np.ndarray,
    band: tuple[np.ndarray, np.ndarray] | None,
) -> dict:
    """Return the figure of some hours in a row from ``first`` on, in GW; ``band`` are the 10 % and 90 % quantiles."""
    step = step_of(len(recorded))
    # What was not recorded is left out of the prediction's mean too, or the error would compare different hours.
    error = means(predicted - recorded, step)
    time = {"x0": start(first), "dx": step * HOUR, "type": "scatter", "mode": "lines"}
    number = "%{y:.2f} GW"
    traces = []
    if band:
        low, high = (array(means(edge, step)) for edge in band)
        edge = time | {"line": {"width": 0}, "hovertemplate": number, "legendgroup": "range"}
        traces += [
            edge | {"name": "10 %", "y": low, "showlegend": False},
            edge | {"name": "range (10 to 90 %)", "y": high, "fill": "tonexty", "fillcolor": "@band"},
        ]
    traces += [
        time
        | {
            "name": "recorded",
            "y": array(means(recorded, step)),
            "line": {"color": COLOURS[target], "width": 2},
            "hovertemplate": number,
        },
        time
        | {
            "name": "predicted",
            "y": array(means(predicted, step)),
            "line": {"color": "@ink", "width": 1.4, "dash": "3px,2px"},
            "hovertemplate": number,
        },
        time
        | {
            "name": "error",
            "y": array(error),
            "yaxis": "y2",
            "line": {"color": COLOURS[target], "width": 1},
            "fill": "tozeroy",
            "fillcolor": COLOURS[target] + "Soft",
            "showlegend": False,
            "hovertemplate": "%{y:+.2f} GW",
        },
    ]
    note = {
        "text": "error: predicted − recorded",
        "xref": "paper",
        "yref": "paper",
        "x": 0,
        "y": 0.27,
        "xanchor": "left",
        "yanchor": "bottom",
        "showarrow": False,
        "font": {"size": 12, "color": "@text"},
    }
    return {
        "data": traces,
        "layout": layout(
            380,
            hovermode="x unified",
            hoversubplots="axis",
            xaxis=dates(anchor="y2", hoverformat="%Y-%m-%d %H:%M UTC" if step * HOUR < DAY else "%Y-%m-%d"),
            yaxis=gigawatts(domain=[0.36, 1], rangemode="tozero"),
            yaxis2=gigawatts(domain=[0, 0.25], nticks=4),
            annotations=[note],
        ),
    }
