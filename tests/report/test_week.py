import argparse
import datetime

import pandas as pd
import pytest

from report.production import NotThere
from report.week import WEEK, check_in_data, complete_weeks, first_hour, hours_of, last_complete_week, name_of


def index(first: str, last: str) -> pd.DatetimeIndex:
    return pd.date_range(first, last, freq="h", tz="UTC")


def test_every_week_of_thirty_years_has_the_name_of_its_calendar_and_is_found_by_it():
    day = datetime.date(2000, 1, 3)
    while day.year < 2030:
        start = pd.Timestamp(day, tz="UTC")
        year, number, _ = day.isocalendar()
        assert name_of(start) == f"{year}-W{number:02d}"
        assert first_hour(name_of(start)) == start
        day += datetime.timedelta(weeks=1)


@pytest.mark.parametrize(
    "text", ["2015", "2015-31", "2015-W1", "2015-W00", "2013-W53", "2015-W54", "2015W31", "٢٠١٥-W31", "0000-W01", ""]
)
def test_what_is_no_week_is_refused(text):
    with pytest.raises(argparse.ArgumentTypeError, match="expected an ISO week such as 2015-W31, found"):
        first_hour(text)


def test_a_year_with_53_weeks_has_its_last_one():
    assert first_hour("2015-W53") == pd.Timestamp("2015-12-28", tz="UTC")
    assert first_hour("2015-W53") + WEEK == first_hour("2016-W01")


@pytest.mark.parametrize("week", ["2016-W12", "2016-W43"])
def test_a_week_in_which_the_clocks_change_has_all_its_hours_once(week):
    hours = hours_of(pd.Series(1, index("2016-01-01", "2016-12-31 23:00")), first_hour(week))
    assert len(hours) == 168
    assert hours.index.is_unique
    assert hours.index.tz_convert("Europe/Berlin").map(lambda time: time.utcoffset()).nunique() == 2


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
        assert name_of(last_complete_week(hours)) == weeks[-1]
    else:
        with pytest.raises(NotThere, match=r"hold no complete week to report on\. Give more data"):
            last_complete_week(hours)


def test_a_week_outside_of_the_data_is_refused_with_the_weeks_that_are_there():
    hours = index("2013-01-01", "2016-12-31 23:00")
    for week in ("2013-W01", "2016-W52"):
        check_in_data(hours, first_hour(week))
    for week in ("2012-W52", "2017-W01"):
        with pytest.raises(NotThere, match=r"Choose a week from 2013-W01 to 2016-W52\."):
            check_in_data(hours, first_hour(week))
