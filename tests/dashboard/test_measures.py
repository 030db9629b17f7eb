import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from dashboard.measures import climatology, means, measure, persistence

TARGETS = ["solar_GW", "wind_GW"]


def table(first: str, last: str, holdout: str) -> pd.DataFrame:
    index = pd.date_range(first, last, freq="h", tz="UTC")
    random = np.random.default_rng(7)
    frame = pd.DataFrame({target: random.gamma(2, 4, len(index)) for target in TARGETS}, index)
    return frame.assign(split=np.where(index >= holdout, "holdout", "train"), repaired=False)


def test_the_measures_are_those_of_scikit_learn():
    random = np.random.default_rng(1)
    recorded, predicted, naive = (random.gamma(2, 4, 500) for _ in range(3))
    found = measure(recorded, predicted, {"climatology": naive})
    mae = mean_absolute_error(recorded, predicted)
    assert found["mae"] == pytest.approx(mae)
    assert found["rmse"] == pytest.approx(root_mean_squared_error(recorded, predicted))
    assert found["r2"] == pytest.approx(r2_score(recorded, predicted))
    assert found["bias"] == pytest.approx(predicted.mean() - recorded.mean())
    assert found["skill_climatology"] == pytest.approx(1 - mae / mean_absolute_error(recorded, naive))


def test_an_hour_that_was_not_recorded_does_not_count():
    recorded, predicted = np.array([1.0, np.nan, 3.0]), np.array([2.0, 9.0, 3.0])
    found = measure(recorded, predicted, {})
    assert (found["hours"], found["mae"], found["bias"]) == (2, 0.5, 0.5)


def test_skill_is_judged_on_the_hours_that_the_naive_forecast_has():
    recorded, predicted = np.array([1.0, 2.0, 3.0]), np.array([9.0, 2.5, 3.5])
    found = measure(recorded, predicted, {"persistence": np.array([np.nan, 1.0, 2.0])})
    assert found["skill_persistence"] == pytest.approx(0.5)


def test_what_can_not_be_said_is_nan():
    nothing = measure(np.array([np.nan]), np.array([1.0]), {"persistence": np.array([1.0])})
    assert nothing["hours"] == 0
    assert all(np.isnan(value) for name, value in nothing.items() if name != "hours")
    night = measure(np.zeros(3), np.zeros(3), {"persistence": np.zeros(3)})
    assert np.isnan(night["r2"])
    assert np.isnan(night["skill_persistence"])


def test_persistence_is_the_same_hour_of_the_day_before():
    days = table("2014-01-01", "2014-01-03 23:00", "2014-01-03")
    forecast = persistence(days, TARGETS)
    assert forecast["wind_GW"].iloc[:24].isna().all()
    assert forecast["wind_GW"].iloc[30] == days["wind_GW"].iloc[6]


def test_climatology_knows_the_years_before_only():
    years = table("2013-01-01", "2015-12-31 23:00", "2015-07-01")
    forecast = climatology(years, TARGETS)
    assert forecast.loc["2013"].isna().all(axis=None)
    march = years["wind_GW"][(years.index.month == 3) & (years.index.hour == 5)]
    assert forecast.loc["2014-03-09 05:00", "wind_GW"].item() == pytest.approx(march.loc["2013"].mean())
    assert forecast.loc["2015-03-09 05:00", "wind_GW"].item() == pytest.approx(march.loc["2013":"2014"].mean())


def test_on_the_holdout_climatology_knows_all_that_was_before_it():
    months = table("2014-01-01", "2014-04-30 23:00", "2014-04-10")
    forecast = climatology(months, TARGETS)
    past = months[months["split"] == "train"]
    april = past["solar_GW"][(past.index.month == 4) & (past.index.hour == 11)]
    assert forecast.loc["2014-04-20 11:00", "solar_GW"].item() == pytest.approx(april.mean())
    months.loc["2014-04-01":"2014-04-09", "split"] = "holdout"  # now April has no past, and the hour stands in
    past = months[months["split"] == "train"]
    forecast = climatology(months, TARGETS)
    assert forecast.loc["2014-04-20 11:00", "solar_GW"].item() == pytest.approx(
        past["solar_GW"][past.index.hour == 11].mean()
    )


def test_means_leave_out_what_is_missing():
    values = np.array([1.0, 3.0, np.nan, 5.0, np.nan, np.nan, 7.0])
    assert np.array_equal(means(values, 2), [2.0, 5.0, np.nan, 7.0], equal_nan=True)
