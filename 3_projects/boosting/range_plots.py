"""A plot of the range around the mean in the weeks with the most and the least power."""

import pandas as pd
from capacity import TARGETS
from matplotlib.figure import Figure


def plot_weeks(hours: pd.DataFrame, power: pd.DataFrame, data_title: str) -> Figure:
    """Return a figure of actual power, forecast and range in the weeks with the most and the least power, by target."""
    figure = Figure(figsize=(12, 6), layout="constrained")
    figure.suptitle(data_title)
    week = hours.index.tz_convert(None).to_period("W")
    for row, target in zip(figure.subplots(2, 2), TARGETS, strict=True):
        sums = hours.groupby(week)[target].agg(["sum", "size"])
        sums = sums.loc[sums["size"] == sums["size"].max(), "sum"]
        for axes, chosen in zip(row, (sums.idxmax(), sums.idxmin()), strict=True):
            actual, predicted = hours.loc[week == chosen, target], power[week == chosen]
            axes.fill_between(
                actual.index, predicted[f"{target}_q10"], predicted[f"{target}_q90"], alpha=0.3, label="range"
            )
            axes.plot(actual.index, predicted[target], label="mean")
            axes.plot(actual.index, actual, color="black", linewidth=1, label="actual")
            axes.set(title=f"{target}, week of {chosen.start_time:%Y-%m-%d}", ylabel="GW")
            axes.tick_params(axis="x", rotation=30)
            axes.legend(loc="upper right")
    return figure
