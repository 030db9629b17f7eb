"""The figures of a week: what is drawn on the charts, and the text for a screen reader."""

import calendar

import pandas as pd

from report.charts import COLOURS, PREDICTED, Chart
from report.report_inputs import ReportInputs
from report.summary import quantity
from report.week import HOUR, HOURS, WEEK, hours_of, name_of
from report.week_statistics import TargetStatistics, WeekStatistics

MONTHS = [pd.Timestamp(2015, month, 1).day_of_year for month in range(1, 13)]
EARLIER = "#AAAAAA"
THURSDAY = pd.Timedelta(days=3)  # the day that decides to which year a week belongs


class Figures:
    """The figures of one week after the other, on the same two charts."""

    def __init__(self):
        """Make the charts."""
        self.week = Chart([24 * day for day in range(8)], HOURS)
        self.year = Chart(MONTHS, 366)
        self.year.label([day + 15 for day in MONTHS], list(calendar.month_abbr)[1:])

    def draw(self, inputs: ReportInputs, week: WeekStatistics) -> dict[str, list[str]]:
        """Return the SVG elements of the targets by their place in the report: ``week``, ``next_week``, ``years``."""
        targets = list(zip(week.targets, COLOURS * len(week.targets), strict=False))
        return {
            "week": [self.hours(inputs, week.start, one, colour) for one, colour in targets],
            "next_week": [self.hours(inputs, week.start + WEEK, one) for one, _ in targets if week.next_hours],
            "years": [self.years(inputs, week, one, colour) for one, colour in targets],
        }

    def hours(self, inputs: ReportInputs, start: pd.Timestamp, one: TargetStatistics, colour: str | None = None) -> str:
        """Return the predicted hours of a week, with the actuals if there is a colour for them."""
        target, unit = one.target, one.unit
        predicted = hours_of(inputs.predicted, start)
        x = ((predicted.index - start) / HOUR).to_numpy() + 0.5
        days = pd.date_range(start, periods=7, freq="D")
        self.week.label([24 * day + 12 for day in range(7)], [f"{day:%a} {day.day}" for day in days])
        dotted = {"color": PREDICTED, "linestyle": (0, (1.5, 1.2)), "linewidth": 1.5}
        lines = [(x, predicted[target].to_numpy(), dotted)]
        text = f"{one.title}, week {name_of(start)}: predicted from the recorded weather, "
        text += f"{quantity(predicted[target].mean(), unit)} on average"
        if colour:
            actuals = hours_of(inputs.actuals[target], start)
            lines.insert(0, (x, actuals.to_numpy(), {"color": colour, "linewidth": 2.2}))
            reach = f"{quantity(actuals.min(), unit)} to {quantity(actuals.max(), unit)}"
            text += f", recorded {quantity(one.mean, unit)}; recorded from {reach}"
        low, high = f"{target}_q10", f"{target}_q90"
        band = (x, predicted[low].to_numpy(), predicted[high].to_numpy()) if high in predicted else None
        return self.week.draw(unit, lines, band, f"Line chart. {text}.")

    def years(self, inputs: ReportInputs, week: WeekStatistics, one: TargetStatistics, colour: str) -> str:
        """Return the weekly means of this year beside those of earlier years."""
        weeks = inputs.weekly.loc[: week.start, one.target]
        thursdays = weeks.index + THURSDAY
        lines: list[tuple] = []
        for year in sorted(set(thursdays.year)):
            chosen = thursdays.year == year
            current = year == week.start.isocalendar().year
            style = {"color": colour, "linewidth": 2.5, "zorder": 3} if current else {"color": EARLIER}
            lines.append((thursdays[chosen].day_of_year.to_numpy(), weeks[chosen].to_numpy(), style))
        if week.start in weeks.index:
            # A dot is a line of no length with a round end.
            x, y = (week.start + THURSDAY).day_of_year, weeks[week.start]
            dot = {"color": PREDICTED, "linewidth": 8, "solid_capstyle": "round", "zorder": 4}
            lines.append(([x, x + 0.01], [y, y], dot))
        text = f"Line chart. {one.title}, weekly means: {len(weeks)} weeks"
        if len(weeks):
            text += f", from {quantity(weeks.min(), one.unit)} to {quantity(weeks.max(), one.unit)}"
        return self.year.draw(one.unit, lines, None, f"{text}. This week {quantity(one.mean, one.unit)}.")


def daily_means(inputs: ReportInputs, week: WeekStatistics) -> list[dict]:
    """Return the means of each day of the week, recorded and predicted, target by target; NaN if there are none."""
    rows = []
    for day in pd.date_range(week.first.floor("D"), week.last, freq="D"):
        hours = slice(day, day + 23 * HOUR)
        frames = inputs.actuals.loc[hours], inputs.predicted.loc[hours]
        rows.append({"day": day, "means": [frame[one.target].mean() for one in week.targets for frame in frames]})
    return rows
