import numpy as np
import pandas as pd
import pytest

from dashboard.overview.comparisons import Compared, last_hour, records, repairs, this_week, this_year
from dashboard.overview.content import against
from dashboard.overview.figures import by_year
from dashboard.targets import Target

WIND = Target("wind_GW", "Wind", "GW", "target2")
TARGETS = [Target("solar_GW", "Solar", "GW", "target1"), WIND]
NARROW = "\u202f"


def years(first: str, last: str) -> pd.Series:
    """Return an hourly series in which each hour has the number of its year."""
    index = pd.date_range(first, last, freq="h", tz="UTC")
    return pd.Series(index.year.to_numpy(float), index)


@pytest.mark.parametrize(
    ("compare", "first", "last", "former"),
    [
        (this_week, "2013-01-01", "2016-08-03 11:00", [2013, 2014, 2015]),
        (this_week, "2009-12-01", "2021-01-02 23:00", [2009, 2015]),  # the years that have a week 53
        (this_year, "2013-05-01", "2015-08-03 11:00", [2014]),  # 2013 lacks the hours before May
        (last_hour, "2012-01-01", "2016-02-29 10:00", [2012]),  # the leap years
    ],
)
def test_a_time_is_compared_with_the_same_hours_of_former_years_that_have_them_all(compare, first, last, former):
    compared = compare(years(first, last))
    assert list(compared.former) == former
    assert compared.value == pd.Timestamp(last).year if compare is not this_week else True
    assert compared.change == pytest.approx(compared.value / np.mean(list(compared.former.values())) - 1)


def test_a_week_that_is_not_over_is_compared_hour_by_hour():
    assert this_week(years("2013-01-01", "2016-08-03 11:00")).hours == 2 * 24 + 12  # until Wednesday at noon


@pytest.mark.parametrize(
    ("compared", "words"),
    [
        (Compared(2.0, 1, {2013: 1.0, 2014: 3.0}), f"2013 to 2014: 1.00 to 3.00{NARROW}GW, as usual"),
        (Compared(0.0, 1, {2013: 0.0, 2014: 0.001}), f"2013 to 2014: 0.00{NARROW}GW, −100{NARROW}% against"),
        (Compared(2.0, 1, {}), "No former year"),
    ],
)
def test_former_years_are_given_in_words(compared, words):
    assert words in against(compared, "GW")


def test_records_are_set_by_recorded_hours_of_whole_days():
    index = pd.date_range("2015-06-01", "2015-07-05 11:00", freq="h", tz="UTC")
    actuals = pd.DataFrame({"solar_GW": 1.0, "wind_GW": 5.0}, index)
    actuals.loc["2015-06-05 12:00", "wind_GW"] = 30.0
    actuals.loc["2015-06-03 12:00", "wind_GW"] = np.nan
    actuals.loc["2015-06-10 14:00":"2015-06-17 13:00", "wind_GW"] = 1.0
    actuals.loc["2015-07-05", "wind_GW"] = 20.0  # a day that is not over
    by_name = {record.name: record for record in records(actuals, TARGETS)}
    assert by_name["Wind, highest hour"].value == 30
    assert by_name["Wind, highest hour"].first == pd.Timestamp("2015-06-05 12:00", tz="UTC")
    assert by_name["Wind, highest day (mean)"].first == pd.Timestamp("2015-06-05", tz="UTC")
    assert by_name["Both, lowest 7 days (mean)"].days == 7
    assert {record.first.hour for record in by_name.values() if record.days} == {0}
    other = records(actuals, [WIND, Target("solar_GW", "Solar", "%", "target1")])
    assert not [record for record in other if "Both" in record.name]  # different units have no sum


def test_repairs_are_counted_by_year():
    index = pd.date_range("2014-12-31 12:00", "2015-01-01 11:00", freq="h", tz="UTC")
    by = repairs(pd.DataFrame({"repaired": np.arange(24) >= 21}, index))
    assert by["repaired"].tolist() == [0, 3]
    assert by["share"].tolist() == [0, 0.25]


def test_every_year_has_a_line_on_one_calendar_and_the_newest_is_the_thick_one(numbers):
    index = pd.date_range("2013-01-01", "2022-06-30 23:00", freq="h", tz="UTC")
    traces = by_year(WIND, pd.Series(np.arange(len(index), dtype=float), index))["data"]
    assert [trace["name"] for trace in traces] == [str(year) for year in range(2013, 2023)]
    assert [trace["line"]["width"] for trace in traces] == [1.4] * 9 + [3]
    assert len({(trace["line"]["color"], trace["line"]["dash"]) for trace in traces[-6:]}) == 6
    days = [numbers(trace["y"]) for trace in traces]
    assert {len(values) for values in days} == {366}
    leap_day = [bool(np.isfinite(values[59])) for values in days]
    assert leap_day == [year in (2016, 2020) for year in range(2013, 2023)]
