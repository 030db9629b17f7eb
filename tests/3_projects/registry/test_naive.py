import naive
import numpy as np
import pandas as pd
import pytest

TARGETS = ["solar_GW", "wind_GW"]


@pytest.fixture
def table() -> pd.DataFrame:
    """Sixty days of which the last ten are the holdout; solar is the hour, wind is the number of the day."""
    index = pd.date_range("2013-01-01", periods=60 * 24, freq="h", tz="UTC")
    frame = pd.DataFrame(
        {"solar_GW": index.hour.astype(float), "wind_GW": (index.day_of_year - 1).astype(float)}, index
    )
    return frame.assign(split=np.where(np.arange(len(index)) < 50 * 24, "train", "holdout"), repaired=False)


def test_persistence_is_the_power_of_the_same_hour_of_the_day_before(table):
    power = naive.persistence(table, TARGETS)
    assert len(power) == 240
    assert (power["solar_GW"] == power.index.hour).all()
    assert (power["wind_GW"] == power.index.day_of_year - 2).all()


def test_persistence_of_a_market_takes_the_last_day_on_which_it_was_open(table):
    index = pd.bdate_range("2013-01-01", periods=10, tz="UTC")
    prices = pd.DataFrame({"close": np.arange(10.0), "split": ["train"] * 5 + ["holdout"] * 5}, index)
    assert naive.persistence(prices, ["close"])["close"].tolist() == [4.0, 5.0, 6.0, 7.0, 8.0]


def test_climatology_is_the_mean_of_month_and_hour_of_the_years_before(table):
    power = naive.climatology(table, TARGETS)
    # The holdout is 20 February to 1 March; 1 to 19 February are the days 31 to 49.
    assert (power.loc["2013-02", "wind_GW"] == np.arange(31, 50).mean()).all()


def test_climatology_takes_the_mean_of_the_hour_where_a_month_has_no_past(table):
    power = naive.climatology(table, TARGETS)
    assert (power.loc["2013-03", "wind_GW"] == np.arange(50).mean()).all()
    assert (power.loc["2013-03", "solar_GW"] == np.arange(24)).all()


def test_the_naive_forecasts_do_not_look_at_the_hours_that_they_forecast(table):
    changed = table.copy()
    changed.loc["2013-03-01", TARGETS] = 99.0  # the last day
    for forecast in (naive.climatology, naive.persistence):
        pd.testing.assert_frame_equal(forecast(table, TARGETS), forecast(changed, TARGETS))


def test_a_column_of_the_table_can_be_the_forecast(table):
    found = naive.forecasts(table.assign(guess=7.0), ["wind_GW"], ("column:guess",))
    assert (found["column:guess"]["wind_GW"] == 7.0).all()
    assert len(found["column:guess"]) == 240
    with pytest.raises(ValueError, match="needs the column guess, which the table does not have"):
        naive.forecasts(table, ["wind_GW"], ("column:guess",))
