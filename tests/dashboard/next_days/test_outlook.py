import json

import numpy as np
import pandas as pd
import pytest
from features import add_features
from validate import load

from dashboard.next_days.outlook import (
    NoPrediction,
    as_in_table,
    errors,
    hours_around,
    late_in_summer,
    outlook,
    predict,
    summer_time,
)
from dashboard.next_days.weather import COLUMNS, Plan, Site, hour_means, read_plan, read_weather


@pytest.fixture
def index(tools) -> pd.DatetimeIndex:
    return hours_around(tools.NOW)


def frame(index, solar: float = 10.0, wind: float = 20.0) -> pd.DataFrame:
    return pd.DataFrame({"solar_GW": solar, "wind_GW": wind}, index=index)


def as_open_meteo(table: pd.DataFrame, tools) -> dict:
    """Return true weather (each value the mean of the hour that begins) as Open-Meteo would answer it."""
    variables = read_plan().variables
    return {
        "hourly_units": tools.UNITS,
        "hourly": {"time": [int(time.timestamp()) for time in table.index]}
        | {
            # Radiation belongs to the hour before its time.
            variable: table[column].shift(1 if column.startswith("rad_") else 0).bfill().tolist()
            for column, variable in variables.items()
        },
    }


def test_three_days_back_and_three_ahead(index):
    assert index[0] == pd.Timestamp("2026-06-07T09:00Z")
    assert index[-1] == pd.Timestamp("2026-06-13T08:00Z")


def test_the_model_gets_the_columns_of_its_signature_with_right_lags_and_means(tools, index):
    weather = tools.weather_of(pd.date_range("2026-06-05", "2026-06-15T22:00", freq="h", tz="UTC"))
    weather["windspeed"] = np.random.default_rng(1).uniform(2, 9, len(weather))
    production = tools.production()
    power = predict(production, weather, index)
    given = production.model.given
    assert list(given.columns) == production.columns
    assert list(given.index) == list(index)
    around = weather["windspeed"].rolling(25, center=True).mean()  # NaN wherever a day is not whole
    np.testing.assert_allclose(given["windspeed_mean_25h"], around.reindex(index))
    assert given["windspeed_lag_3"].iloc[0] == weather["windspeed"][index[0] - pd.Timedelta(hours=3)]
    assert given["trend"].iloc[0] == pytest.approx(13.43, abs=0.01)
    assert {"solar_GW_q10", "wind_GW_q90"} <= set(power)


def test_hours_without_weather_have_no_prediction_and_the_others_have(tools, index):
    weather = tools.weather_of(pd.date_range("2026-06-05", "2026-06-15T22:00", freq="h", tz="UTC"))
    weather.loc["2026-06-11T12:00Z", "rad_diffuse"] = np.nan
    power = predict(tools.production(), weather, index)
    assert list(power.index[power["solar_GW"].isna()]) == [pd.Timestamp("2026-06-11T12:00Z")]


def test_old_weather_gives_an_empty_prediction(tools, index):
    weather = tools.weather_of(pd.date_range("2026-05-05", "2026-05-15", freq="h", tz="UTC"))
    power = predict(tools.production(), weather, index)
    assert list(power.index) == list(index)
    assert power.isna().all(axis=None)


def test_a_model_that_takes_what_no_forecast_gives_is_named(tools, index):
    production = tools.production()
    production.columns.append("wind_GW_lag_24")
    with pytest.raises(NoPrediction, match="takes wind_GW_lag_24, which a weather forecast does not give"):
        predict(production, tools.weather_of(index), index)


def test_only_hours_that_are_over_are_measured(tools, index):
    seen = outlook(tools.NOW, None, frame(index), None)
    measured = seen.measured["solar_GW"].dropna()
    assert measured.index[-1] == pd.Timestamp("2026-06-10T08:00Z")  # at 09:40 the hour from 09:00 is not over
    assert seen.predicted.isna().all(axis=None)
    assert list(seen.predicted) == ["solar_GW", "wind_GW"]


