"""The features say of weather and calendar what their names say, and nothing of the power."""

import numpy as np
import pandas as pd
import pytest
from features import add_features, clear_sky_radiation, solar_elevation

TARGETS = ["solar_GW", "wind_GW"]


def utc(*times):
    return pd.DatetimeIndex(times, tz="UTC")


@pytest.mark.parametrize(
    ("day", "height"),
    # 90 degrees less the latitude of 51, and the sun's declination: 23.44 degrees at the solstices, 0 at the equinoxes
    [("2013-06-21", 62.44), ("2015-12-22", 15.56), ("2014-03-20", 39.0), ("2014-09-23", 39.0)],
)
def test_at_noon_the_sun_stands_as_high_as_the_almanac_says(day, height):
    elevation = solar_elevation(pd.date_range(day, periods=24, freq="h", tz="UTC"))
    assert elevation.max() == pytest.approx(height, abs=0.6)  # the series is as good as that
    assert elevation.argmax() == 11  # 10 degrees east of Greenwich noon is 40 minutes earlier than there


def test_the_sun_rises_and_sets_when_it_does_in_the_middle_of_germany():
    # Bad Hersfeld (50.9 N, 9.7 E): from 3:08 to 19:38 UTC at midsummer, from 7:20 to 15:18 at midwinter
    for day, up in (("2014-06-21", range(3, 20)), ("2014-12-21", range(7, 15))):
        elevation = solar_elevation(pd.date_range(day, periods=24, freq="h", tz="UTC"))
        assert list(np.flatnonzero(elevation > 0)) == list(up)


def test_the_equation_of_time_makes_the_sun_early_in_november_and_late_in_february():
    morning, evening = (solar_elevation(utc(f"2014-11-03 {hour}:00", f"2014-02-11 {hour}:00")) for hour in (8, 14))
    early, late = evening - morning  # by 16 and by -14 minutes, which is as much as 4 and -3.5 degrees of turning
    assert early < -3
    assert late > 1


@pytest.mark.parametrize(("elevation", "radiation"), [(90, 1037.2), (30, 489.8), (0, 0), (-5, 0), (-60, 0)])
def test_clear_sky_radiation_follows_haurwitz_and_is_zero_at_night(elevation, radiation):
    assert clear_sky_radiation(np.array([elevation])) == pytest.approx(radiation, abs=0.1)


def test_the_table_gets_these_columns_and_keeps_its_own(frame):
    table = add_features(frame)
    assert list(table.columns) == [
        *frame.columns,
        *("hour", "day_of_year", "solar_elevation", "rad_clear_sky", "utc_offset"),
        *("rad_horizontal_lag_1", "rad_horizontal_lead_1", "rad_diffuse_lag_1", "rad_diffuse_lead_1"),
        *("windspeed_lag_1", "windspeed_lead_1", "windspeed_lag_2", "windspeed_lead_2"),
        *("windspeed_lag_3", "windspeed_lead_3", "windspeed_mean_7h", "windspeed_mean_25h", "trend"),
    ]
    pd.testing.assert_frame_equal(table[frame.columns], frame)
    assert "hour" not in frame, "the frame that is given stays as it is"
    assert set(table.dtypes.astype(str)) == {"float64"}
    assert not table.isna().any().any()


def test_calendar_features_are_those_of_utc():
    index = pd.date_range("2012-12-31 22:00", periods=5, freq="h", tz="UTC")
    table = add_features(pd.DataFrame({"windspeed": 1.0, "rad_horizontal": 0.0, "rad_diffuse": 0.0}, index=index))
    assert list(table["hour"]) == [22, 23, 0, 1, 2]
    assert list(table["day_of_year"]) == [366, 366, 1, 1, 1]
    assert table["trend"].iloc[2] == 0
    assert table["trend"].iloc[0] == pytest.approx(-2 / 8766)  # hours in a year of 365.25 days


@pytest.mark.parametrize(
    ("name", "hours"), [*(("windspeed", hours) for hours in (1, 2, 3)), ("rad_horizontal", 1), ("rad_diffuse", 1)]
)
def test_lags_and_leads_are_the_hours_before_and_after_and_at_the_ends_the_nearest_hour(frame, name, hours):
    table, weather = add_features(frame), frame[name].to_numpy()
    lag, lead = table[f"{name}_lag_{hours}"].to_numpy(), table[f"{name}_lead_{hours}"].to_numpy()
    assert list(lag) == [*[weather[0]] * hours, *weather[:-hours]]
    assert list(lead) == [*weather[hours:], *[weather[-1]] * hours]


def test_the_clocks_are_two_hours_ahead_from_the_end_of_march_to_the_end_of_october(frame):
    index = utc("2014-03-30 00:00", "2014-03-30 01:00", "2014-10-26 00:00", "2014-10-26 01:00", "2015-01-01 00:00")
    assert list(add_features(frame[:5].set_axis(index))["utc_offset"]) == [1, 2, 2, 1, 1]


@pytest.mark.parametrize(("name", "around"), [("windspeed_mean_7h", 3), ("windspeed_mean_25h", 12)])
def test_means_are_centred_and_at_the_ends_of_the_hours_there_are(frame, name, around):
    mean, wind = add_features(frame)[name].to_numpy(), frame["windspeed"].to_numpy()
    expected = [wind[max(0, at - around) : at + around + 1].mean() for at in range(len(wind))]
    assert np.allclose(mean, expected)


@pytest.mark.parametrize(("first", "last"), [(0, 2880), (17, 1500), (1001, 1100), (1900, 2880)])
def test_a_part_of_the_series_has_the_same_bytes_as_the_whole_but_for_the_12_hours_at_its_ends(frame, first, last):
    whole, part = add_features(frame)[first:last], add_features(frame[first:last])
    pd.testing.assert_frame_equal(part[12:-12], whole[12:-12], check_exact=True)


def test_no_feature_looks_at_the_power(frame):
    known = add_features(frame).drop(columns=TARGETS)
    shuffled = frame.assign(solar_GW=frame["solar_GW"].to_numpy()[::-1], wind_GW=-1.0)
    pd.testing.assert_frame_equal(add_features(shuffled).drop(columns=TARGETS), known)
    pd.testing.assert_frame_equal(add_features(frame.drop(columns=TARGETS)), known)


@pytest.mark.parametrize("hours", [1, 2, 3, 6])
def test_the_features_of_a_few_hours_have_no_missing_value(frame, hours):
    assert not add_features(frame[:hours]).isna().any().any()
