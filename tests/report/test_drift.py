import pandas as pd
import pytest

from report import drift, summary
from report.facts import measure
from report.week import first_hour, hours_of

WEEK = first_hour("2016-W20")
COLUMNS = ["windspeed", "temperature", "rad_horizontal", "rad_diffuse", "trend"]


def found(table, start=WEEK) -> drift.Drift:
    training = drift.make_training(table, COLUMNS, (table["split"] != "holdout").to_numpy())
    return drift.measure(training, start)


def test_a_usual_week_is_called_usual_and_the_count_of_time_is_left_out(table):
    one = found(table)
    assert one.state == drift.USUAL
    assert one.seasonal
    assert [column.name for column in one.columns] == COLUMNS[:-1]


def test_a_column_is_measured_against_the_same_time_of_the_year_only(table):
    one = next(column for column in found(table).columns if column.name == "temperature")
    may = table.loc[(table["split"] == "train") & table.index.month.isin([4, 5, 6]), "temperature"]
    assert one.low > may.min() - 3
    assert one.high < may.max() + 3
    assert one.mean == pytest.approx(hours_of(table, WEEK)["temperature"].mean())
    week = hours_of(table, WEEK).index
    table.loc[week, "temperature"] = hours_of(table, first_hour("2016-W02"))["temperature"].to_numpy()
    warm = {column.name: column for column in found(table).columns}["temperature"]
    assert warm.state == drift.NEW, "a January in May"
    assert warm.beyond == 0


def test_another_unit_is_told_with_what_to_look_for(table, make_basis):
    table.loc[hours_of(table, WEEK).index, "windspeed"] *= 3.6
    facts = measure(make_basis(table), WEEK)
    assert facts.drift.state == drift.NEW
    wind = facts.drift.columns[0]
    assert wind.beyond > 100
    text = summary.inputs(facts)
    assert f"wind speed ({wind.mean:.1f} m/s on average, {wind.beyond} hours beyond the training)" in text
    assert "See whether the source still gives the same stations and units" in text


def test_the_weeks_own_hours_are_not_what_it_is_compared_with(table):
    start = first_hour("2015-W20")  # in the training
    table.loc[hours_of(table, start).index, "windspeed"] = 25.0
    one = found(table, start).columns[0]
    assert one.beyond == 168
    assert one.high < 10


def test_a_training_without_this_time_of_the_year_is_said_so(make_table, make_basis):
    table = make_table("2016-01-01", "2016-12-31 23:00", "2016-05-01")
    facts = measure(make_basis(table), first_hour("2016-W30"))
    assert not facts.drift.seasonal
    assert "this time of the year" not in summary.inputs(facts)


def test_a_derived_column_is_shown_if_no_measured_one_tells_what_is_wrong(table):
    table["windspeed_mean_7h"] = table["windspeed"].rolling(7, min_periods=1).mean()
    table.loc[hours_of(table, WEEK).index, "windspeed_mean_7h"] = 40.0
    training = drift.make_training(table, [*COLUMNS, "windspeed_mean_7h"], (table["split"] != "holdout").to_numpy())
    assert [column.name for column in drift.measure(training, WEEK).shown] == [*COLUMNS[:-1], "windspeed_mean_7h"]


def test_a_week_without_any_training_has_nothing_to_be_compared_with(make_table):
    assert found(make_table("2016-05-01", "2016-06-30 23:00", "2016-05-01")).columns == []


def test_a_column_that_never_changed_and_now_does_is_new(table):
    table["temperature"] = 5.0
    assert found(table).state == drift.USUAL
    table.loc[hours_of(table, WEEK).index, "temperature"] = 6.0
    assert {column.name: column.state for column in found(table).columns}["temperature"] == drift.NEW
    assert pd.notna(found(table).columns[1].low)
