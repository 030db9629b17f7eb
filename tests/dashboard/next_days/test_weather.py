import json

import numpy as np
import pandas as pd
import pytest

from dashboard.next_days.answers import Unavailable
from dashboard.next_days.weather import hour_means, parameters, read_plan, read_weather


@pytest.fixture
def three(tools) -> list[dict]:
    return [tools.place("2026-06-10", "2026-06-10", wind) for wind in (2.0, 4.0, 8.0)]


def test_the_country_is_the_weighted_mean_of_the_places(three, plan):
    weather = read_weather(three, plan)
    assert weather.index[0] == pd.Timestamp("2026-06-10T00:00Z")
    assert len(weather) == 24
    expected = np.average([one["hourly"]["wind_speed_10m"] for one in three], axis=0, weights=[2, 1, 1])
    np.testing.assert_allclose(weather["windspeed"], expected)
    del plan.sites[1:]
    assert len(read_weather(three[0], plan)) == 24  # one place is answered without a list


def test_a_null_leaves_its_weight_to_the_other_places_unless_too_few_have_a_value(three, plan):
    three[2]["hourly"]["wind_speed_10m"][5] = None
    for place in (0, 1):
        three[place]["hourly"]["temperature_2m"][5] = None
    weather = read_weather(three, plan)
    one, two = (place["hourly"]["wind_speed_10m"][5] for place in three[:2])
    assert weather["windspeed"].iloc[5] == pytest.approx((2 * one + two) / 3)
    assert np.isnan(weather["temperature"].iloc[5])
    assert weather.isna().sum().sum() == 1


@pytest.mark.parametrize("value", [-9999, 1e308, float("nan")])
def test_a_value_that_can_not_be_weather_counts_as_missing(three, plan, value):
    for place in three:
        place["hourly"]["wind_speed_10m"][5] = value
    assert np.isnan(read_weather(json.loads(json.dumps(three)), plan)["windspeed"].iloc[5])


def test_times_that_are_left_out_become_missing_hours_and_doubled_ones_count_once(three, plan):
    for place in three:
        for values in place["hourly"].values():
            del values[10]
            values.append(values[3])
    weather = read_weather(three, plan)
    assert len(weather) == 24
    assert weather.isna().all(axis=1).sum() == 1
    assert weather.iloc[10].isna().all()


@pytest.mark.parametrize(
    ("break_it", "expected"),
    [
        (lambda places: places.pop(), "expected 3 places, found 2"),
        (lambda places: places[1].pop("hourly"), "place, 2, hourly: Field required"),
        (lambda places: places[0]["hourly_units"].update(wind_speed_10m="km/h"), "10m: expected m/s, found km/h"),
        (lambda places: places[0]["hourly"].pop("direct_radiation"), "direct_radiation: .* list, found None"),
        (lambda places: places[0]["hourly"]["direct_radiation"].pop(), "expected 24 values"),
        (lambda places: places[0]["hourly"]["direct_radiation"].__setitem__(0, "12"), "1: .* number, found '12'"),
        (lambda places: places[0]["hourly"]["time"].__setitem__(0, 86400), "expected 11 days, found 20614"),
    ],
)
def test_an_answer_of_another_shape_is_refused_in_one_sentence(three, plan, break_it, expected):
    break_it(three)
    with pytest.raises(Unavailable, match=expected):
        read_weather(three, plan)


def test_the_query_names_what_the_documentation_names(plan, tools):
    assert parameters(plan, tools.NOW) == {
        "latitude": "48,52,54",
        "longitude": "9,9,13",
        "hourly": "wind_speed_10m,temperature_2m,direct_radiation,diffuse_radiation",
        "wind_speed_unit": "ms",
        "timeformat": "unixtime",
        "timezone": "UTC",
        "start_date": "2026-06-05",
        "end_date": "2026-06-15",
    }


def test_radiation_of_the_hour_before_is_named_by_the_start_of_that_hour():
    index = pd.date_range("2026-06-10", periods=3, freq="h", tz="UTC")
    given = pd.DataFrame(
        {"windspeed": [2.0, 4, 8], "temperature": [10.0, 12, 16], "rad_horizontal": [1.0, 2, 3], "rad_diffuse": 5.0},
        index=index,
    )
    means = hour_means(given)
    assert list(means.index) == list(index[:2])
    assert list(means["rad_horizontal"]) == [2, 3]
    assert list(means["windspeed"]) == [3, 6]
    assert list(means["temperature"]) == [11, 14]


def test_the_file_that_ships_stands_for_the_whole_country():
    sites = read_plan().sites
    assert 6 <= len(sites) <= 16
    assert sum(site.weight for site in sites) == pytest.approx(84, abs=1)  # million people
    assert all(47 < site.latitude < 55.1 and 5.8 < site.longitude < 15.1 for site in sites)


@pytest.fixture
def changed(tmp_path, root):
    """Return a function that writes the file with other text in it, and returns its path."""
    path = tmp_path / "weather.toml"
    text = (root / "dashboard" / "next_days" / "weather.toml").read_text(encoding="utf-8")

    def change(before: str, after: str):
        path.write_text(text.replace(before, after), encoding="utf-8")
        return path

    return change


def test_another_variable_in_the_file_is_asked_for_and_read(three, plan, tools, changed):
    plan.variables = read_plan(changed('"wind_speed_10m", unit = "m/s"', '"wind_gusts_10m", unit = "kn"')).variables
    assert parameters(plan, tools.NOW)["hourly"].startswith("wind_gusts_10m,temperature_2m,")
    for place in three:
        place["hourly"]["wind_gusts_10m"] = place["hourly"].pop("wind_speed_10m")
        place["hourly_units"]["wind_gusts_10m"] = "kn"
    assert read_weather(three, plan)["windspeed"].iloc[0] == pytest.approx(4, abs=2)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("latitude = 53.9", "latitude = 153.9", r"weather.toml, sites, 1, latitude: .* equal to 90, found 153.9"),
        ("[[sites]]", "[[places]]", "sites: Field required"),
        ("rad_diffuse =", "diffuse =", r"expected \[variables\] with windspeed, .*, rad_diffuse"),
        ("[[sites]]", "[[sites", "weather.toml can't be read"),
    ],
)
def test_a_slip_in_the_file_is_named(changed, before, after, expected):
    with pytest.raises(Unavailable, match=expected):
        read_plan(changed(before, after))
