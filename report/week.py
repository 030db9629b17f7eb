"""ISO weeks. They begin on Monday at 00:00 UTC, so each has 168 hours, also when the clocks change."""

import argparse
import contextlib
import re
from datetime import datetime

import pandas as pd

from forecasting.errors import UserError

WEEK = pd.Timedelta(weeks=1)
HOUR = pd.Timedelta(hours=1)
HOURS = 168


def first_hour(week: str) -> pd.Timestamp:
    """Return the first hour (UTC) of an ISO week such as 2015-W31; raises argparse.ArgumentTypeError."""
    match = re.fullmatch(r"(\d{4})-W(\d{2})", week, re.ASCII)
    with contextlib.suppress(ValueError):  # the year has no such week
        if match:
            return pd.Timestamp(datetime.fromisocalendar(int(match[1]), int(match[2]), 1), tz="UTC")
    raise argparse.ArgumentTypeError(f"expected an ISO week such as 2015-W31, found {week!r}")


def name_of(start: pd.Timestamp) -> str:
    """Return the name of the ISO week that begins at ``start``."""
    year, number, _ = start.isocalendar()
    return f"{year}-W{number:02d}"


def monday(time: pd.Timestamp) -> pd.Timestamp:
    """Return the first hour of the ISO week that contains an hour."""
    return time.floor("D") - pd.Timedelta(days=time.weekday())


def hours_of(rows: pd.DataFrame | pd.Series, start: pd.Timestamp):
    """Return the rows of the week that begins at ``start``."""
    return rows.loc[start : start + WEEK - HOUR]


def complete_weeks(index: pd.DatetimeIndex) -> list[pd.Timestamp]:
    """Return the first hours of the ISO weeks that are in the index with all their hours, the oldest first."""
    last = monday(index[-1] + HOUR) - WEEK
    first = monday(index[0])
    return list(pd.date_range(first if first == index[0] else first + WEEK, last, freq="7D"))


def choose_weeks(index: pd.DatetimeIndex, week: pd.Timestamp | None, every: bool) -> list[pd.Timestamp]:
    """Return one week by its first hour, every complete week, or the last complete one; raises UserError."""
    reach = f"from {index[0]} to {index[-1]}"
    if week is not None:
        first, last = monday(index[0]), monday(index[-1])
        if not first <= week <= last:
            raise UserError(
                f"week {name_of(week)} is not in the data, which reach {reach}; choose a week from {name_of(first)} to "
                f"{name_of(last)}"
            )
        return [week]
    if not (weeks := complete_weeks(index)):
        raise UserError(f"the data, {reach}, contain no complete week to report on; provide more data")
    return weeks if every else weeks[-1:]
