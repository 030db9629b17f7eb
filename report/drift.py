"""Whether the inputs of the model are, in a week, like those that it was trained on.

The mean of the week is compared with the means of all periods of seven days in the training, at the same time of the
year (30 days before to 30 days after): by how many of their standard deviations is it off? And the hours are counted in
which an input is beyond everything in the training, as no model of trees can follow there. A column that only counts
the time, such as ``trend``, is always beyond and left out. So are the week's own hours from what it is compared with.

``unusual`` is more than 2 standard deviations; ``new`` is more than 3, or more than 8 hours beyond. Means are compared
since the hours of a week are so alike that an index such as PSI would call almost every week drifted. Of the weeks of
the holdout, 3 of 51 are ``unusual`` and none is ``new`` in the sample; in the real data it is 10 and 3 of 51, in the
stormy end of 2015 and its mild December (benchmarks/report.py).
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from report.week import HOURS, WEEK

USUAL, UNUSUAL, NEW = "usual", "unusual", "new"
SEASON = 30  # days before and after
FEWEST_DAYS = 28  # of the season in the training; with fewer, all of the training is compared with
LIMITS = {UNUSUAL: 2.0, NEW: 3.0}  # standard deviations
BEYOND = 8  # hours; 5 % of a week
# How people call the measured columns. A derived column has no other name than its own.
LABELS = {
    "windspeed": ("wind speed", "m/s"),
    "temperature": ("temperature", "°C"),
    "rad_horizontal": ("direct radiation", "W/m²"),
    "rad_diffuse": ("diffuse radiation", "W/m²"),
}


@dataclass(frozen=True)
class Column:
    """One input in one week, in its own unit; ``low`` to ``high`` is the mean of the training +- 2 deviations."""

    name: str
    mean: float
    low: float
    high: float
    deviations: float
    beyond: int  # hours
    state: str

    @property
    def label(self) -> str:
        """Return what people call it."""
        return LABELS.get(self.name, (self.name, ""))[0]

    @property
    def unit(self) -> str:
        """Return its unit, if it has a label."""
        return LABELS.get(self.name, ("", ""))[1]


@dataclass(frozen=True)
class Drift:
    """What became of a week's inputs; ``seasonal`` says whether the training has enough of this time of the year."""

    columns: list[Column]
    seasonal: bool

    @property
    def state(self) -> str:
        """Return the state of the worst column."""
        return max((column.state for column in self.columns), key=[USUAL, UNUSUAL, NEW].index, default=USUAL)

    @property
    def shown(self) -> list[Column]:
        """Return the measured columns, and the worst derived one if they don't show what is wrong."""
        measured = [column for column in self.columns if column.name in LABELS]
        if any(column.state == self.state for column in measured):
            return measured
        worst = [column for column in self.columns if column.state == self.state]
        return measured + sorted(worst, key=lambda column: -abs(column.deviations))[:1]


@dataclass(frozen=True)
class Training:
    """The inputs of all hours, the means of the seven days up to each hour, and which hours are of the training."""

    values: pd.DataFrame
    weekly: pd.DataFrame
    seen: np.ndarray


def make_training(table: pd.DataFrame, columns: list[str], seen: np.ndarray) -> Training:
    """Return what the inputs of a week are compared with."""
    varying = [name for name in columns if not table[name].is_monotonic_increasing]
    values = table[varying]
    return Training(values, values.rolling(HOURS).mean(), seen)


def measure(training: Training, start: pd.Timestamp) -> Drift:
    """Return how the inputs of the week that begins at ``start`` are beside those of the training."""
    index = training.values.index
    inside = (index >= start) & (index < start + WEEK)
    rows = training.values[inside].to_numpy()
    hours = training.seen & ~inside
    # A period of seven days must not reach into the week, before or after.
    periods = hours & training.weekly.iloc[:, 0].notna().to_numpy() & ~((index >= start) & (index < start + 2 * WEEK))
    middle = (start + WEEK / 2).day_of_year
    away = np.abs((index.day_of_year.to_numpy() - middle + 182) % 365 - 182)
    season = periods & (away <= SEASON)
    seasonal = int(season.sum()) >= 24 * FEWEST_DAYS
    means = training.weekly[season if seasonal else periods].to_numpy()
    if len(means) == 0 or len(rows) == 0:
        return Drift([], False)
    known = training.values[hours].to_numpy()
    beyond = ((rows < known.min(axis=0)) | (rows > known.max(axis=0))).sum(axis=0)
    mean, centre, spread = rows.mean(axis=0), means.mean(axis=0), means.std(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        off = np.where(np.isclose(mean, centre, atol=1e-9), 0.0, (mean - centre) / spread)
    columns = []
    for number, name in enumerate(training.values.columns):
        new = abs(off[number]) > LIMITS[NEW] or beyond[number] > BEYOND
        state = NEW if new else UNUSUAL if abs(off[number]) > LIMITS[UNUSUAL] else USUAL
        low, high = (float(centre[number] + side * LIMITS[UNUSUAL] * spread[number]) for side in (-1, 1))
        columns.append(Column(name, float(mean[number]), low, high, float(off[number]), int(beyond[number]), state))
    return Drift(columns, seasonal)
