"""The table is split by time, and says where its numbers come from."""

import json
import re
from pathlib import Path

import ingest
import numpy as np
import pandas as pd
import pytest
from ingest import make_table, split
from validate import DataError, read_subject

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
    assert len(weeks) // 5 <= len(validation) <= len(weeks) // 5 + 1
    assert set(part.index[part == "validation"].quarter) == {1, 2, 3, 4}
    assert parts(YEARS[1000:], 365).equals(part[1000:]), "whatever the start of the series"


@pytest.mark.parametrize(("days", "holdout"), [(730, 365), (36, 1), (50, 7.5)])
def test_as_much_training_as_holdout_and_five_weeks_are_enough(days, holdout):
    part = parts(YEARS[: days * 24], holdout)
    assert (part == "holdout").sum() == holdout * 24
    assert set(part) == {"train", "validation", "holdout"}


@pytest.mark.parametrize(("days", "holdout"), [(729, 365), (35, 1), (120, float("inf"))])
def test_less_training_than_holdout_or_than_five_weeks_is_refused(days, holdout):
    sentence = rf"that are kept for judging, and five weeks at least; found {days} days in all\. Give more data"
    with pytest.raises(ValueError, match=f"as the {holdout} {sentence}"):
        split(YEARS[: days * 24], holdout)


@pytest.mark.parametrize("holdout", [-1, 0.5, float("nan")])
def test_a_holdout_that_is_no_number_of_days_is_refused(holdout):
    with pytest.raises(ValueError, match=r"^expected holdout_days of at least 1, found .+\. The default is 365\.$"):
        split(YEARS, holdout)


def test_the_table_has_targets_weather_features_marks_and_split_or_is_too_short(frame, write, tmp_path):
    table, repairs = make_table(write(frame.drop(frame.index[50])), 30)
    assert list(table.columns[:7]) == [*frame.columns, "repaired"]
    assert {"solar_elevation", "windspeed_mean_25h", "trend"} < set(table.columns)
    assert table["split"].value_counts()["holdout"] == 720
    assert not table.isna().any().any()
    assert (table.attrs["file"], table.attrs["repairs"]) == ("power.csv", repairs)
    assert repairs["hours filled"] == table["repaired"].sum() == 1
    with pytest.raises(DataError, match=re.escape(f"{tmp_path / 'power.csv'}: expected at least as many days")):
        make_table(tmp_path / "power.csv", 365)


def package(*resources):
    return json.dumps({"resources": [{"path": path, "title": title} for path, title in resources]}).encode()


UNKNOWN = "power.csv (its source is not stated)"


@pytest.mark.parametrize(
    ("descriptor", "title"),
    [
        (package(("other.csv", "Another"), ("power.csv", "Wind und Wärme")), "Wind und Wärme"),
        (b"\xef\xbb\xbf" + package(("power.csv", "Simulated sample")), "Simulated sample"),
        (None, UNKNOWN),
        (package(("other.csv", "Another")), UNKNOWN),
        (package(("power.csv", None)), UNKNOWN),
    ],
    ids=["one of two", "a byte order mark", "no file", "another's", "null"],
)
def test_the_title_is_that_of_the_data_package_beside_the_file_and_the_columns_are_those_of_germany(
    write, descriptor, title
):
    path = write("")
    if descriptor is not None:
        path.with_name("datapackage.json").write_bytes(descriptor)
    subject = read_subject(path)
    assert (subject["title"], subject["place"], subject["time_zone"]) == (title, "Germany", "Europe/Berlin")
    wind = {"name": "wind_GW", "role": "target", "title": "Wind", "unit": "GW", "low": 0, "high": 100}
    assert subject["columns"][1] == wind
    assert [column["role"] for column in subject["columns"]] == ["target"] * 2 + ["input"] * 4


def test_titles_units_and_limits_are_those_of_the_data_package(write, frame):
    path = write(frame)
    content = json.loads((Path(ingest.__file__).with_name("schema.json")).read_text())
    fields = content["fields"]
    fields[2] |= {"title": "Wind on land", "constraints": {"minimum": 0, "maximum": 5}}
    resource = {"path": path.name, "title": "Numbers", "schema": {"fields": fields}}
    descriptor = {"place": "Utopia", "time_zone": "UTC", "resources": [resource]}
    path.with_name("datapackage.json").write_text(json.dumps(descriptor))
    assert (read_subject(path)["place"], read_subject(path)["columns"][1]["title"]) == ("Utopia", "Wind on land")
    with pytest.raises(DataError, match=r"'wind_GW', line 2 .*expected a number from 0 to 5 \(GW\), found '8.0'"):
        make_table(path, 30)


@pytest.mark.parametrize("descriptor", ["", "[]", "{}", '{"resources": [7]}', "\udcff", None])
def test_a_data_package_that_cannot_be_understood_is_refused(write, frame, descriptor):
    path = write(frame)
    if descriptor is None:
        path.with_name("datapackage.json").mkdir()
    else:
        path.with_name("datapackage.json").write_text(descriptor, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(DataError, match=r"datapackage.json: expected a data package that says what power.csv is"):
        make_table(path, 30)


def test_the_real_series_becomes_a_table_without_gaps(real_data):
    table, repairs = make_table(real_data, 365)
    assert len(table) == 26280
    assert (repairs["hours filled"], repairs["hours that appeared twice"]) == (51, 3)
    assert table["repaired"].sum() == 54
    assert not table.isna().any().any()
    assert table["split"].value_counts()["holdout"] == 8760
    assert table.loc["2013-06-21 11:00:00+00:00", "rad_clear_sky"] > 900
