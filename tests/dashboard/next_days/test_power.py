import numpy as np
import pandas as pd
import pytest

from dashboard.next_days.fetch import Unavailable
from dashboard.next_days.power import hourly, period, read_measured, read_published

START = 1_781_049_600  # 2026-06-10 00:00 UTC


def answer(solar: list, onshore: list, offshore: list) -> dict:
    named = {"Solar": solar, "Wind onshore": onshore, "Wind offshore": offshore, "Nuclear": [0] * len(solar)}
    return {
        "unix_seconds": [START + 900 * number for number in range(len(solar))],
        "production_types": [{"name": name, "data": data} for name, data in named.items()],
        "deprecated": False,
    }


def test_quarters_in_mw_become_means_of_the_hour_in_gw():
    power = read_measured(answer([1000, 2000, 3000, 4000] * 2, [10_000] * 8, [2_000] * 8))
    assert list(power.index) == list(pd.date_range("2026-06-10", periods=2, freq="h", tz="UTC"))
    assert list(power["solar_GW"]) == [2.5, 2.5]
    assert list(power["wind_GW"]) == [12, 12]


def test_an_hour_with_a_quarter_missing_is_missing():
    power = read_measured(answer([1000, None, 3000, 4000, 5000, 5000, 5000, 5000], [10_000] * 8, [2_000] * 8))
    assert np.isnan(power["solar_GW"].iloc[0])
    assert power["solar_GW"].iloc[1] == 5
    assert not power["wind_GW"].isna().any()


def test_an_hour_that_is_not_over_is_missing():
    power = read_measured(answer([1000] * 6, [10_000] * 6, [2_000] * 6))
    assert list(power["solar_GW"].isna()) == [False, True]


def test_wind_without_its_offshore_part_is_missing_and_the_sun_is_there():
    said = answer([1000] * 4, [10_000] * 4, [2_000] * 4)
    said["production_types"] = [one for one in said["production_types"] if one["name"] != "Wind offshore"]
    power = read_measured(said)
    assert power["solar_GW"].iloc[0] == 1
    assert power["wind_GW"].isna().all()


def test_values_by_the_hour_are_taken_as_they_are():
    times = pd.date_range("2026-06-10", periods=3, freq="h", tz="UTC")
    assert list(hourly(times, np.array([1.0, 2, 3]))) == [1, 2, 3]


def test_values_by_the_day_are_refused():
    times = pd.date_range("2026-06-10", periods=3, freq="D", tz="UTC")
    with pytest.raises(Unavailable, match="a value for every hour"):
        hourly(times, np.array([1.0, 2, 3]))


def test_order_and_doubles_do_no_harm():
    times = pd.to_datetime([START + 900 * number for number in (3, 1, 2, 0, 0)], unit="s", utc=True)
    assert list(hourly(times, np.array([4.0, 2, 3, 100, 1]))) == [2.5]


@pytest.mark.parametrize("value", [-9_999_999, 1e300, float("nan"), "1000", True])
def test_what_can_not_be_power_counts_as_missing(value):
    power = read_measured(answer([value, 1, 1, 1], [1] * 4, [1] * 4))
    assert np.isnan(power["solar_GW"].iloc[0])


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"unix_seconds": None}, "expected a list of times, found nothing"),
        ({"unix_seconds": [START]}, "expected 1 values, as many as there are times, found 4"),
        ({"production_types": None}, "expected production_types, found nothing"),
        ({"production_types": []}, "found none of them"),
        ({"production_types": ["Solar", {"name": ["Solar"]}, {}]}, "found none of them"),
        ({"production_types": [{"name": "Solar"}]}, "expected a list of numbers, found nothing"),
    ],
)
def test_an_answer_of_another_shape_is_refused_in_one_sentence(change, expected):
    with pytest.raises(Unavailable, match=expected):
        read_measured(answer([1] * 4, [1] * 4, [1] * 4) | change)


def test_a_list_in_place_of_an_object_is_refused():
    with pytest.raises(Unavailable):
        read_measured([1, 2])
    with pytest.raises(Unavailable):
        read_published({"solar": [1, 2]})


def test_the_published_wind_is_the_sum_of_its_parts():
    times = [START + 900 * number for number in range(4)]

    def said(values: list) -> dict:
        return {"unix_seconds": times, "forecast_values": values, "forecast_type": "day-ahead", "deprecated": False}

    power = read_published(
        {"solar": said([8000, None, 8000, 8000]), "wind_onshore": said([3000] * 4), "wind_offshore": said([1000] * 4)}
    )
    assert np.isnan(power["solar_GW"].iloc[0])
    assert power["wind_GW"].iloc[0] == 4


def test_the_query_states_its_zone(tools):
    assert period(tools.NOW, 3, 3) == {
        "country": "de",
        "start": "2026-06-07T09:00Z",
        "end": "2026-06-13T09:00Z",
    }
