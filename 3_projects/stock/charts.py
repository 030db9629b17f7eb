"""The pictures of an evaluation. Each forecast has a colour and a line style, so that no colour has to be told."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from sklearn.metrics import ConfusionMatrixDisplay

from forecasting.plots import COLOURS

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


def confusions(counts: dict[str, dict[str, int]], title: str) -> Figure:
    """Return a confusion matrix for each forecast: rows are what happened, columns what was predicted, in days."""
    figure = Figure(figsize=(3 * len(counts), 3.6), layout="constrained")
    figure.suptitle(title)
    for axis, (name, days) in zip(figure.subplots(1, len(counts), squeeze=False)[0], counts.items(), strict=True):
        matrix = np.reshape(list(days.values()), (2, 2))
        ConfusionMatrixDisplay(matrix, display_labels=["no rise", "rise"]).plot(ax=axis, cmap="Blues", colorbar=False)
        axis.set(xlabel="predicted", ylabel="happened")
        axis.set_title(name, fontsize=10)
    return figure
