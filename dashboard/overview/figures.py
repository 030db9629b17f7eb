"""Every year's weeks on one calendar axis."""

import numpy as np
import pandas as pd

from dashboard.figure_style import line, values
from dashboard.targets import Target

# Colour and dash together tell the years apart; the newest year has the target's colour and is thick.
LOOKS = [
    ("@year1", "solid"),
    ("@year2", "6px,2px"),
    ("@year3", "2px,2px"),
    ("@year4", "8px,2px,2px,2px"),
    ("@year5", "10px,3px"),
]
MOST_YEARS = 12  # drawn; more lines can't be told apart
CALENDAR = pd.date_range("2000-01-01", "2000-12-31", freq="24h")  # of a leap year, in which every day has a place


def weekly(series: pd.Series) -> pd.Series:
    """Return for each day the mean of the seven days that end with it, of an hourly series."""
    return series.rolling("7D", min_periods=7 * 24).mean().resample("D").last().dropna()


def by_year(target: Target, series: pd.Series) -> dict:
    """Return the rolling weekly means of an hourly series (UTC index), a line for each of the last years."""
    days = weekly(series)
    years = sorted(days.index.year.unique())[-MOST_YEARS:]
    looks = [LOOKS[place % len(LOOKS)] for place in range(len(years) - 1)][::-1]
    traces = []
    for year, (colour, dash) in zip(years, [*looks, (target.colour, "solid")], strict=False):
        of_year = days[days.index.year == year]
        means = pd.Series(np.nan, CALENDAR)
        means[of_year.index.tz_localize(None).map(lambda day: day.replace(year=2000))] = of_year.to_numpy()
        width = 3 if year == years[-1] else 1.4
        traces.append(line(means, colour, width, dash, name=str(year), connectgaps=True))  # a gap on 29 February
    axis = {"look": "months", "type": "date", "hoverformat": "mean of the 7 days to %m-%d"}
    layout = {"height": 320, "xaxis": axis, "yaxis": values(target.unit, rangemode="tozero")}
    return {"data": traces, "layout": layout}
