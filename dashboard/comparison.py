"""What the page of predictions says of a range of days: measures, figures, and a sentence for each figure."""

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pandas as pd

from dashboard.figures.errors import calendar, marked, scatter
from dashboard.figures.series import STEPS, recorded_and_predicted, step_of
from dashboard.hours import Hours
from dashboard.parts import gw, number
from dashboard.ranges import Range
from report.production import TARGETS

KINDS = ["series", "calendar", "scatter"]


@dataclass(frozen=True)
class Year:
    """The calendar of a year, by target: the figure without a mark, and what it shows."""

    year: int
    figures: dict[str, dict]
    words: dict[str, str]


@dataclass(frozen=True)
class Comparison:
    """Everything about a range that does not depend on who looks."""

    measures: dict[str, dict[str, float]]  # by target
    figures: list[dict]  # in the order of KINDS, solar before wind
    words: list[str]  # a sentence for each figure
    sentence: str  # what was compared
    trained: int  # hours that the model has learnt from


def calendar_of(hours: Hours, year: int) -> Year:
    """Return the calendar of a year of which at least one day is in the hours."""
    new_year, (first, last) = date(year, 1, 1), hours.days
    begin, end = max(first, new_year), min(last, date(year, 12, 31))
    figures, words = {}, {}
    for target in TARGETS:
        mae = hours.daily_mae(target)
        days = np.full((date(year + 1, 1, 1) - new_year).days, np.nan)
        days[(begin - new_year).days : (end - new_year).days + 1] = mae[(begin - first).days : (end - first).days + 1]
        figures[target] = calendar(target, year, days, float(np.max(mae, initial=0.1, where=np.isfinite(mae))))
        words[target] = of_calendar(days, year)
    return Year(year, figures, words)


def compare(hours: Hours, shown: Range, year: Year) -> Comparison:
    """Return the comparison of recorded and predicted power in a range; ``year`` is that of its last day."""
    part = hours.between(shown.first, shown.last)
    measures = {target: part.measures(target) for target in TARGETS}
    lines = [
        recorded_and_predicted(t, part.start, part.recorded[t], part.predicted[t], part.band.get(t)) for t in TARGETS
    ]
    calendars = [marked(year.figures[t], year.year, (shown.first, shown.last)) for t in TARGETS]
    clouds = [scatter(t, part.recorded[t], part.predicted[t]) for t in TARGETS]
    words = [
        *(of_series(part, t) for t in TARGETS),
        *(year.words[t] for t in TARGETS),
        *(of_scatter(measures[t]) for t in TARGETS),
    ]
    counted = max(measures[t]["hours"] for t in TARGETS)
    sentence = f"{len(part)} hours, {STEPS[step_of(len(part))]}"
    if counted < len(part):
        sentence += f"; {counted} of them were recorded and count"
    return Comparison(measures, [*lines, *calendars, *clouds], words, sentence + ".", int(part.trained.sum()))


def of_series(part: Hours, target: str) -> str:
    """Return what the lines over time show."""
    recorded, predicted = part.recorded[target], part.predicted[target]
    known = np.isfinite(recorded) & np.isfinite(predicted)
    if not known.any():
        return "No hour of this range was recorded."
    error = np.where(known, predicted - recorded, 0.0)
    worst = int(np.abs(error).argmax())
    when = part.start + pd.Timedelta(hours=worst)
    text = (
        f"Mean recorded {gw(recorded[known].mean())}, predicted {gw(predicted[known].mean())}. "
        f"Largest error {gw(error[worst], sign=True)} at {when:%Y-%m-%d %H:%M} UTC."
    )
    if band := part.band.get(target):
        # In the dark the power is 0, and so is a range: such hours would flatter it.
        ranged = known & (band[1] > band[0])
        inside = (recorded >= band[0]) & (recorded <= band[1])
        if ranged.any():
            share = number(100 * inside[ranged].mean(), 0)
            text += f" Of 100 hours that have a range, {share} lie in it; 80 are expected."
    return text


def of_calendar(mae: np.ndarray, year: int) -> str:
    """Return what the calendar shows; ``mae`` are the days of the year, in GW."""
    if not np.isfinite(mae).any():
        return f"No day of {year} was recorded."
    worst = date(year, 1, 1) + timedelta(days=int(np.nanargmax(mae)))
    return (
        f"{year}, mean absolute error of each day: {gw(np.nanmedian(mae))} on the median day, {gw(np.nanmax(mae))} on "
        f"the worst, {worst}. The bar above the days marks the range."
    )


def of_scatter(measures: dict[str, float]) -> str:
    """Return what the cloud of points shows."""
    if not measures["hours"]:
        return "No hour of this range was recorded."
    side = "over" if measures["bias"] > 0 else "under"
    return (
        f"{measures['hours']} hours; on the dashed line prediction and record are the same. On average the prediction "
        f"is {gw(abs(measures['bias']))} {side} the record; r² is {number(measures['r2'])}."
    )
