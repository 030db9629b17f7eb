"""The answer to a range of days, ready to be sent: the table of measures, the figures, the CSV."""

import json

import pandas as pd
from dash import html
from plotly.io.json import to_json_plotly

from dashboard.comparison import Comparison
from dashboard.figures.base import NAMES
from dashboard.live import View
from dashboard.parts import gw, number, percent, table
from dashboard.ranges import Range
from report.production import TARGETS

MEANING = {
    "mae": ("MAE", "mean absolute error: how far off an hour is"),
    "rmse": ("RMSE", "root mean squared error: large errors count more"),
    "bias": ("Bias", "mean of predicted minus recorded"),
    "r2": ("r²", "share of the ups and downs that is explained; 1 is perfect"),
    "skill_climatology": (
        "Skill against climatology",
        "MAE spared against the mean of that month and hour in former years",
    ),
    "skill_persistence": ("Skill against persistence", "MAE spared against the same hour of the day before"),
}


def measures_table(found: Comparison, shown: Range) -> list:
    """Return the measures of the range as a table, with what they mean."""
    rows = []
    for key, (name, meaning) in MEANING.items():
        values = [found.measures[target][key] for target in TARGETS]
        if key.startswith("skill"):
            cells = [percent(value, sign=True) for value in values]
        elif key == "r2":
            cells = [number(value, 3) for value in values]
        else:
            cells = [gw(value, sign=key == "bias") for value in values]
        rows.append([name, *cells, meaning])
    rows.append(
        ["Hours", *(str(found.measures[target]["hours"]) for target in TARGETS), "that were recorded and count"]
    )
    caption = f"{shown.first} to {shown.last}, by the hour"
    notes = []
    if found.trained:
        notes.append(
            html.P(
                f"The model has learnt from {found.trained} of these hours, so it looks better here than it is.",
                className="caution",
            )
        )
    return [*notes, table(caption, ["Measure", *NAMES.values(), "What it says"], rows, {1, 2}, id="measures-table")]


def outputs(found: Comparison, shown: Range) -> tuple:
    """Return what a range adds to the page, ready to be sent: most of the time of an answer goes into this."""
    table = json.loads(to_json_plotly(measures_table(found, shown)))
    lead = f"{shown.first} to {shown.last} (UTC): {found.sentence}"
    # Dash encodes an answer twice if it sees a NaN in it, also in the middle of base64: there it is written otherwise.
    figures = json.dumps(found.figures).replace("NaN", "N\\u0061N")
    return lead, table, figures, *found.words


def csv_of(view: View, shown: Range) -> str:
    """Return recorded and predicted power of a range as CSV, a row for each hour of the table."""
    start, end = pd.Timestamp(shown.first, tz="UTC"), pd.Timestamp(shown.last, tz="UTC") + pd.Timedelta(days=1)
    chosen = (view.table.index >= start) & (view.table.index < end)
    predicted = view.predicted[chosen].rename(columns=lambda name: f"predicted_{name}")
    rows = view.table.loc[chosen, [*TARGETS, "repaired", "split"]]
    rows = pd.concat([rows[TARGETS], predicted, rows[["repaired", "split"]]], axis=1)
    return rows.to_csv(index_label="utc_timestamp", float_format="%.4f", lineterminator="\r\n")
