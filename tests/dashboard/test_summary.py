from datetime import date

import numpy as np
import pandas as pd
import pytest

from dashboard import summary
from dashboard.ranges import BadRange, Range, read_range

LIMITS = date(2013, 1, 1), date(2016, 12, 31)


def hours(first: str, last: str) -> pd.Series:
    index = pd.date_range(first, last, freq="h", tz="UTC")
    return pd.Series(index.year.to_numpy(float), index)


def test_a_week_is_compared_with_the_same_hours_of_the_week_of_that_number():
    found = summary.this_week(hours("2013-01-01", "2016-08-03 11:00"))  # Wednesday of week 31
    assert found.hours == 2 * 24 + 12
    assert found.former == {2013: 2013.0, 2014: 2014.0, 2015: 2015.0}
    assert found.change == pytest.approx(2016 / 2014 - 1)


def test_week_53_is_compared_with_the_years_that_have_one():
    found = summary.this_week(hours("2009-12-01", "2021-01-02 23:00"))
    assert list(found.former) == [2009, 2015]


def test_a_year_that_the_data_hold_only_in_part_is_no_comparison():
    found = summary.this_year(hours("2013-05-01", "2015-08-03 11:00"))
    assert list(found.former) == [2014]
    assert found.value == 2015


def test_a_leap_day_is_compared_with_leap_years():
    assert list(summary.now(hours("2012-01-01", "2016-02-29 10:00")).former) == [2012]


def test_records_are_set_by_recorded_hours_of_whole_days():
    index = pd.date_range("2015-06-01", "2015-06-20 11:00", freq="h", tz="UTC")
    table = pd.DataFrame({"solar_GW": 1.0, "wind_GW": 2.0, "repaired": False}, index)
    table.loc["2015-06-05 12:00", "wind_GW"] = 30.0
    table.loc["2015-06-07 12:00", ["wind_GW", "repaired"]] = [99.0, True]
    table.loc["2015-06-20", "wind_GW"] = 20.0  # a day that is not over
    table["repaired"] = table["repaired"].astype(bool)
    found = {record.what: record for record in summary.records(table)}
    assert found["Wind, highest hour"].value == 30
    assert found["Wind, highest hour"].first == pd.Timestamp("2015-06-05 12:00", tz="UTC")
    assert found["Wind, best day (mean)"].first == pd.Timestamp("2015-06-05", tz="UTC")
    assert found["Both, poorest 7 days (mean)"].value == pytest.approx(3.0)


def test_repairs_are_counted_by_year():
    index = pd.date_range("2014-12-31 12:00", "2015-01-01 11:00", freq="h", tz="UTC")
    table = pd.DataFrame({"repaired": np.arange(24) >= 21}, index)
    found = summary.repairs(table)
    assert found["repaired"].tolist() == [0, 3]
    assert found["share"].tolist() == [0, 0.25]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", Range(date(2016, 12, 18), date(2016, 12, 31))),
        (None, Range(date(2016, 12, 18), date(2016, 12, 31))),
        ("?from=2015-02-01&to=2015-02-28", Range(date(2015, 2, 1), date(2015, 2, 28))),
        ("?from=2016-12-01", Range(date(2016, 12, 1), date(2016, 12, 31))),
        ("?from=2010-01-01&to=2013-01-05", Range(date(2013, 1, 1), date(2013, 1, 5))),
    ],
)
def test_an_address_names_the_range_within_the_data(query, expected):
    assert read_range(query, LIMITS) == expected
    assert read_range(expected.query, LIMITS) == expected


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("?from=20150201", "found '20150201'"),
        ("?to=2015-02-30", "after to= in the address, found '2015-02-30'"),
        ("?from=2015-02-02&to=2015-02-01", "begins on 2015-02-02, after its end"),
        ("?from=2020-01-01&to=2020-01-02", "reach from 2013-01-01 to 2016-12-31"),
    ],
)
def test_an_address_that_names_no_range_is_refused_with_the_reason(query, words):
    with pytest.raises(BadRange, match=words):
        read_range(query, LIMITS)
