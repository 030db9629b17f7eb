"""Whether the inputs of the model are, in a week, like those that it has learnt from.

The mean of the week is compared with the means of all periods of seven days in the training, at the same time of the
year (30 days before to 30 days after): is it between their quantiles 0.01 and 0.99? These are values that occurred, so
they stay within what is possible, however skewed an input is. And the hours are counted in which an input is beyond
everything in the training, where a model of trees can't follow. A column that only counts the time, such as ``trend``,
is always beyond and is left out. The week's own hours never count as training.

``unusual`` is outside the quantiles; ``new`` is outside by more than a quarter of their distance, or has more than 8
hours beyond. Means are compared because the hours of a week are so alike that an index such as PSI would call almost
every week drifted. benchmarks/report.py counts both in the weeks of the holdout: 3 of 51 are ``unusual`` and none is
``new`` in the sample; in the real data it is 6 and 3 of 51, in the stormy end of 2015 and its mild December.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from forecasting.table import HourlyTable
from report.week import HOURS, WEEK

USUAL, UNUSUAL, NEW = "usual", "unusual", "new"
SEASON = 30  # days before and after
FEWEST_DAYS = 28  # of the season in the training; with fewer, all of the training is compared with
TAIL = 0.01  # of the training's weeks on either side of what is usual
FAR = 0.25  # outside of what is usual, as a share of its width
BEYOND = 8  # hours; 5 % of a week


@dataclass(frozen=True)
class Column:
    """One input in one week, in its unit; ``low`` to ``high`` is usual, ``outside`` a share of its width."""

    name: str
    title: str  # a derived column has no other title than its name, and no unit
    unit: str
    measured: bool
    mean: float
    low: float
    high: float
    outside: float
    beyond: int  # hours
    state: str


@dataclass(frozen=True)
class Drift:
    """A week's inputs beside the training; ``seasonal`` says whether that has enough of this time of the year."""

    columns: list[Column]
    seasonal: bool

    @property
    def state(self) -> str:
        """The state of the worst column."""
        return max((column.state for column in self.columns), key=[USUAL, UNUSUAL, NEW].index, default=USUAL)

    @property
    def shown(self) -> list[Column]:
        """The measured columns, and the worst derived one if they don't show what is wrong."""
        measured = [column for column in self.columns if column.measured]
        if any(column.state == self.state for column in measured):
            return measured
        worst = [column for column in self.columns if column.state == self.state]
        return measured + sorted(worst, key=lambda column: -column.outside)[:1]


def measure(table: HourlyTable, columns: list[str], seen: np.ndarray, start: pd.Timestamp) -> Drift:
    """Compare the inputs of the week that begins at ``start`` with those of the hours that the model has learnt from.

    ``columns`` are what the model takes; ``seen`` says for each hour of the table whether it has learnt from it.
    """
    values = table.frame[[name for name in columns if not table.frame[name].is_monotonic_increasing]]
    index, weekly = values.index, values.rolling(HOURS).mean()
    inside = (index >= start) & (index < start + WEEK)
    rows = values[inside].to_numpy()
    hours = seen & ~inside
    # A period of seven days must not reach into the week, before or after.
    periods = hours & weekly.iloc[:, 0].notna().to_numpy() & ~((index >= start) & (index < start + 2 * WEEK))
    middle = (start + WEEK / 2).day_of_year
    away = np.abs((index.day_of_year.to_numpy() - middle + 182) % 365 - 182)
    season = periods & (away <= SEASON)
    seasonal = int(season.sum()) >= 24 * FEWEST_DAYS
    means = weekly[season if seasonal else periods].to_numpy()
    if len(means) == 0 or len(rows) == 0:
        return Drift([], False)
    known = values[hours].to_numpy()
    beyond = ((rows < known.min(axis=0)) | (rows > known.max(axis=0))).sum(axis=0)
    mean, (low, high) = rows.mean(axis=0), np.quantile(means, [TAIL, 1 - TAIL], axis=0)
    outside = np.maximum(np.maximum(low - mean, mean - high), 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        outside = np.where(outside < 1e-9, 0.0, outside / (high - low))
    subject, measures = table.subject, []
    for place, name in enumerate(values.columns):
        measured, off, hours_beyond = name in subject.inputs, float(outside[place]), int(beyond[place])
        title, unit = (subject.label(name), subject.unit(name)) if measured else (name, "")
        state = NEW if off > FAR or hours_beyond > BEYOND else UNUSUAL if off else USUAL
        numbers = float(mean[place]), float(low[place]), float(high[place]), off, hours_beyond
        measures.append(Column(name, title, unit, measured, *numbers, state))
    return Drift(measures, seasonal)
