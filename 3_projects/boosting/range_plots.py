"""Plots of the range around the mean, for people who would rather look."""

import pandas as pd
from capacity import TARGETS
from matplotlib.figure import Figure


def plot_coverage(coverage: pd.DataFrame, source: str) -> Figure:
    """Return bars of the share of hours inside the range, by target and by part of the hours."""
    figure = Figure(figsize=(9, 4), layout="constrained")
    figure.suptitle(source)
    for axes, target in zip(figure.subplots(1, 2, sharey=True), TARGETS, strict=True):
        lines = coverage[(coverage["target"] == target) & (coverage["hours of"] != "dark")]
        axes.bar(lines["hours of"], 100 * lines["inside"], color="tab:blue")
        axes.axhspan(75, 85, color="tab:green", alpha=0.3)
        axes.axhline(80, color="tab:green")
        axes.set(title=target, ylim=(0, 100), ylabel="% of the hours inside the range")
        axes.tick_params(axis="x", rotation=60)
    return figure


def plot_weeks(hours: pd.DataFrame, power: pd.DataFrame, source: str) -> Figure:
    """Return the recorded power and the range in the weeks with the most and the least power, by target."""
    figure = Figure(figsize=(12, 6), layout="constrained")
    figure.suptitle(source)
    week = hours.index.tz_convert(None).to_period("W")
    for row, target in zip(figure.subplots(2, 2), TARGETS, strict=True):
        sums = hours.groupby(week)[target].agg(["sum", "size"])
        sums = sums.loc[sums["size"] == sums["size"].max(), "sum"]
        for axes, chosen in zip(row, (sums.idxmax(), sums.idxmin()), strict=True):
            recorded, predicted = hours.loc[week == chosen, target], power[week == chosen]
            axes.fill_between(
                recorded.index, predicted[f"{target}_q10"], predicted[f"{target}_q90"], alpha=0.3, label="range"
            )
            axes.plot(recorded.index, predicted[target], label="mean")
            axes.plot(recorded.index, recorded, color="black", linewidth=1, label="recorded")
            axes.set(title=f"{target}, week of {chosen.start_time:%Y-%m-%d}", ylabel="GW")
            axes.tick_params(axis="x", rotation=30)
            axes.legend(loc="upper right")
    return figure
