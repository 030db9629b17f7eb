"""Which figures a report has: what is drawn on the charts for a week, and what is said to those who can't see them."""

import calendar

import numpy as np
import pandas as pd

from report.basis import Basis, full_weeks
from report.charts import COLOURS, PREDICTED, Chart
from report.facts import Facts, Power
from report.production import TARGETS
from report.summary import gw
from report.week import HOURS, WEEK, hours_of, name_of

MONTHS = [pd.Timestamp(2015, month, 1).day_of_year for month in range(1, 13)]
FORMER = "#AAAAAA"


class Drawings:
    """The figures of one week after the other, on the same two charts."""

    def __init__(self):
        """Make the charts."""
        self.week = Chart([24 * day for day in range(8)], HOURS)
        self.year = Chart(MONTHS, 366)
        self.year.label([day + 15 for day in MONTHS], list(calendar.month_abbr)[1:])

    def draw(self, basis: Basis, facts: Facts) -> dict[str, list[str]]:
        """Return the SVG elements by their place in the report: ``week``, ``following``, ``years``."""
        following = facts.start + WEEK if facts.following else None
        return {
            "week": [self.hours(basis, facts.start, power, True) for power in facts.powers],
            "following": [self.hours(basis, following, power, False) for power in facts.powers] if following else [],
            "years": [self.years(basis, facts, power) for power in facts.powers],
        }

    def hours(self, basis: Basis, start: pd.Timestamp, power: Power, recorded: bool) -> str:
        """Return the predicted power of a week's hours, with the recorded one if it is to be shown."""
        target = power.target
        predicted = hours_of(basis.predicted, start)
        x = ((predicted.index - start) / pd.Timedelta(hours=1)).to_numpy() + 0.5
        days = pd.date_range(start, periods=7, freq="D")
        self.week.label([24 * day + 12 for day in range(7)], [f"{day:%a} {day.day}" for day in days])
        dots = {"color": PREDICTED, "linestyle": (0, (1.5, 1.2)), "linewidth": 1.5}
        lines = [(x, predicted[target].to_numpy(), dots)]
        text = f"{power.name}, week {name_of(start)}: predicted {gw(predicted[target].mean())} on average"
        if recorded:
            solid = {"color": COLOURS[target], "linewidth": 2.2}
            lines.insert(0, (x, hours_of(basis.recorded[target], start).to_numpy(), solid))
            text += f", recorded {gw(power.mean)}; recorded from {gw(power.lowest.value)} to {gw(power.highest.value)}"
        low, high = f"{target}_q10", f"{target}_q90"
        band = (x, predicted[low].to_numpy(), predicted[high].to_numpy()) if high in predicted else None
        return self.week.draw(lines, band, f"Line chart. {text}.")

    def years(self, basis: Basis, facts: Facts, power: Power) -> str:
        """Return the weekly means of this year beside those of the former years."""
        weeks = full_weeks(basis, facts.start)[power.target]
        thursdays = weeks.index + pd.Timedelta(days=3)  # which says to which year a week belongs
        lines = []
        for year in sorted(set(thursdays.year)):
            chosen = thursdays.year == year
            this = year == facts.start.isocalendar().year
            style = {"color": COLOURS[power.target], "linewidth": 2.5, "zorder": 3} if this else {"color": FORMER}
            lines.append((thursdays[chosen].day_of_year.to_numpy(), weeks[chosen].to_numpy(), style))
        if facts.start in weeks.index:
            # A dot is a line of no length with a round end.
            x, y = (facts.start + pd.Timedelta(days=3)).day_of_year, weeks[facts.start]
            dot = {"color": PREDICTED, "linewidth": 8, "solid_capstyle": "round", "zorder": 4}
            lines.append(([x, x + 0.01], [y, y], dot))
        text = f"Line chart. {power.name}, weekly means: {len(weeks)} weeks"
        if len(weeks):
            text += f", from {gw(weeks.min())} to {gw(weeks.max())}"
        return self.year.draw(lines, None, f"{text}. This week {gw(power.mean)}.")


def daily(basis: Basis, facts: Facts) -> list[dict]:
    """Return the means of each day of the week in GW, recorded and predicted, by target; NaN where there are none."""
    rows = []
    for day in pd.date_range(facts.first.floor("D"), facts.last, freq="D"):
        hours = slice(day, day + pd.Timedelta(hours=23))
        recorded, predicted = basis.recorded.loc[hours], basis.predicted.loc[hours]
        values = [frame[target].mean() for target in TARGETS for frame in (recorded, predicted)]
        rows.append({"day": day, "values": [float(np.round(value, 2)) for value in values]})
    return rows
