"""The numbers of the overview: last hour, week and year against former years, records, repairs. Pure functions."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import pandas as pd

from dashboard.targets import Target

HOUR = pd.Timedelta(hours=1)


@dataclass(frozen=True)
class Compared:
    """A mean, and the same of former years, in the unit of the series."""

    value: float
    hours: int
    former: dict[int, float]  # by year

    @property
    def change(self) -> float | None:
        """The value's difference from the mean of the former years, as a share of it; None if that is unknown."""
        usual = sum(self.former.values()) / len(self.former) if self.former else 0.0
        return self.value / usual - 1 if usual else None


@dataclass(frozen=True)
class Record:
    """The highest or the lowest of its kind."""

    name: str
    value: float
    unit: str
    first: pd.Timestamp  # the hour, or the first hour of the days
    days: int  # 0 for one hour


def compare(series: pd.Series, year: int, start_in: Callable[[int], pd.Timestamp]) -> Compared:
    """Return the mean from ``start_in(year)`` to the end of an hourly series, and of as many hours in former years.

    A year is left out if it doesn't have all of these hours, or if ``start_in`` raises ValueError for it.
    """
    start = start_in(year)
    hours = int((series.index[-1] - start) / HOUR) + 1
    former = {}
    for each in range(series.index[0].year, year):
        with contextlib.suppress(ValueError):  # it has no 29 February, or no week 53
            part = series[start_in(each) : start_in(each) + (hours - 1) * HOUR]
            if len(part) == hours:
                former[each] = float(part.mean())
    return Compared(float(series[start:].mean()), hours, former)


def last_hour(series: pd.Series) -> Compared:
    """Return the last hour and the same hour of that day in former years."""
    last = series.index[-1]
    return compare(series, last.year, lambda year: last.replace(year=year))


def this_week(series: pd.Series) -> Compared:
    """Return the mean of the ISO week so far, and of the same hours of the week of that number in former years."""
    year, week, _ = series.index[-1].isocalendar()
    return compare(series, year, lambda year: pd.Timestamp(date.fromisocalendar(year, week, 1), tz="UTC"))


def this_year(series: pd.Series) -> Compared:
    """Return the mean of the year so far, and of as many hours from the start of former years."""
    return compare(series, series.index[-1].year, lambda year: pd.Timestamp(year, 1, 1, tz="UTC"))


def records(actuals: pd.DataFrame, targets: list[Target]) -> list[Record]:
    """Return the extremes of the hours of each target, and of their sum if they share a unit; NaN sets none."""
    units = {target.label: target.unit for target in targets}
    hours = actuals.rename(columns={target.name: target.label for target in targets})
    if len(targets) > 1 and len(set(units.values())) == 1:
        total = "Both" if len(targets) == 2 else "All"
        hours[total], units[total] = hours.sum(axis=1, skipna=False), targets[0].unit
    days = hours.resample("D").mean().where(hours.resample("D").count() == 24)
    weeks = days.iloc[:, -1:].rolling(7).mean()
    extremes = []
    for kind, frame, extreme, length in (
        ("highest hour", hours, "idxmax", 0),
        ("highest day (mean)", days, "idxmax", 1),
        ("lowest day (mean)", days, "idxmin", 1),
        ("lowest 7 days (mean)", weeks, "idxmin", 7),
    ):
        known = frame.dropna(axis="columns", how="all")
        for label, last in known.agg(extreme).items():
            first = last - pd.Timedelta(days=max(length - 1, 0))
            extremes.append(Record(f"{label}, {kind}", float(known.loc[last, label]), units[label], first, length))
    return extremes


def repairs(frame: pd.DataFrame) -> pd.DataFrame:
    """Return by year the ``hours``, the ``repaired`` ones (they were missing or there twice), and their ``share``."""
    by_year = frame["repaired"].groupby(frame.index.year).agg(hours="size", repaired="sum")
    return by_year.assign(share=by_year["repaired"] / by_year["hours"])
