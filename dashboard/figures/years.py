"""Every year's weeks on one calendar axis."""

import numpy as np
import pandas as pd

from dashboard.figures.base import COLOURS, DAY, array, gigawatts, layout

# Colour and dash together tell the years apart; the newest year has the target's colour and is thick.
LOOKS = [
    ("@year1", "solid"),
    ("@year2", "6px,2px"),
    ("@year3", "2px,2px"),
    ("@year4", "8px,2px,2px,2px"),
    ("@year5", "10px,3px"),
]
MOST_YEARS = 12  # drawn; more lines can't be told apart
CALENDAR = 2000  # a leap year, so that every day has a place


def weekly(power: pd.Series) -> pd.Series:
    """Return for each day the mean of the seven days that end with it, in the unit of the hourly ``power``."""
    return power.rolling("7D", min_periods=7 * 24).mean().resample("D").last().dropna()


def by_year(target: str, power: pd.Series) -> dict:
    """Return the rolling weekly means of the hourly ``power`` (GW, UTC index), a line for each of the last years."""
    days = weekly(power)
    years = sorted(days.index.year.unique())[-MOST_YEARS:]
    traces = []
    for place, year in enumerate(years):
        of_year = days[days.index.year == year]
        places = of_year.index.map(lambda day: (day.replace(year=CALENDAR, tzinfo=None) - FIRST).days).to_numpy(int)
        values = np.full(366, np.nan)
        values[places] = of_year
        newest = year == years[-1]
        colour, dash = (COLOURS[target], "solid") if newest else LOOKS[(len(years) - 2 - place) % len(LOOKS)]
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": str(year),
                "x0": f"{CALENDAR}-01-01",
                "dx": DAY,
                "y": array(values),
                "connectgaps": True,  # 29 February
                "line": {"color": colour, "width": 3 if newest else 1.4, "dash": dash},
                "hovertemplate": "%{y:.2f} GW",
            }
        )
    return {
        "data": traces,
        "layout": layout(
            320,
            hovermode="x unified",
            xaxis={
                "type": "date",
                "range": [f"{CALENDAR}-01-01", f"{CALENDAR}-12-31"],
                "tickformat": "%b",
                "hoverformat": "%m-%d",
                "dtick": "M1",
                "showgrid": False,
                "ticks": "outside",
                "tickcolor": "@axis",
                "linecolor": "@axis",
                "showline": True,
            },
            yaxis=gigawatts(rangemode="tozero"),
        ),
    }


FIRST = pd.Timestamp(CALENDAR, 1, 1)
