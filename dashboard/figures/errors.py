"""Where the error lies: a calendar of its size day by day, and predicted power against recorded."""

from datetime import date, timedelta

import numpy as np

from dashboard.figures.base import COLOURS, MONTHS, NAMES, array, gigawatts, layout

MOST_POINTS = 2208  # of a scatter; more are counted in cells
CELLS = 48
WEEKDAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]


def calendar(target: str, year: int, mae: np.ndarray, highest: float) -> dict:
    """Return a year of days, a column for each week: ``mae`` is each day's mean absolute error in GW, NaN for none.

    ``highest`` is where the colours end, the same for all years.
    """
    first = date(year, 1, 1)
    cells = np.full((7, 54), np.nan)
    place = np.arange(len(mae)) + first.weekday()
    cells[place % 7, place // 7] = mae
    names = np.full((7, 54), "", dtype=object)
    names[place % 7, place // 7] = [str(first + timedelta(days=day)) for day in range(len(mae))]
    months = [(date(year, month, 1) - first).days + first.weekday() for month in range(1, 13)]
    cell = {
        "type": "heatmap",
        "z": array(cells),
        "text": names.tolist(),
        "x0": 0,
        "dx": 1,
        "y": WEEKDAYS,
        "xgap": 1.5,
        "ygap": 1.5,
        "zmin": 0,
        "zmax": highest,
        "colorscale": [[0, "@faint"], [0.5, COLOURS[target]], [1, COLOURS[target] + "Deep"]],
        "hovertemplate": "%{text}: %{z:.2f} GW<extra></extra>",
        "hoverongaps": False,
        "colorbar": {
            "orientation": "h",
            "thickness": 8,
            "len": 0.5,
            "x": 1,
            "xanchor": "right",
            "y": -0.12,
            "yanchor": "top",
            "ticksuffix": " GW",
            "nticks": 5,
            "outlinewidth": 0,
        },
    }
    return {
        "data": [cell],
        "layout": layout(
            200,
            margin={"l": 34, "r": 4, "t": 24, "b": 44},
            xaxis={
                "tickvals": [(day + 6) // 7 for day in months],
                "ticktext": MONTHS,
                "side": "top",
                "showgrid": False,
                "zeroline": False,
                "fixedrange": True,
                "range": [-0.6, 53.6],
            },
            yaxis={
                "range": [6.5, -1],
                "showgrid": False,
                "zeroline": False,
                "fixedrange": True,
                "tickvals": ["Mon", "Wed", "Fri", "Sun"],
            },
        ),
    }


def marked(calendar: dict, year: int, shown: tuple[date, date]) -> dict:
    """Return the calendar of a year with a bar above the weeks from the first to the last day of a range."""
    first, last = date(year, 1, 1), date(year, 12, 31)
    column = [((max(min(day, last), first) - first).days + first.weekday()) // 7 for day in shown]
    mark = {
        "type": "line",
        "x0": column[0] - 0.5,
        "x1": column[1] + 0.5,
        "y0": -0.75,
        "y1": -0.75,
        "line": {"color": "@ink", "width": 3},
    }
    return calendar | {"layout": calendar["layout"] | {"shapes": [mark]}}


def scatter(target: str, recorded: np.ndarray, predicted: np.ndarray) -> dict:
    """Return predicted against recorded power in GW: hour by hour, or counted in cells where there are too many."""
    known = np.isfinite(recorded) & np.isfinite(predicted)
    recorded, predicted = recorded[known], predicted[known]
    top = float(max(recorded.max(initial=0.1), predicted.max(initial=0.1)) * 1.05)
    hover = "recorded %{x:.2f} GW<br>predicted %{y:.2f} GW<extra></extra>"
    if len(recorded) <= MOST_POINTS:
        cloud = {
            "type": "scatter",
            "mode": "markers",
            "x": array(recorded),
            "y": array(predicted),
            "marker": {"color": COLOURS[target], "size": 5, "opacity": 0.55},
            "hovertemplate": hover,
        }
    else:
        counts, edges, _ = np.histogram2d(predicted, recorded, CELLS, [[0, top], [0, top]])
        width = edges[1] - edges[0]
        cloud = {
            "type": "heatmap",
            "z": array(np.where(counts > 0, np.log10(np.maximum(counts, 1)), np.nan)),
            "customdata": array(counts),
            "x0": width / 2,
            "dx": width,
            "y0": width / 2,
            "dy": width,
            "colorscale": [[0, "@faint"], [0.5, COLOURS[target]], [1, COLOURS[target] + "Deep"]],
            "showscale": False,
            "hoverongaps": False,
            "hovertemplate": "%{customdata:.0f} hours<br>" + hover,
        }
    line = {
        "type": "scatter",
        "mode": "lines",
        "x": [0, top],
        "y": [0, top],
        "line": {"color": "@ink", "width": 1.2, "dash": "3px,2px"},
        "hoverinfo": "skip",
    }
    axis = gigawatts(range=[0, top])
    return {
        "data": [cloud, line],
        "layout": layout(
            340,
            margin={"l": 56, "r": 12, "t": 12, "b": 44},
            showlegend=False,
            hovermode="closest",
            xaxis=axis | {"title": {"text": f"{NAMES[target]} recorded"}},
            yaxis=axis | {"title": {"text": "predicted"}},
        ),
    }
