import errors
import numpy as np
import pandas as pd
import pytest

SEASONS = {"winter": [12, 1, 2], "summer": [6, 7, 8]}


def hours(count: int, start: str = "2013-01-01") -> pd.DatetimeIndex:
    return pd.date_range(start, periods=count, freq="h", tz="UTC")


def test_errors_are_those_of_a_calculation_by_hand():
    truth = pd.DataFrame({"solar_GW": [0.0, 1.0, 2.0, 3.0], "wind_GW": [5.0, 5.0, 5.0, 7.0]}, hours(4))
    added = pd.DataFrame({"solar_GW": [1.0, -1.0, 1.0, 1.0], "wind_GW": [0.0, 0.0, 0.0, -8.0]}, hours(4))
    scores = errors.errors(truth + added, truth)
    assert scores["mae_solar_GW"] == 1.0
    assert scores["bias_solar_GW"] == 0.5
    assert scores["rmse_wind_GW"] == 4.0
    assert scores["mae_wind_GW"] == 2.0
    assert scores["r2_solar_GW"] == pytest.approx(1 - 4 / 5)
    assert scores["mae"] == 1.5


def test_a_forecast_that_lacks_a_row_has_no_error_and_not_the_error_of_the_others():
    truth = pd.DataFrame({"solar_GW": [1.0, 1.0, 1.0]}, hours(3))
    assert np.isnan(errors.errors(truth.iloc[:2], truth)["mae"])
    assert np.isnan(errors.errors(truth.assign(solar_GW=[1.0, np.nan, 1.0]), truth)["mae"])


def test_what_never_changes_has_no_r2():
    truth = pd.DataFrame({"solar_GW": [1.0, 1.0]}, hours(2))
    assert np.isnan(errors.errors(truth + 1, truth)["r2_solar_GW"])


def test_the_breakdown_is_by_target_by_season_and_by_hour():
    index = pd.date_range("2013-01-01", "2013-12-31 23:00", freq="h", tz="UTC")
    truth = pd.DataFrame({"wind_GW": 5.0}, index)
    added = np.where(index.month == 7, 3.0, 0.0) + (index.hour == 6)
    found = errors.breakdown(truth.add(added, axis=0), truth, SEASONS).set_index(["by", "part"])
    assert found.loc[("season", "summer"), "rows"] == 92 * 24
    assert found.loc[("season", "summer"), "mae"] == pytest.approx(3 * 31 / 92 + 1 / 24)
    assert found.loc[("season", "winter"), "mae"] == pytest.approx(1 / 24)
    assert found.loc[("hour", "06"), "bias"] == pytest.approx(1 + 3 * 31 / 365)
    assert found.loc[("all", "all"), "rows"] == 8760


def test_daily_values_have_no_hours_and_a_season_without_rows_is_left_out():
    index = pd.date_range("2013-06-01", periods=30, freq="D", tz="UTC")
    truth = pd.DataFrame({"wind_GW": 5.0}, index)
    found = errors.breakdown(truth, truth, SEASONS)
    assert set(found["by"]) == {"all", "season"}
    assert set(found["part"]) == {"all", "summer"}
