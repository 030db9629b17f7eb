"""Recorded and predicted values over time with the error below, each day's error, and one against the other."""

import numpy as np
import pandas as pd

from dashboard.date_range import Range
from dashboard.figure_style import MONTHS, array, between, dates, labels, line, values
from dashboard.predictions.series import error_of
from dashboard.targets import Target

HOURLY_DAYS = 92  # a longer range is drawn as daily means: a screen has no room for more points
DAILY_DAYS = 2208  # and a still longer one as weekly means
STEPS = {1: "hourly", 24: "daily means", 168: "weekly means"}
HOVER = {1: "%Y-%m-%d %H:%M UTC", 24: "mean of %Y-%m-%d", 168: "mean of the 7 days from %Y-%m-%d"}
MOST_POINTS = 2208  # of a scatter; more are counted in cells
CELLS = 48
WEEKDAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
DASHED = "3px,2px"


def step_of(hours: int) -> int:
    """Return how many hours one drawn point stands for; no line gets more than 2,208 points in 40 years."""
    return 1 if hours <= 24 * HOURLY_DAYS else 24 if hours <= 24 * DAILY_DAYS else 168


def lines(target: Target, hours: pd.DataFrame) -> dict:
    """Return actuals, forecast and its range over time, and the error below."""
    step = step_of(len(hours))
    # What was not recorded is left out of the prediction's mean too, or the error would compare different hours.
    drawn = hours[["actual", "forecast", "low", "high"]].assign(error=error_of(hours))
    drawn = drawn.resample(f"{step}h", origin="start").mean()
    error = drawn["error"].round(2) + 0.0  # no minus before a 0.00
    area = {"fill": "tozeroy", "fillcolor": f"{target.colour}Soft", "yaxis": "y2", "showlegend": False}
    traces = between("range (10 to 90 %)", drawn["low"], drawn["high"]) if drawn["low"].notna().any() else []
    traces += [
        line(drawn["actual"], target.colour, 2, name="recorded"),
        line(drawn["forecast"], "@ink", 1.4, DASHED, name="predicted"),
        line(error, target.colour, 1, name="error", **area),
    ]
    words = {"text": "error: predicted − recorded", "x": 0, "xref": "paper", "y": 0.27, "yanchor": "bottom"}
    layout = {
        "height": 380,
        "hoversubplots": "axis",
        "xaxis": dates(anchor="y2", hoverformat=HOVER[step]),
        "yaxis": values(target.unit, domain=[0.36, 1], rangemode="tozero"),
        "yaxis2": values(target.unit, domain=[0, 0.25], nticks=4, hoverformat="+.2f"),
        "annotations": [words],
    }
    return {"data": traces, "layout": layout}


def heatmap(target: Target, cells: np.ndarray, **more) -> dict:
    """Return cells whose colour grows with their number; NaN is a gap."""
    scale = [[0, "@faint"], [0.5, target.colour], [1, f"{target.colour}Deep"]]
    return {"type": "heatmap", "z": array(cells), "colorscale": scale, "hoverongaps": False} | more


def calendar(target: Target, mae: pd.Series, highest: float) -> dict:
    """Return the days of a year, a column for each week: ``mae`` is each day's mean absolute error, NaN for none.

    ``highest`` is where the colours end, the same for all years.
    """
    place = np.arange(len(mae)) + mae.index[0].weekday()
    cells, names = np.full((7, 54), np.nan), np.full((7, 54), "", dtype=object)
    cells[place % 7, place // 7], names[place % 7, place // 7] = mae, mae.index.strftime("%Y-%m-%d")
    days = heatmap(
        target,
        cells,
        text=names.tolist(),
        x0=0,
        dx=1,
        y=WEEKDAYS,
        xgap=1.5,
        ygap=1.5,
        zmin=0,
        zmax=highest,
        hovertemplate=f"%{{text}}<br>mean absolute error %{{z:.2f}} {target.unit}<extra></extra>",
        colorbar={"look": "below", "ticksuffix": f" {target.unit}"},
    )
    months = ((place[mae.index.day == 1] + 6) // 7).tolist()
    layout = {
        "height": 200,
        "margin": {"l": 34, "r": 4, "t": 24, "b": 44},
        "hovermode": "closest",
        "xaxis": labels(MONTHS, months, tickangle=0, tickfont={"size": 10}, side="top", range=[-0.6, 53.6]),
        "yaxis": labels(WEEKDAYS[::2], range=[6.5, -1]),
    }
    return {"data": [days], "layout": layout}


def marked(calendar: dict, shown: Range) -> dict:
    """Return the calendar of the year in which a range ends, with a bar above the weeks of the range."""
    new_year = shown.last.replace(month=1, day=1)
    begin, end = (((day - new_year).days + new_year.weekday()) // 7 for day in (max(shown.first, new_year), shown.last))
    bar = {"type": "line", "x0": begin - 0.5, "x1": end + 0.5, "y0": -0.75, "y1": -0.75}
    shapes = [bar | {"line": {"color": "@ink", "width": 3}}]
    return calendar | {"layout": calendar["layout"] | {"shapes": shapes}}


def scatter(target: Target, hours: pd.DataFrame) -> dict:
    """Return forecast against actuals, a point for each hour; in cells where there are too many."""
    known = hours[["actual", "forecast"]].dropna()
    top = 1.05 * max(0.1, *known.max())
    dashed = {"color": "@ink", "width": 1.2, "dash": DASHED}
    diagonal = {"type": "scatter", "mode": "lines", "x": [0, top], "y": [0, top], "line": dashed, "hoverinfo": "skip"}
    axis = values(target.unit, range=[0, top])
    layout = {
        "height": 340,
        "margin": {"l": 56, "r": 12, "t": 12, "b": 44},
        "showlegend": False,
        "hovermode": "closest",
        "xaxis": axis | {"title": {"text": f"{target.label} recorded"}},
        "yaxis": axis | {"title": {"text": "predicted"}},
    }
    cloud = points(target, known) if len(known) <= MOST_POINTS else counts(target, known, top)
    return {"data": [cloud, diagonal], "layout": layout}


def points(target: Target, known: pd.DataFrame) -> dict:
    """Return a point for each hour, whose tooltip names it."""
    return {
        "type": "scatter",
        "mode": "markers",
        "x": array(known["actual"]),
        "y": array(known["forecast"]),
        "marker": {"color": target.colour, "size": 5, "opacity": 0.55},
        "customdata": known.index.strftime("%Y-%m-%dT%H:%M").tolist(),
        "hovertemplate": "%{customdata|%Y-%m-%d %H:%M} UTC<br>recorded %{x}<br>predicted %{y}<extra></extra>",
    }


def counts(target: Target, known: pd.DataFrame, top: float) -> dict:
    """Return cells from 0 to ``top``, coloured by how many hours lie in them."""
    hours, edges, _ = np.histogram2d(known["forecast"], known["actual"], CELLS, [[0, top], [0, top]])
    width = edges[1] - edges[0]
    cells = np.log10(hours, out=np.full_like(hours, np.nan), where=hours > 0)
    words = f"recorded %{{x}} ± {width / 2:.2f}<br>predicted %{{y}} ± {width / 2:.2f}<br>hours: %{{customdata:.0f}}"
    place = {"x0": width / 2, "dx": width, "y0": width / 2, "dy": width, "showscale": False}
    return heatmap(target, cells, customdata=array(hours), hovertemplate=f"{words}<extra></extra>", **place)
