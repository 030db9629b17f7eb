"""Plots of an evaluation. Each forecast has a colour, and a marker or its place, so that no colour has to be told."""

import pandas as pd
from matplotlib.figure import Figure

# Okabe and Ito, Color universal design (2008): told apart with any kind of colour vision.
COLOURS = ["#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#F0E442", "#000000"]
MARKERS = ["o", "s", "^", "D", "v", "P", "X", "*"]


def panels(targets: dict[str, str]) -> tuple[Figure, list]:
    """Return an empty figure with a panel for each target."""
    figure = Figure(figsize=(9, 3.2 * len(targets) + 0.8), layout="constrained")
    axes = figure.subplots(len(targets), 1, squeeze=False)[:, 0]
    for axis, (target, unit) in zip(axes, targets.items(), strict=True):
        axis.set_ylabel(f"MAE of {target} ({unit})")
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(axis="y", alpha=0.3)
        axis.set_axisbelow(True)
    return figure, list(axes)


def by_season(evaluation: pd.DataFrame, targets: dict[str, str]) -> Figure | None:
    """Return bars of the mean absolute error of each forecast in each season, None if there are no seasons."""
    rows = evaluation[evaluation["by"] == "season"]
    if rows.empty:
        return None
    figure, axes = panels(targets)
    forecasts, seasons = list(dict.fromkeys(rows["forecast"])), list(dict.fromkeys(rows["part"]))
    width = 0.8 / len(forecasts)
    for axis, target in zip(axes, targets, strict=True):
        table = rows[rows["target"] == target].pivot(index="part", columns="forecast", values="mae").loc[seasons]
        for number, name in enumerate(forecasts):
            places = [place - 0.4 + width * (number + 0.5) for place in range(len(seasons))]
            colour = COLOURS[number % len(COLOURS)]
            axis.bar(places, table[name], width, color=colour, edgecolor="white", label=name)
        axis.set_xticks(range(len(seasons)), seasons)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=3, frameon=False)
    return figure


def by_hour(evaluation: pd.DataFrame, targets: dict[str, str]) -> Figure | None:
    """Return lines of the mean absolute error of each forecast by hour of the day (UTC), None for daily values."""
    rows = evaluation[evaluation["by"] == "hour"]
    if rows.empty:
        return None
    figure, axes = panels(targets)
    for axis, target in zip(axes, targets, strict=True):
        for number, name in enumerate(dict.fromkeys(rows["forecast"])):
            line = rows[(rows["target"] == target) & (rows["forecast"] == name)]
            style = {"color": COLOURS[number % len(COLOURS)], "marker": MARKERS[number % len(MARKERS)]}
            axis.plot(line["part"].astype(int), line["mae"], label=name, markersize=5, **style)
        axis.set_xticks(range(0, 24, 3))
        axis.set_ylim(bottom=0)
    axes[-1].set_xlabel("hour of the day (UTC)")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=3, frameon=False)
    return figure
