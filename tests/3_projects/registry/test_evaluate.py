import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

PATH = Path(__file__).parents[3] / "3_projects" / "registry" / "evaluate.py"
spec = importlib.util.spec_from_file_location("evaluate", PATH)
evaluate = importlib.util.module_from_spec(spec)
spec.loader.exec_module(evaluate)


@pytest.fixture
def table() -> pd.DataFrame:
    """Sixty days of which the last ten are the holdout; solar is the hour, wind is the number of the day."""
    index = pd.date_range("2013-01-01", periods=60 * 24, freq="h", tz="UTC")
    frame = pd.DataFrame(
        {"solar_GW": index.hour.astype(float), "wind_GW": (index.day_of_year - 1).astype(float)}, index
    )
    return frame.assign(split=np.where(np.arange(len(index)) < 50 * 24, "train", "holdout"), repaired=False)


def test_persistence_is_the_power_of_the_same_hour_of_the_day_before(table):
    power = evaluate.persistence(table)
    assert len(power) == 240
    assert (power["solar_GW"] == power.index.hour).all()
    assert (power["wind_GW"] == power.index.day_of_year - 2).all()


def test_climatology_is_the_mean_of_month_and_hour_of_the_years_before(table):
    power = evaluate.climatology(table)
    # The holdout is 20 February to 1 March; 1 to 19 February are the days 31 to 49.
    assert (power.loc["2013-02", "wind_GW"] == np.arange(31, 50).mean()).all()


def test_climatology_takes_the_mean_of_the_hour_where_a_month_has_no_past(table):
    power = evaluate.climatology(table)
    assert (power.loc["2013-03", "wind_GW"] == np.arange(50).mean()).all()
    assert (power.loc["2013-03", "solar_GW"] == np.arange(24)).all()


def test_the_naive_forecasts_do_not_look_at_the_hours_that_they_forecast(table):
    changed = table.copy()
    changed.loc["2013-03-01", ["solar_GW", "wind_GW"]] = 99.0  # the last day
    pd.testing.assert_frame_equal(evaluate.climatology(table), evaluate.climatology(changed))
    pd.testing.assert_frame_equal(evaluate.persistence(table), evaluate.persistence(changed))


def test_errors_are_those_of_a_calculation_by_hand():
    index = pd.date_range("2013-01-01", periods=4, freq="h", tz="UTC")
    truth = pd.DataFrame({"solar_GW": [0.0, 1.0, 2.0, 3.0], "wind_GW": [5.0, 5.0, 5.0, 7.0]}, index)
    predicted = truth + pd.DataFrame({"solar_GW": [1.0, -1.0, 1.0, 1.0], "wind_GW": [0.0, 0.0, 0.0, -4.0]}, index)
    scores = evaluate.errors(predicted, truth)
    assert scores["mae_solar_GW"] == 1.0
    assert scores["bias_solar_GW"] == 0.5
    assert scores["rmse_wind_GW"] == 2.0
    assert scores["mae_wind_GW"] == 1.0
    assert scores["r2_solar_GW"] == pytest.approx(1 - 4 / 5)
    assert scores["mae"] == 1.0


def test_hours_that_were_filled_in_are_not_judged(table):
    table.loc["2013-02-25 03:00", "repaired"] = True
    truth = evaluate.recorded(table)
    assert len(truth) == 239
    assert pd.Timestamp("2013-02-25 03:00", tz="UTC") not in truth.index
