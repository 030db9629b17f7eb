import json

import numpy as np
import pandas as pd
import pytest

from dashboard.next_days.fetch import Unavailable
from dashboard.next_days.weather import hour_means, parameters, read_plan, read_weather

DAY = ("2026-06-10", "2026-06-10")


@pytest.fixture
def three(tools) -> list[dict]:
    return [tools.place(tools.hours(*DAY), wind) for wind in (2.0, 4.0, 8.0)]


def test_the_country_is_the_weighted_mean_of_the_places(three, plan):
    weather = read_weather(three, plan)
    assert weather.index[0] == pd.Timestamp("2026-06-10T00:00Z")
    assert len(weather) == 24
    expected = np.average([one["hourly"]["wind_speed_10m"] for one in three], axis=0, weights=[2, 1, 1])
    np.testing.assert_allclose(weather["windspeed"], expected)


def test_a_null_leaves_its_weight_to_the_other_places(three, plan):
    three[2]["hourly"]["wind_speed_10m"][5] = None
    one, two = (place["hourly"]["wind_speed_10m"][5] for place in three[:2])
    assert read_weather(three, plan)["windspeed"].iloc[5] == pytest.approx((2 * one + two) / 3)


def test_an_hour_that_too_few_places_have_is_missing(three, plan):
    for place in (0, 1):
        three[place]["hourly"]["temperature_2m"][5] = None
    weather = read_weather(three, plan)
    assert np.isnan(weather["temperature"].iloc[5])
    assert weather.isna().sum().sum() == 1


@pytest.mark.parametrize("value", [-9999, 1e308, float("nan"), float("inf"), "12", True, 10**400])
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
        (lambda places: places[1].pop("hourly"), "place 2: expected hourly values and their units"),
        (lambda places: places[0].update(hourly=[1]), "place 1: expected hourly values and their units"),
        (lambda places: places.__setitem__(0, None), "found nothing without them"),
        (lambda places: places[0]["hourly_units"].update(wind_speed_10m="km/h"), "expected m/s, found km/h"),
        (lambda places: places[0]["hourly_units"].pop("temperature_2m"), "expected °C, found None"),
        (lambda places: places[0]["hourly"].pop("direct_radiation"), "expected a list of numbers, found nothing"),
        (lambda places: places[0]["hourly"]["direct_radiation"].pop(), "expected 24 values"),
        (lambda places: places[0]["hourly"].update(time=[]), "expected a list of times, found an empty one"),
        (lambda places: places[0]["hourly"].update(time=["2026-06-10T00:00"] * 24), "expected Unix seconds"),
        (lambda places: places[0]["hourly"].update(time=[-1] * 24), "expected Unix seconds"),
        (lambda places: places[0]["hourly"]["time"].__setitem__(0, 86400), "expected 11 days"),
    ],
)
def test_an_answer_of_another_shape_is_refused_in_one_sentence(three, plan, break_it, expected):
    break_it(three)
    with pytest.raises(Unavailable, match=expected):
        read_weather(three, plan)


def test_one_place_is_answered_without_a_list(three, plan):
    alone = type(plan)(plan.variables, plan.sites[:1])
    assert len(read_weather(three[0], alone)) == 24


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
    plan = read_plan()
    assert 6 <= len(plan.sites) <= 16
    assert sum(site.weight for site in plan.sites) == pytest.approx(84, abs=1)  # million people
    assert all(47 < site.latitude < 55.1 and 5.8 < site.longitude < 15.1 for site in plan.sites)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("latitude = 53.9", "latitude = 153.9"), "expected a latitude from -90 to 90"),
        (("weight = 4.8", "weight = 0"), "expected a weight"),
        (("longitude = 9.9", ""), "expected a longitude"),
        (
            ("rad_diffuse", "rad_difuse"),
            "expected .variables. with windspeed, temperature, rad_horizontal, rad_diffuse",
        ),
        (("[[sites]]", "[[places]]"), "expected at least one of .{2}sites"),
        (("[variables]", "[variables"), "weather.toml can't be read"),
    ],
)
def test_a_slip_in_the_file_is_named(tmp_path, root, change, expected):
    path = tmp_path / "weather.toml"
    text = (root / "dashboard" / "next_days" / "weather.toml").read_text(encoding="utf-8")
    path.write_text(text.replace(*change), encoding="utf-8")
    with pytest.raises(Unavailable, match=expected):
        read_plan(path)
