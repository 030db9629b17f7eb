"""The pictures of an evaluation. Each forecast has a colour and a line style, so that no colour has to be told."""

import pandas as pd
from matplotlib.figure import Figure

# Okabe and Ito, Color universal design (2008): told apart with any kind of colour vision.
COLOURS = ["#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9"]
STYLES = ["-", "--", "-.", ":", (0, (6, 2)), (0, (1, 1))]
LAST_DAYS = 60  # the part that is drawn large; in the whole holdout the lines lie on each other


def prices(truth: pd.Series, predicted: pd.DataFrame, title: str) -> Figure:
    """Return the predicted prices (one column for each model) and the real one, the whole holdout and its end."""
    figure = Figure(figsize=(10, 8), layout="constrained")
    for axis, days in zip(figure.subplots(2, 1), (len(truth), LAST_DAYS), strict=True):
        axis.plot(truth.tail(days), color="black", linewidth=2, label="what it was")
        for number, name in enumerate(predicted):
            style = {"color": COLOURS[number % len(COLOURS)], "linestyle": STYLES[number % len(STYLES)]}
            axis.plot(predicted[name].tail(days), linewidth=1.2, label=name, **style)
        axis.set_ylabel("closing price of the next day (USD)")
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(axis="y", alpha=0.3)
        axis.tick_params(axis="x", rotation=20)
    figure.axes[0].set_title(title)
    figure.axes[1].set_title(f"the last {min(LAST_DAYS, len(truth))} days of it")
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=5, frameon=False)
    return figure


def confusions(found: dict[str, dict[str, int]], title: str) -> Figure:
    """Return a confusion matrix for each forecast: rows are what happened, columns what was predicted, in days."""
    figure = Figure(figsize=(3 * len(found), 3.6), layout="constrained")
    figure.suptitle(title)
    for axis, (name, counts) in zip(figure.subplots(1, len(found), squeeze=False)[0], found.items(), strict=True):
        matrix = [
            [counts["true_no_rise"], counts["false_rise"]],
            [counts["false_no_rise"], counts["true_rise"]],
        ]
        total = sum(counts.values())
        axis.imshow(matrix, cmap="Blues", vmin=0, vmax=total)
        for row, column in ((0, 0), (0, 1), (1, 0), (1, 1)):
            value = matrix[row][column]
            axis.text(column, row, value, ha="center", va="center", color="white" if value > 0.55 * total else "black")
        axis.set_xticks([0, 1], ["no rise", "rise"])
        axis.set_yticks([0, 1], ["no rise", "rise"])
        axis.set_xlabel("predicted")
        axis.set_ylabel("happened")
        axis.set_title(name, fontsize=10)
    return figure
