"""The answer to a range of days, ready to be sent: the table of measures, the figures, the CSV."""

import json
import re
from functools import cache

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
    "hours": ("Hours", "that were recorded and count"),
}


@cache
def frame() -> str:
    """Return the table of measures as JSON, with names between @ for what changes from range to range.

    To make a table out of components takes ten times as long as to fill this in.
    """
    rows = [[name, *(f"@{key}_{t}@" for t in TARGETS), meaning] for key, (name, meaning) in MEANING.items()]
    header = ["Measure", *NAMES.values(), "What it says"]
    whole = table("@caption@", header, rows, {1, 2}, id="measures-table")
    return to_json_plotly([html.P("@caution@", className="caution"), whole])


def texts(found: Comparison, shown: Range) -> dict[str, str]:
    """Return what stands in the frame for each name; nothing in it has to be escaped in JSON."""
    caution = ""
    if found.trained:
        caution = f"The model has learnt from {found.trained} of these hours, so it looks better here than it is."
    filled = {"caption": f"{shown.first} to {shown.last}, by the hour", "caution": caution}
    for target, measures in found.measures.items():
        for key, value in measures.items():
            if key.startswith("skill"):
                text = percent(value, sign=True)
            elif key in ("r2", "hours"):
                text = number(value, 3 if key == "r2" else 0)
            else:
                text = gw(value, sign=key == "bias")
            filled[f"{key}_{target}"] = text
    return filled


def outputs(found: Comparison, shown: Range) -> tuple:
    """Return what a range adds to the page: a sentence, the table, the figures as JSON, a sentence for each figure."""
    filled = texts(found, shown)
    measures = json.loads(re.sub("@([a-zA-Z0-9_]+)@", lambda name: filled[name[1]], frame()))
    lead = f"{shown.first} to {shown.last} (UTC): {found.sentence}"
    # Dash encodes an answer twice if it sees a NaN in it, also in the middle of base64: there it is written otherwise.
    figures = json.dumps(found.figures).replace("NaN", "N\\u0061N")
    return lead, measures, figures, *found.words


def csv_of(view: View, shown: Range) -> str:
    """Return recorded and predicted power of a range as CSV, a row for each hour of the table."""
    start, end = pd.Timestamp(shown.first, tz="UTC"), pd.Timestamp(shown.last, tz="UTC") + pd.Timedelta(days=1)
    chosen = (view.table.index >= start) & (view.table.index < end)
    predicted = view.predicted[chosen].rename(columns=lambda name: f"predicted_{name}")
    rows = view.table.loc[chosen, [*TARGETS, "repaired", "split"]]
    rows = pd.concat([rows[TARGETS], predicted, rows[["repaired", "split"]]], axis=1)
    return rows.to_csv(index_label="utc_timestamp", float_format="%.4f", lineterminator="\r\n")
