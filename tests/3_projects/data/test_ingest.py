"""The table is split by time, and says where its numbers come from."""

import json

import numpy as np
import pandas as pd
import pytest
from ingest import describe, make_table, split
from validate import DataError

YEARS = pd.date_range("2013-01-01", "2015-12-31 23:00", freq="h", tz="UTC")
MONDAY = pd.Timestamp("1970-01-05", tz="UTC")


def parts(index, holdout_days):
    return pd.Series(split(index, holdout_days), index=index)


def test_the_last_year_is_the_holdout_and_nothing_after_it_is_trained_on():
    part = parts(YEARS, 365)
    holdout = part.index[part == "holdout"]
    assert len(holdout) == 365 * 24
    assert (holdout[0], holdout[-1]) == (pd.Timestamp("2015-01-01", tz="UTC"), YEARS[-1])
    assert part.index[part != "holdout"][-1] < holdout[0]


def test_before_the_holdout_every_fifth_week_is_for_validation_and_no_week_is_divided():
    part = parts(YEARS, 365)
    known = part[part != "holdout"]
    weeks = known.groupby((known.index - MONDAY).days // 7).unique()
    assert weeks.map(len).eq(1).all()
    validation = weeks.index[weeks.str[0] == "validation"]
    assert set(np.diff(validation)) == {5}
    assert set(weeks.str[0]) == {"train", "validation"}
    assert len(weeks) // 5 <= len(validation) <= len(weeks) // 5 + 1


def test_validation_has_all_seasons():
    part = parts(YEARS, 365)
    assert set(part.index[part == "validation"].quarter) == {1, 2, 3, 4}


def test_the_same_hour_is_in_the_same_part_whatever_the_start_of_the_series():
    later = parts(YEARS[1000:], 365)
    assert later.equals(parts(YEARS, 365)[1000:])


@pytest.mark.parametrize(("days", "holdout"), [(730, 365), (70, 35), (36, 1), (50, 7.5)])
def test_as_much_training_as_holdout_and_five_weeks_are_enough(days, holdout):
    part = parts(YEARS[: days * 24], holdout)
    assert (part == "holdout").sum() == holdout * 24
    assert set(part) == {"train", "validation", "holdout"}


@pytest.mark.parametrize(("days", "holdout"), [(729, 365), (69, 35), (35, 1), (1, 365), (120, 36500)])
def test_less_training_than_holdout_or_than_five_weeks_is_refused(days, holdout):
    sentence = rf"that are kept for judging, and five weeks at least; found {days} days in all\. Give more data"
    with pytest.raises(ValueError, match=f"as the {holdout} {sentence}"):
        split(YEARS[: days * 24], holdout)


@pytest.mark.parametrize("holdout", [0, -1, 0.5, 36501, 1e300, float("inf"), float("nan")])
def test_a_holdout_that_is_no_number_of_days_is_refused(holdout):
    with pytest.raises(ValueError, match=r"^expected holdout_days from 1 to 36500, found .+\. The default is 365\.$"):
        split(YEARS, holdout)


def test_a_series_too_short_for_its_holdout_is_refused_by_name(frame, write):
    path = write(frame)
    with pytest.raises(DataError) as caught:
        make_table(path, 365)
    assert str(caught.value).startswith(f"{path}: expected at least as many days for training as the 365 that are kept")
    assert "found 120 days in all. Give more data, or a smaller holdout_days." in str(caught.value)


def test_the_table_has_targets_weather_features_marks_and_split(frame, write):
    table, repairs = make_table(write(frame.drop(frame.index[50])), 30)
    assert list(table.columns[:7]) == [*frame.columns, "repaired"]
    assert {"solar_elevation", "windspeed_mean_25h", "trend"} < set(table.columns)
    assert table["split"].value_counts()["holdout"] == 720
    assert not table.isna().any().any()
    assert table.attrs == {"source": "power.csv (its source is not stated)", "file": "power.csv", "repairs": repairs}
    assert repairs["hours filled"] == table["repaired"].sum() == 1


UNUSABLE = ["null", "7", '"power.csv"', "[1]", "[{}]", '[{"path": "power.csv"}]']


def package(*resources):
    return json.dumps({"resources": [{"path": path, "title": title} for path, title in resources]}).encode()


@pytest.mark.parametrize(
    ("descriptor", "source"),
    [
        (package(("power.csv", "Simulated sample")), "Simulated sample"),
        (package(("other.csv", "Another"), ("power.csv", "Wind und Wärme")), "Wind und Wärme"),
        (b"\xef\xbb\xbf" + package(("power.csv", "Simulated sample")), "Simulated sample"),
        (None, "power.csv (its source is not stated)"),
        (package(("other.csv", "Another")), "power.csv (its source is not stated)"),
        (package(("power.csv", "")), "power.csv (its source is not stated)"),
        (package(("power.csv", None)), "power.csv (its source is not stated)"),
        (b'{"resources": []}', "power.csv (its source is not stated)"),
    ],
    ids=["its title", "one of two", "a byte order mark", "no file", "another's", "empty", "null", "nothing"],
)
def test_the_source_is_the_title_in_the_data_package_beside_the_file(write, frame, descriptor, source):
    path = write(frame)
    if descriptor is not None:
        path.with_name("datapackage.json").write_bytes(descriptor)
    assert describe(path) == source


@pytest.mark.parametrize(
    "descriptor",
    [
        "",
        "{",
        "[]",
        "7",
        "null",
        "{}",
        '"resources"',
        *(f'{{"resources": {text}}}' for text in UNUSABLE),
        "\0",
        "\udcff",
    ],
)
def test_a_data_package_that_cannot_be_understood_is_said_to_be_so_and_stops_nothing(write, frame, descriptor):
    path = write(frame)
    path.with_name("datapackage.json").write_text(descriptor, encoding="utf-8", errors="surrogateescape")
    table, _ = make_table(path, 30)
    assert table.attrs["source"] == (
        "power.csv (its source is not stated: datapackage.json beside it can't be understood)"
    )


def test_a_data_package_that_is_a_folder_stops_nothing(write, frame):
    path = write(frame)
    path.with_name("datapackage.json").mkdir()
    assert "datapackage.json beside it can't be understood" in describe(path)


def test_the_sample_says_that_it_is_simulated(root):
    assert "imulated" in describe(root / "1_starting_point" / "germany.csv")


def test_the_real_series_becomes_a_table_without_gaps(real_data):
    table, repairs = make_table(real_data, 365)
    assert len(table) == 26280
    assert (repairs["hours filled"], repairs["hours that stood twice"]) == (51, 3)
    assert not table.isna().any().any()
    assert table["split"].value_counts()["holdout"] == 8760
    assert table.loc["2013-06-21 11:00:00+00:00", "rad_clear_sky"] > 900
