import numpy as np
import pytest
from sklearn.metrics import mean_absolute_error, mean_pinball_loss, r2_score, root_mean_squared_error

from forecasting.metrics import METRICS, coverage, pinball_loss, score, skill

ACTUAL = np.array([1.0, 2.0, 4.0, np.nan, 8.0])
FORECAST = np.array([1.5, 2.0, 3.0, 5.0, 9.0])
KNOWN = ~np.isnan(ACTUAL)


def test_a_forecast_is_scored_as_scikit_learn_does_on_the_rows_that_have_an_actual():
    actual, forecast = ACTUAL[KNOWN], FORECAST[KNOWN]
    assert score(ACTUAL, FORECAST) == pytest.approx(
        {
            "mae": mean_absolute_error(actual, forecast),
            "rmse": root_mean_squared_error(actual, forecast),
            "bias": (forecast - actual).mean(),
            "r2": r2_score(actual, forecast),
        }
    )


@pytest.mark.parametrize(
    ("actual", "forecast", "unknown"),
    [([np.nan], [1.0], METRICS), ([1.0, 2.0], [1.0, np.nan], METRICS), ([3.0, 3.0], [1.0, 2.0], ["r2"])],
    ids=["no actual", "a forecast without a number", "actuals that are all the same"],
)
def test_what_can_not_be_said_is_nan(actual, forecast, unknown):
    assert [name for name, value in score(actual, forecast).items() if np.isnan(value)] == unknown


def test_skill_is_the_share_of_the_baselines_error_that_is_avoided_on_the_rows_that_all_have():
    assert skill([0, 0, 0, np.nan], [1, -1, 5, 1], [2, 2, np.nan, 2]) == 0.5
    assert np.isnan(skill([1.0], [2.0], [1.0]))


def test_ranges_are_scored_as_scikit_learn_does():
    actual = ACTUAL[KNOWN]
    assert pinball_loss(ACTUAL, FORECAST, 0.1) == pytest.approx(mean_pinball_loss(actual, FORECAST[KNOWN], alpha=0.1))
    assert coverage(ACTUAL, FORECAST - 0.5, FORECAST + 0.5) == 0.5
