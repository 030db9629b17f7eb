"""What the overview says in numbers: now, this week, this year, records, repairs. Pure functions of the table."""

from dataclasses import dataclass
from datetime import date, timedelta

import pandas as pd

HOUR = pd.Timedelta(hours=1)


@dataclass(frozen=True)
class Compared:
    """A mean power in GW, and the same of former years."""

    value: float
    hours: int
    former: dict[int, float]  # by year

    @property
    def change(self) -> float | None:
        """Return by what share the value is over the mean of the former years, None if that can't be said."""
        usual = sum(self.former.values()) / len(self.former) if self.former else 0.0
        return self.value / usual - 1 if usual else None


@dataclass(frozen=True)
class Record:
    """The highest or the lowest of its kind."""

    what: str
    value: float  # GW
    first: pd.Timestamp  # the hour, or the first hour of the days
    days: int  # 0 for one hour


def compare(power: pd.Series, start: pd.Timestamp, former: dict[int, pd.Timestamp]) -> Compared:
    """Return the mean from ``start`` to the end of the hourly ``power``, and of as many hours from each former start.

    A year that does not have all of these hours is left out.
    """
    hours = int((power.index[-1] - start) / HOUR) + 1
    means = {}
    for year, begin in former.items():
        part = power[begin : begin + (hours - 1) * HOUR]
        if len(part) == hours:
            means[year] = float(part.mean())
    return Compared(float(power[start:].mean()), hours, means)


def now(power: pd.Series) -> Compared:
    """Return the last hour and the same hour of that day in former years."""
    last = power.index[-1]
    return compare(power, last, {year: day for year in _before(power) if (day := _same_day(last, year)) is not None})


def this_week(power: pd.Series) -> Compared:
    """Return the mean of the ISO week so far, and of the same hours of the week of that number in former years."""
    year, week, _ = power.index[-1].isocalendar()
    former = {}
    for before in _before(power, year):
        try:
            former[before] = pd.Timestamp(date.fromisocalendar(before, week, 1), tz="UTC")
        except ValueError:  # not every year has a week 53
            continue
    return compare(power, pd.Timestamp(date.fromisocalendar(year, week, 1), tz="UTC"), former)


def this_year(power: pd.Series) -> Compared:
    """Return the mean of the year so far, and of as many hours from the start of former years."""
    year = power.index[-1].year
    return compare(power, _new_year(year), {before: _new_year(before) for before in _before(power, year)})


def _before(power: pd.Series, year: int | None = None) -> range:
    return range(power.index[0].year, power.index[-1].year if year is None else year)


def _new_year(year: int) -> pd.Timestamp:
    return pd.Timestamp(year, 1, 1, tz="UTC")


def _same_day(time: pd.Timestamp, year: int) -> pd.Timestamp | None:
    try:
        return time.replace(year=year)
    except ValueError:  # 29 February
        return None


def records(table: pd.DataFrame) -> list[Record]:
    """Return the extremes of the recorded hours; what was repaired sets no record."""
    power = table[["solar_GW", "wind_GW"]].where(~table["repaired"], axis=0)
    power["both"] = power["solar_GW"] + power["wind_GW"]
    daily = power.resample("D").mean()[power.resample("D").count() == 24]
    weekly = power["both"].rolling(7 * 24, min_periods=7 * 24).mean()
    found = [
        *(_record(f"{name}, highest hour", power[key], "max", 0) for key, name in KINDS.items()),
        *(_record(f"{name}, best day (mean)", daily[key], "max", 1) for key, name in KINDS.items()),
        _record("Wind, calmest day (mean)", daily["wind_GW"], "min", 1),
        _record("Both, poorest 7 days (mean)", weekly, "min", 7),
    ]
    return [record for record in found if record]


KINDS = {"solar_GW": "Solar", "wind_GW": "Wind", "both": "Both"}


def _record(what: str, values: pd.Series, which: str, days: int) -> Record | None:
    values = values.dropna()
    if values.empty:
        return None
    at = values.idxmax() if which == "max" else values.idxmin()
    return Record(what, float(values[at]), at - 167 * HOUR if days == 7 else at, days)


def repairs(table: pd.DataFrame) -> pd.DataFrame:
    """Return by year how many hours there are, and how many of them were missing or stood twice and were repaired."""
    found = table["repaired"].groupby(table.index.year).agg(hours="size", repaired="sum")
    return found.assign(share=found["repaired"] / found["hours"])


def around(day: date, days: int, first: date, last: date) -> tuple[date, date]:
    """Return a week or so around some days, within first and last day of the data."""
    return max(first, day - timedelta(days=3)), min(last, day + timedelta(days=days + 2))
