"""The figures that the report and the dashboard share. Pure functions of tables with an hourly UTC index, in GW."""

import itertools

import pandas as pd
import plotly.graph_objects as go

NAMES = {"solar_GW": "Solar", "wind_GW": "Wind"}
# Okabe and Ito's palette, which colour-blind readers can tell apart.
COLOURS = {"solar_GW": "#E69F00", "wind_GW": "#0072B2"}
PREDICTED = "#222222"
YEARS = ["#56B4E9", "#009E73", "#CC79A7", "#D55E00", "#0072B2", "#E69F00", "#000000"]


def layout(figure: go.Figure, title: str, height: int = 320) -> go.Figure:
    """Return the figure with the look that all of them have."""
    return figure.update_layout(
        title={"text": title, "font": {"size": 15}, "x": 0, "xref": "paper", "y": 0.97, "yanchor": "top"},
        template="plotly_white",
        height=height,
        margin={"l": 50, "r": 15, "t": 60, "b": 35},
        yaxis={"title": "GW", "rangemode": "tozero"},
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        hovermode="x unified",
    )


def by_year(table: pd.DataFrame, target: str) -> go.Figure:
    """Return the rolling weekly mean of a target, one line a year, on one calendar axis."""
    weekly = table[target].rolling("7D", min_periods=7 * 24).mean().resample("D").last().dropna()
    figure = go.Figure()
    years = sorted(weekly.index.year.unique())
    for year, colour in zip(years, itertools.cycle(YEARS), strict=False):
        days = weekly[weekly.index.year == year]
        last = year == years[-1]
        figure.add_scatter(
            # All in 2000, a leap year, so that every day has a place.
            x=days.index.map(lambda day: day.replace(year=2000, tzinfo=None)),
            y=days.round(3),
            name=str(year),
            line={"color": colour, "width": 3 if last else 1.5},
        )
    figure.update_xaxes(tickformat="%b", hoverformat="%d %b", dtick="M1")
    return layout(figure, f"{NAMES[target]}: mean of seven days, by year")


def recorded_and_predicted(recorded: pd.Series | None, predicted: pd.Series, target: str, title: str) -> go.Figure:
    """Return the two lines of a target over time; ``recorded`` is None where nothing has been recorded yet."""
    figure = go.Figure()
    if recorded is not None:
        figure.add_scatter(
            x=recorded.index.tz_localize(None), y=recorded.round(3), name="recorded", line={"color": COLOURS[target]}
        )
    figure.add_scatter(
        x=predicted.index.tz_localize(None),
        y=predicted.round(3),
        name="predicted",
        line={"color": PREDICTED, "dash": "dot", "width": 1.5},
    )
    figure.update_xaxes(title=None, hoverformat="%a %d %b %Y %H:%M UTC")
    return layout(figure, title)
