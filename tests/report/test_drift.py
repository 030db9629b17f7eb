import numpy as np
import pandas as pd
import pytest

from report import drift, summary
from report.week import complete_weeks, first_hour, hours_of
from report.week_statistics import week_statistics

WEEK = first_hour("2016-W20")
COLUMNS = ["windspeed", "temperature", "rad_horizontal", "rad_diffuse", "trend"]


def drift_of(table, start=WEEK, columns=COLUMNS) -> drift.Drift:
    return drift.measure(table, columns, ~table.holdout(), start)


def column(measured: drift.Drift, name: str) -> drift.Column:
    return next(column for column in measured.columns if column.name == name)


def test_a_usual_week_is_called_usual_and_the_count_of_time_is_left_out(table):
    usual = drift_of(table)
    assert (usual.state, usual.seasonal) == (drift.USUAL, True)
    assert [one.name for one in usual.columns] == COLUMNS[:-1]


def test_a_column_is_measured_against_the_same_time_of_the_year_only(table):
    frame = table.frame
    temperature = column(drift_of(table), "temperature")
    may = frame.loc[(frame["split"] == "train") & frame.index.month.isin([4, 5, 6]), "temperature"]
    assert may.min() - 3 < temperature.low < temperature.high < may.max() + 3
    assert temperature.mean == pytest.approx(hours_of(frame, WEEK)["temperature"].mean())
    january = hours_of(frame, first_hour("2016-W02"))["temperature"].to_numpy()
    frame.loc[hours_of(frame, WEEK).index, "temperature"] = january
    temperature = column(drift_of(table), "temperature")
    assert (temperature.state, temperature.beyond) == (drift.NEW, 0)


def test_another_unit_is_reported_with_what_to_check(table, make_inputs):
    table.frame.loc[hours_of(table.frame, WEEK).index, "windspeed"] *= 3.6
    week = week_statistics(make_inputs(table), WEEK)
    wind = week.drift.columns[0]
    assert week.drift.state == drift.NEW
    assert wind.beyond > 100
    text = summary.model_inputs(week)
    assert f"wind speed ({wind.mean:.1f} m/s on average, {wind.beyond} hours beyond the training)" in text
    assert "Check that the source still provides the same stations and units" in text


def test_the_weeks_own_hours_are_not_what_it_is_compared_with(table):
    start = first_hour("2015-W20")  # in the training
    table.frame.loc[hours_of(table.frame, start).index, "windspeed"] = 25.0
    wind = drift_of(table, start).columns[0]
    assert wind.beyond == 168
    assert wind.high < 10


def test_a_training_without_this_time_of_the_year_or_without_any_hours_is_reported(make_table, make_inputs):
    table = make_table("2016-01-01", "2016-12-31 23:00", "2016-05-01")
    week = week_statistics(make_inputs(table), first_hour("2016-W30"))
    assert not week.drift.seasonal
    assert "this time of the year" not in summary.model_inputs(week)
    assert drift_of(make_table("2016-05-01", "2016-06-30 23:00", "2016-05-01")).columns == []


def test_a_derived_column_is_shown_if_no_measured_one_explains_the_drift(table):
    table.frame["windspeed_mean_7h"] = table.frame["windspeed"].rolling(7, min_periods=1).mean()
    table.frame.loc[hours_of(table.frame, WEEK).index, "windspeed_mean_7h"] = 40.0
    shown = drift_of(table, WEEK, [*COLUMNS, "windspeed_mean_7h"]).shown
    assert [one.name for one in shown] == [*COLUMNS[:-1], "windspeed_mean_7h"]


def test_a_column_that_never_changed_and_now_does_is_new(table):
    table.frame["temperature"] = 5.0
    assert drift_of(table).state == drift.USUAL
    table.frame.loc[hours_of(table.frame, WEEK).index, "temperature"] = 6.0
    temperature = column(drift_of(table), "temperature")
    assert temperature.state == drift.NEW
    assert pd.notna(temperature.low)


def test_what_is_usual_is_a_range_of_weeks_that_occurred_however_skewed_the_input(table):
    """Snow: nothing in most weeks, much in a few."""
    frame = table.frame
    frame["temperature"] = np.where((np.arange(len(frame)) // 168) % 12 == 0, 90.0, 0.0)
    frame.loc[hours_of(frame, WEEK).index, "windspeed"] *= 1.4
    states = set()
    for start in complete_weeks(frame.index)[::4]:
        for one in drift_of(table, start).columns:
            assert frame[one.name].min() <= one.low <= one.high <= frame[one.name].max()
            inside = one.low <= one.mean <= one.high
            assert (one.state == drift.USUAL) == (inside and one.beyond <= drift.BEYOND)
            states.add(one.state)
    assert states >= {drift.USUAL, drift.UNUSUAL}