def test_both_forecasts_are_judged_on_the_same_measured_hours(tools, index):
    measured = frame(index)
    predicted, published = frame(index, solar=13), frame(index, solar=9)
    predicted.iloc[:10] = np.nan
    published.iloc[10:15] = np.nan
    published.iloc[15:20, 0] = 109  # not among the hours that count, were it not for these
    found = errors(outlook(tools.NOW, predicted, measured, published), "solar_GW")
    assert found["predicted"]["hours"] == found["published"]["hours"] == 72 - 15
    assert found["predicted"]["mae"] == found["predicted"]["bias"] == 3
    assert found["published"]["mae"] == pytest.approx((5 * 99 + 52) / 57)
    assert found["published"]["bias"] == pytest.approx((5 * 99 - 52) / 57)


def test_without_a_published_forecast_ours_is_still_judged(tools, index):
    found = errors(outlook(tools.NOW, frame(index, solar=13), frame(index), None), "solar_GW")
    assert found["predicted"]["hours"] == 72
    assert found["published"]["hours"] == 0


def test_the_error_of_the_shape_does_not_see_the_level(tools, index):
    wave = pd.Series(2 + np.sin(np.arange(len(index))), index)
    measured, predicted = frame(index), frame(index)
    measured["solar_GW"], predicted["solar_GW"] = 3 * wave, 9 * wave
    found = errors(outlook(tools.NOW, predicted, measured, None), "solar_GW")["predicted"]
    assert found["shape_mae"] == pytest.approx(0, abs=1e-12)
    assert found["mae"] > 5


def test_the_error_of_the_shape_is_a_share_of_the_mean(tools, index):
    measured, predicted = frame(index), frame(index)
    measured["solar_GW"] = np.where(np.arange(len(index)) % 2, 8.0, 12.0)  # 20 % off its mean, each hour
    found = errors(outlook(tools.NOW, predicted, measured, None), "solar_GW")["predicted"]
    assert found["shape_mae"] == pytest.approx(0.2)


def test_a_night_without_sun_has_no_shape(tools, index):
    found = errors(outlook(tools.NOW, frame(index, solar=0), frame(index, solar=0), None), "solar_GW")
    assert np.isnan(found["predicted"]["shape_mae"])
    assert found["predicted"]["mae"] == 0


def test_summer_time_begins_and_ends_at_one_utc():
    times = pd.to_datetime(["2026-03-29T00:00Z", "2026-03-29T01:00Z", "2026-10-25T00:00Z", "2026-10-25T01:00Z"])
    assert list(summer_time(times)) == [False, True, True, False]


def test_a_table_whose_weather_is_on_time_is_told_from_one_that_is_late(tools):
    weather = tools.weather_of(pd.date_range("2016-05-01", "2016-06-30", freq="h", tz="UTC"))
    assert not late_in_summer(weather)
    assert late_in_summer(as_in_table(weather, True).dropna())
    winter = tools.weather_of(pd.date_range("2016-01-01", "2016-02-28", freq="h", tz="UTC"))
    assert not late_in_summer(winter)


@pytest.mark.parametrize("source", ["sample", "real"])
def test_the_weather_of_the_table_comes_back_through_the_service(source, request, root, tools):
    """If Open-Meteo had been asked in those years, the model would have got what it has learned from."""
    path = request.getfixturevalue("real_data") if source == "real" else root / "1_starting_point" / "germany.csv"
    table, _ = load(path)
    assert late_in_summer(table)
    days = slice("2014-03-25", "2014-04-05")  # summer time begins on 30 March
    weather = table[list(COLUMNS)]
    truth = weather.where(~summer_time(table.index), weather.shift(-1), axis=0)[days]
    answer = json.loads(json.dumps(as_open_meteo(truth, tools)))
    plan = Plan(read_plan().variables, (Site(51, 10, 1),))
    given = as_in_table(hour_means(read_weather(answer, plan)), late_in_summer(table))
    inside = given.index[2:-2].drop(pd.date_range("2014-03-30T00:00Z", "2014-03-30T02:00Z", freq="h"))
    for column in ("rad_horizontal", "rad_diffuse"):
        np.testing.assert_allclose(given.loc[inside, column], table.loc[inside, column])
    # Of wind and temperature the service gives moments; the mean of two is near the hour's.
    np.testing.assert_allclose(given.loc[inside, "windspeed"], table.loc[inside, "windspeed"], atol=0.8)
    features, expected = add_features(given), add_features(table)
    middle = inside[13:-13]
    np.testing.assert_allclose(
        features.loc[middle, "windspeed_mean_25h"], expected.loc[middle, "windspeed_mean_25h"], atol=0.15
    )
