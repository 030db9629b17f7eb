"""What the reports of all weeks are made from: the hourly table, the production model, and what follows from them.

It is read from MLflow once and computed for all hours at once. All frames have the table's hourly UTC index without
gaps; values are in the units of the targets.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from forecasting.baselines import climatology, persistence
from forecasting.production import Production
from forecasting.table import HourlyTable
from report import verdict
from report.week import WEEK, monday

DECIMALS = 6  # a forest sums its trees in any order, so the digits after these differ from run to run
RANKED_HOURS = 160  # recorded hours that a week needs to be ranked among the others


@dataclass(frozen=True)
class ReportInputs:
    """What is computed before any week is chosen."""

    table: HourlyTable
    production: Production
    seen: np.ndarray  # whether the model has learnt from an hour
    actuals: pd.DataFrame  # NaN where the hour was filled in
    predicted: pd.DataFrame  # with TARGET_q10 and TARGET_q90 if the model predicts them
    baselines: dict[str, pd.DataFrame]
    weekly: pd.DataFrame  # means of the actuals of the weeks that can be ranked, by first hour
    references: dict[str, verdict.Reference]


def prepare(table: HourlyTable, production: Production) -> ReportInputs:
    """Compute what all reports share; raises KeyError if the table lacks a column that the model takes."""
    frame, targets, actuals = table.frame, table.targets, table.actuals()
    predicted = production.predict(frame).round(DECIMALS)
    seen = table.seen_by(production.training)
    first = monday(frame.index[0])
    starts = pd.Series(first + (frame.index - first) // WEEK * WEEK, frame.index)
    weeks = actuals.groupby(starts)
    unseen = pd.Series(table.holdout() & ~seen, frame.index)
    errors = (predicted[targets] - actuals).abs()
    return ReportInputs(
        table=table,
        production=production,
        seen=seen,
        actuals=actuals,
        predicted=predicted,
        baselines={"persistence": persistence(frame, targets), "climatology": climatology(frame, targets)},
        weekly=weeks.mean()[weeks.count().min(axis=1) >= RANKED_HOURS],
        references={
            target: verdict.make_reference(predicted[target], errors[target], unseen, starts) for target in targets
        },
    )
