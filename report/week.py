"""ISO weeks, which begin on Monday at 00:00 UTC and so always have 168 hours, whatever the clocks of Germany do."""

import argparse
import re
from datetime import UTC, datetime

import pandas as pd

from report.production import NotThere

WEEK = pd.Timedelta(weeks=1)
HOUR = pd.Timedelta(hours=1)
HOURS = 168


def first_hour(week: str) -> pd.Timestamp:
    """Return the first hour (UTC) of an ISO week such as 2015-W31; raises argparse.ArgumentTypeError."""
    match = re.fullmatch(r"(\d{4})-W(\d{2})", week, re.ASCII)
    try:
        year, number = (int(part) for part in match.groups())
        return pd.Timestamp(datetime.fromisocalendar(year, number, 1), tz="UTC")
    except (AttributeError, ValueError):
        raise argparse.ArgumentTypeError(f"expected an ISO week such as 2015-W31, found {week!r}") from None


def name_of(start: pd.Timestamp) -> str:
    """Return the name of the ISO week that begins at ``start``."""
    year, number, _ = start.isocalendar()
    return f"{year}-W{number:02d}"


def monday(time: pd.Timestamp) -> pd.Timestamp:
    """Return the first hour of the ISO week that an hour is in."""
    return time.floor("D") - pd.Timedelta(days=time.weekday())


def hours_of(rows: pd.DataFrame | pd.Series, start: pd.Timestamp):
    """Return those of the rows that are in the week that begins at ``start``."""
    return rows.loc[start : start + WEEK - HOUR]


def complete_weeks(index: pd.DatetimeIndex) -> list[pd.Timestamp]:
    """Return the first hours of the ISO weeks of which all hours are in the index, the oldest first."""
    last = monday(index[-1] + HOUR) - WEEK
    first = monday(index[0])
    return list(pd.date_range(first if first == index[0] else first + WEEK, last, freq="7D"))


def last_complete_week(index: pd.DatetimeIndex) -> pd.Timestamp:
    """Return the first hour of the last ISO week of which all hours are in the index; raises NotThere."""
    if not (weeks := complete_weeks(index)):
        raise NotThere(f"The data, from {index[0]} to {index[-1]}, hold no complete week to report on. Give more data.")
    return weeks[-1]


def check_in_data(index: pd.DatetimeIndex, start: pd.Timestamp) -> None:
    """Raise NotThere if no hour of the week that begins at ``start`` is in the index."""
    first, last = monday(index[0]), monday(index[-1])
    if not first <= start <= last:
        raise NotThere(
            f"Week {name_of(start)} is not in the data, which reach from {index[0]} to {index[-1]}. "
            f"Choose a week from {name_of(first)} to {name_of(last)}."
        )


def utc_of(text: str) -> datetime:
    """Return an ISO time in UTC, in which one is that states no offset; raises ValueError."""
    try:
        time = datetime.fromisoformat(text)
        return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    except OverflowError:
        raise ValueError(f"expected a time in the years 1 to 9999 (UTC), found {text!r}") from None
