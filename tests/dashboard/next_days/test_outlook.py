import json

import numpy as np
import pandas as pd
import pytest
from validate import load

from dashboard.next_days.figures import lines_around_now
from dashboard.next_days.outlook import (
    TARGETS,
    as_in_table,
    errors,
    hours_around,
    late_in_summer,
    outlook,
    predict,
    summer_time,
)
from dashboard.next_days.weather import COLUMNS, hour_means, read_plan, read_weather
from forecasting.errors import UserError
from forecasting.features import add_features


@pytest.fixture
def index(tools) -> pd.DatetimeIndex:
    return hours_around(tools.NOW)


def frame(index, solar: float = 10.0, wind: float = 20.0) -> pd.DataFrame:
    return pd.DataFrame({"solar_GW": solar, "wind_GW": wind}, index=index)


def as_open_meteo(table: pd.DataFrame, tools) -> dict:
    """Return true weather (each value the mean of the hour that begins) as Open-Meteo would answer it."""
    return {
        "hourly_units": tools.UNITS,
        "hourly": {"time": [int(time.timestamp()) for time in table.index]}
        | {
            # Radiation belongs to the hour before its time.
            variable.name: table[column].shift(1 if column.startswith("rad_") else 0).bfill().tolist()
            for column, variable in read_plan().variables.items()
        },
    }


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


def test_hours_without_weather_have_no_prediction_and_a_model_that_takes_something_else_is_named(tools, index):
    weather = tools.weather_of(pd.date_range("2026-06-05", "2026-06-15T22:00", freq="h", tz="UTC"))
    weather.loc["2026-06-11T12:00Z", "rad_diffuse"] = np.nan
    power = predict(tools.production(), weather, index)
    assert list(power.index[power["solar_GW"].isna()]) == [pd.Timestamp("2026-06-11T12:00Z")]
    old = predict(tools.production(), weather.shift(-40, freq="D"), index)
    assert list(old.index) == list(index)
    assert old.isna().all(axis=None)
    production = tools.production()
    production.columns.append("wind_GW_lag_24")
    with pytest.raises(UserError, match="takes wind_GW_lag_24, which a weather forecast does not give"):
        predict(production, weather, index)


def test_three_days_back_and_three_ahead_of_which_the_hours_that_are_over_are_measured(tools, index):
    assert (index[0], index[-1]) == (pd.Timestamp("2026-06-07T09:00Z"), pd.Timestamp("2026-06-13T08:00Z"))
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
    scores = errors(outlook(tools.NOW, predicted, measured, published), "solar_GW")
    assert scores["predicted"]["hours"] == scores["published"]["hours"] == 72 - 15
    assert scores["predicted"]["mae"] == scores["predicted"]["bias"] == 3
    assert scores["published"]["mae"] == pytest.approx((5 * 99 + 52) / 57)
    assert scores["published"]["bias"] == pytest.approx((5 * 99 - 52) / 57)
    alone = errors(outlook(tools.NOW, frame(index, solar=13), measured, None), "solar_GW")
    assert (alone["predicted"]["hours"], alone["published"]["hours"]) == (72, 0)


@pytest.mark.parametrize(
    ("measured", "predicted", "expected"),
    [
        (3 * (2 + np.sin(np.arange(144))), 9 * (2 + np.sin(np.arange(144))), 0),  # only the level is wrong
        (np.tile([12.0, 8.0], 72), np.full(144, 10.0), 0.2),  # 20 % off its mean, each hour
        (np.zeros(144), np.zeros(144), np.nan),  # a night without sun has no shape
    ],
)
def test_the_error_of_the_shape_is_a_share_of_the_mean_and_does_not_see_the_level(
    tools, index, measured, predicted, expected
):
    seen = outlook(tools.NOW, frame(index).assign(solar_GW=predicted), frame(index).assign(solar_GW=measured), None)
    assert errors(seen, "solar_GW")["predicted"]["shape_mae"] == pytest.approx(expected, abs=1e-12, nan_ok=True)


def test_shapes_are_drawn_also_while_nothing_is_measured(tools, index, numbers):
    lines = lines_around_now(outlook(tools.NOW, frame(index), None, frame(index, 8)), TARGETS[0], True)["data"]
    assert [float(numbers(line["y"])[0]) for line in lines] == pytest.approx([np.nan, 1, 1], nan_ok=True)


def test_a_table_whose_weather_is_on_time_is_told_from_one_that_is_late(tools):
    times = pd.to_datetime(["2026-03-29T00:00Z", "2026-03-29T01:00Z", "2026-10-25T00:00Z", "2026-10-25T01:00Z"])
    assert list(summer_time(times)) == [False, True, True, False]
    weather = tools.weather_of(pd.date_range("2016-05-01", "2016-06-30", freq="h", tz="UTC"))
    assert not late_in_summer(add_features(weather))
    assert late_in_summer(add_features(as_in_table(weather, True).dropna()))
    winter = add_features(tools.weather_of(pd.date_range("2016-01-01", "2016-02-28", freq="h", tz="UTC")))
    assert not late_in_summer(winter)


@pytest.mark.parametrize("source", ["sample", "real"])
def test_the_weather_of_the_table_comes_back_through_the_service(source, request, root, tools):
    """If Open-Meteo had been asked in those years, the model would have got what it has learned from."""
    path = request.getfixturevalue("real_data") if source == "real" else root / "1_starting_point" / "germany.csv"
    table = add_features(load(path)[0])
    assert late_in_summer(table)
    days = slice("2014-03-25", "2014-04-05")  # summer time begins on 30 March
    weather = table[COLUMNS]
    truth = weather.where(~summer_time(table.index), weather.shift(-1), axis=0)[days]
    answer = json.loads(json.dumps(as_open_meteo(truth, tools)))
    plan = read_plan()
    del plan.sites[1:]
    given = as_in_table(hour_means(read_weather(answer, plan)), late_in_summer(table))
    inside = given.index[2:-2].drop(pd.date_range("2014-03-30T00:00Z", "2014-03-30T02:00Z", freq="h"))
    for column in ("rad_horizontal", "rad_diffuse"):
        np.testing.assert_allclose(given.loc[inside, column], table.loc[inside, column])
    # Of wind and temperature the service gives moments; the mean of two is near the hour's.
    np.testing.assert_allclose(given.loc[inside, "windspeed"], table.loc[inside, "windspeed"], atol=0.8)
    features, expected = add_features(given), table
    middle = inside[13:-13]
    np.testing.assert_allclose(
        features.loc[middle, "windspeed_mean_25h"], expected.loc[middle, "windspeed_mean_25h"], atol=0.15
    )
