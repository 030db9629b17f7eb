"""The colours of the figures that are logged on runs, and the figure of errors by season or hour."""

import pandas as pd
from matplotlib.figure import Figure

# Okabe and Ito, Color universal design (2008): told apart with any kind of colour vision.
COLOURS = ["#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#F0E442", "#000000"]


def draw_errors(rows: pd.DataFrame, targets: dict[str, str], **style) -> Figure:
    """Return a panel for each target with each forecast's mean absolute error; ``style`` is for pandas' plot."""
    figure = Figure(figsize=(9, 3.2 * len(targets) + 0.8), layout="constrained")
    axes = figure.subplots(len(targets), 1, squeeze=False)[:, 0]
    forecasts, parts = rows["forecast"].unique(), rows["part"].unique()
    for axis, (target, unit) in zip(axes, targets.items(), strict=True):
        errors = rows[rows["target"] == target].pivot(index="part", columns="forecast", values="mae")
        errors.loc[parts, forecasts].plot(ax=axis, color=COLOURS, rot=0, legend=False, **style)
        axis.set(xlabel="", ylabel=f"MAE of {target} ({unit})", ylim=(0, None))
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(axis="y", alpha=0.3)
        axis.set_axisbelow(True)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=3, frameon=False)
    return figure
