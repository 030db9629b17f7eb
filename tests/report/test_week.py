import argparse
import datetime

import pandas as pd
import pytest

from forecasting.errors import UserError
from report.week import choose_weeks, complete_weeks, first_hour, hours_of, name_of


def index(first: str, last: str) -> pd.DatetimeIndex:
    return pd.date_range(first, last, freq="h", tz="UTC")


def test_every_week_of_thirty_years_has_the_name_of_its_calendar_and_is_found_by_it():
    for number in range(30 * 52):
        day = datetime.date(2000, 1, 3) + datetime.timedelta(weeks=number)
        year, week, _ = day.isocalendar()
        assert name_of(pd.Timestamp(day, tz="UTC")) == f"{year}-W{week:02d}"
        assert first_hour(f"{year}-W{week:02d}") == pd.Timestamp(day, tz="UTC")


@pytest.mark.parametrize(
    "text", ["2015", "2015-31", "2015-W1", "2015-W00", "2013-W53", "2015-W54", "2015W31", "٢٠١٥-W31", "0000-W01", ""]
)
def test_what_is_not_a_week_is_refused(text):
    with pytest.raises(argparse.ArgumentTypeError, match="expected an ISO week such as 2015-W31, found"):
        first_hour(text)


@pytest.mark.parametrize("week", ["2016-W12", "2016-W43"])
def test_a_week_in_which_the_clocks_change_has_all_its_hours_once(week):
    hours = hours_of(pd.Series(1, index("2016-01-01", "2016-12-31 23:00")), first_hour(week))
    assert len(hours) == 168
    assert hours.index.is_unique


@pytest.mark.parametrize(
    ("first", "last", "weeks"),
    [
        ("2013-01-01", "2013-01-20 23:00", ["2013-W02", "2013-W03"]),
        ("2013-01-01", "2013-01-20 22:00", ["2013-W02"]),
        ("2012-12-31", "2013-01-06 23:00", ["2013-W01"]),
        ("2012-12-31 01:00", "2013-01-13 22:00", []),
    ],
)
def test_only_weeks_with_all_their_hours_are_complete(first, last, weeks):
    hours = index(first, last)
    assert [name_of(start) for start in complete_weeks(hours)] == weeks
    if weeks:
        assert [name_of(start) for start in choose_weeks(hours, None, True)] == weeks
        assert [name_of(start) for start in choose_weeks(hours, None, False)] == weeks[-1:]
    else:
        with pytest.raises(UserError, match="contain no complete week to report on; provide more data"):
            choose_weeks(hours, None, False)


def test_a_week_outside_the_data_is_refused_with_the_weeks_that_are_there():
    hours = index("2013-01-01", "2016-12-31 23:00")
    for week in ("2013-W01", "2016-W52"):
        assert choose_weeks(hours, first_hour(week), False) == [first_hour(week)]
    for week in ("2012-W52", "2017-W01"):
        with pytest.raises(UserError, match="choose a week from 2013-W01 to 2016-W52"):
            choose_weeks(hours, first_hour(week), False)
