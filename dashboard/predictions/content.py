"""The content of the page for a range of days: measures, figures with a sentence each, and the CSV."""

import pandas as pd
from dash import html

from dashboard.components import drawings, measure, number, quantity, table
from dashboard.date_range import Range
from dashboard.follower import View
from dashboard.predictions.figures import STEPS, calendar, lines, marked, scatter, step_of
from dashboard.predictions.series import Series, error_of, measures_of
from dashboard.targets import Target

CLIMATOLOGY = "MAE saved against the mean of that month and hour in the years before"
MEANING = {
    "mae": ("MAE", "mean absolute error: how far off an hour is"),
    "rmse": ("RMSE", "root mean squared error: large errors count more"),
    "bias": ("Bias", "mean of predicted minus recorded"),
    "r2": ("r²", "share of the ups and downs that is explained; 1 is perfect"),
    "skill_climatology": ("Skill against climatology", CLIMATOLOGY),
    "skill_persistence": ("Skill against persistence", "MAE saved against the same hour of the day before"),
    "hours": ("Hours", "that were recorded and count"),
}
Calendars = dict[Target, tuple[dict, str]]  # a year's figure, without a mark, and its sentence


def content(series: Series, shown: Range, calendars: Calendars) -> tuple:
    """Return everything that a range changes: a sentence, the measures, the figures.

    ``calendars`` are those of the year of the range's last day.
    """
    parts = {target: hours.loc[shown.hours] for target, hours in series.items()}
    measures = {target: measures_of(hours) for target, hours in parts.items()}
    drawn = {}
    for target, hours in parts.items():
        year, sentence = calendars[target]
        drawn[f"series-{target.name}"] = lines(target, hours), words_of_lines(target, hours)
        drawn[f"calendar-{target.name}"] = marked(year, shown), sentence
        drawn[f"scatter-{target.name}"] = scatter(target, hours), words_of_scatter(target, measures[target])
    hours, counted = 24 * shown.days, max(of_target["hours"] for of_target in measures.values())
    lead = f"{shown.first} to {shown.last} (UTC): {hours} hours, {STEPS[step_of(hours)]}"
    if counted < hours:
        lead += f"; {counted or 'none'} of them were recorded and count"
    seen = max(int(hours["seen"].sum()) for hours in parts.values())
    caution = f"The model has learnt from {seen} of these hours, so it looks better here than it is." if seen else ""
    return (
        f"{lead}.",
        [html.P(caution, className="caution"), measures_table(f"{shown.first} to {shown.last}, by the hour", measures)],
        drawings(drawn),
    )


def measures_table(caption: str, measures: dict[Target, dict[str, float]]) -> html.Div:
    """Return the table of the measures."""
    rows = [
        [name, *(measure(key, errors[key], target.unit) for target, errors in measures.items()), meaning]
        for key, (name, meaning) in MEANING.items()
    ]
    header = ["Measure", *(target.label for target in measures), "What it says"]
    return table(caption, header, rows, range(1, 1 + len(measures)))


def calendars_of(series: Series, year: int) -> Calendars:
    """Return each target's calendar of a year."""
    days, calendars = pd.date_range(f"{year}-01-01", f"{year}-12-31", tz="UTC"), {}
    for target, hours in series.items():
        mae = error_of(hours).abs().resample("D").mean()
        of_year = mae.reindex(days)
        calendars[target] = calendar(target, of_year, max(0.1, mae.max())), words_of_calendar(target, of_year)
    return calendars


def words_of_lines(target: Target, hours: pd.DataFrame) -> str:
    """Return what the lines over time show, in a sentence."""
    known = hours[error_of(hours).notna()]
    if known.empty:
        return "No hour of this range was recorded."
    error = error_of(known)
    worst = error.abs().idxmax()
    text = (
        f"Mean recorded {quantity(known['actual'].mean(), target.unit)}, "
        f"predicted {quantity(known['forecast'].mean(), target.unit)}. "
        f"Largest error {quantity(error[worst], target.unit, sign=True)} at {worst:%Y-%m-%d %H:%M} UTC."
    )
    ranged = known[known["high"] > known["low"]]  # solar power in the dark has none, and would flatter the model
    if ranged.empty:
        return text
    share = number(100 * ranged["actual"].between(ranged["low"], ranged["high"]).mean(), 0)
    return f"{text} Of 100 hours that have a range, {share} lie in it; 80 are expected."


def words_of_calendar(target: Target, mae: pd.Series) -> str:
    """Return what the calendar shows, in a sentence; ``mae`` are the days of the year."""
    year = mae.index[0].year
    if mae.isna().all():
        return f"No day of {year} was recorded."
    median, highest = quantity(mae.median(), target.unit), quantity(mae.max(), target.unit)
    return (
        f"{year}, mean absolute error of each day: {median} on the median day, {highest} on the worst, "
        f"{mae.idxmax():%Y-%m-%d}. The bar above the days marks the range."
    )


def words_of_scatter(target: Target, measures: dict[str, float]) -> str:
    """Return what the cloud of points shows, in a sentence."""
    if not measures["hours"]:
        return "No hour of this range was recorded."
    bias = measures["bias"]
    side = (
        f"{quantity(abs(bias), target.unit)} {'over' if bias > 0 else 'under'}" if abs(bias) >= 0.005 else "as high as"
    )
    return (
        f"Hours: {measures['hours']}; on the dashed line prediction and record are the same. On average the prediction "
        f"is {side} the record; r² is {number(measures['r2'])}."
    )


def csv_of(view: View, shown: Range) -> str:
    """Return recorded and predicted values of a range as CSV, a row for each hour of the table."""
    frame, predicted = view.table.frame.loc[shown.hours], view.forecast.loc[shown.hours].add_prefix("predicted_")
    rows = pd.concat([frame[view.table.targets], predicted, frame[["repaired", "split"]]], axis=1)
    return rows.to_csv(index_label="utc_timestamp", float_format="%.4f", lineterminator="\r\n")
