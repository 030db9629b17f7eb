import numpy as np
import pandas as pd
import pytest

from dashboard.next_days.answers import Unavailable
from dashboard.next_days.power import hourly, read_measured, read_published

START = 1_781_049_600  # 2026-06-10 00:00 UTC


def answer(solar: list, onshore: list, offshore: list) -> dict:
    named = {"Solar": solar, "Wind onshore": onshore, "Wind offshore": offshore, "Nuclear": [0] * len(solar)}
    return {
        "unix_seconds": [START + 900 * number for number in range(len(solar))],
        "production_types": [{"name": name, "data": data} for name, data in named.items()],
        "deprecated": False,
    }


def test_quarters_in_mw_become_means_of_the_hour_in_gw_unless_one_is_missing():
    onshore, offshore = [10_000] * 9, [2_000] * 8 + [-9_999_999]  # the last one can't be power
    power = read_measured(answer([1000, None, 3000, 4000, *[2000, 4000] * 2, 5000], onshore, offshore))
    assert list(power.index) == list(pd.date_range("2026-06-10", periods=3, freq="h", tz="UTC"))
    np.testing.assert_array_equal(power["solar_GW"], [np.nan, 3, np.nan])
    np.testing.assert_array_equal(power["wind_GW"], [12, 12, np.nan])


def test_wind_without_its_offshore_part_is_missing_and_the_sun_is_there():
    said = answer([1000] * 4, [10_000] * 4, [2_000] * 4)
    del said["production_types"][2]
    power = read_measured(said)
    assert power["solar_GW"].iloc[0] == 1
    assert power["wind_GW"].isna().all()


def test_order_doubles_and_values_by_the_hour_do_no_harm():
    times = [START + 900 * number for number in (3, 1, 2, 0, 0)]
    assert list(hourly(times, [4.0, 2.0, 3.0, 100.0, 1.0], "here")) == [2.5]
    assert list(hourly([START, START + 3600, START + 7200], [1.0, 2.0, 3.0], "here")) == [1, 2, 3]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"unix_seconds": None}, "Energy-Charts, unix_seconds: Input should be a valid list, found None"),
        ({"unix_seconds": [START]}, "Solar: expected 1 values, as many as there are times, found 4"),
        ({"unix_seconds": list(range(START, START + 345_600, 86_400))}, "every hour at least, found one every 86400 s"),
        ({"production_types": []}, "found none of them"),
    ],
)
def test_an_answer_of_another_shape_is_refused_in_one_sentence(change, expected):
    with pytest.raises(Unavailable, match=expected):
        read_measured(answer([1] * 4, [1] * 4, [1] * 4) | change)


def test_the_published_wind_is_the_sum_of_its_parts():
    times = [START + 900 * number for number in range(4)]

    def said(values: list) -> dict:
        return {"unix_seconds": times, "forecast_values": values, "forecast_type": "day-ahead", "deprecated": False}

    power = read_published(
        {"solar": said([8000, None, 8000, 8000]), "wind_onshore": said([3000] * 4), "wind_offshore": said([1000] * 4)}
    )
    assert np.isnan(power["solar_GW"].iloc[0])
    assert power["wind_GW"].iloc[0] == 4
