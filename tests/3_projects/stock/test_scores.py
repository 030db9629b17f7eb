"""The scores of the evaluation, against what is worked out by hand."""

import numpy as np
import pandas as pd
import pytest
from stock_series import load

scores = load("scores")
#                  two rises seen, one missed, two false alarms, three rightly none
ACTUAL = pd.Series([1.0, 1, 1, 0, 0, 0, 0, 0])
UP = pd.Series([1.0, 1, 0, 1, 1, 0, 0, 0])
PROBABILITY = pd.Series([0.9, 0.8, 0.4, 0.7, 0.6, 0.3, 0.2, 0.1])


def forecast(up: pd.Series, probability: pd.Series | None = None) -> pd.DataFrame:
    return pd.DataFrame({"up": up} | ({} if probability is None else {"up_probability": probability}))


def test_the_measures_of_a_direction_are_those_of_the_textbook():
    report = scores.of_direction(ACTUAL, forecast(UP, PROBABILITY))
    assert report["accuracy"] == pytest.approx(5 / 8)
    assert report["precision"] == pytest.approx(2 / 4)
    assert report["recall"] == pytest.approx(2 / 3)
    assert report["f1"] == pytest.approx(4 / 7)
    assert report["roc_auc"] == pytest.approx(
        13 / 15
    )  # of the 15 pairs of a rise and none, two are the wrong way round
    assert report["matthews"] == pytest.approx((2 * 3 - 2 * 1) / np.sqrt(4 * 3 * 5 * 4))
    chance_of_what_came = np.where(ACTUAL == 1, PROBABILITY, 1 - PROBABILITY)
    assert report["log_loss"] == pytest.approx(-np.log(chance_of_what_came).mean())
    counts = {"true_no_rise": 3, "false_rise": 2, "false_no_rise": 1, "true_rise": 2}
    assert report["confusion"] == counts


def test_a_forecast_without_a_probability_has_no_measure_that_needs_one():
    report = scores.of_direction(ACTUAL, forecast(UP))
    assert (report["roc_auc"], report["log_loss"]) == (None, None)


def test_one_direction_throughout_is_no_error():
    ones = pd.Series([1.0, 1, 1])
    report = scores.of_direction(ones, forecast(ones, pd.Series([0.9, 0.9, 0.9])))
    assert (report["accuracy"], report["roc_auc"], report["matthews"]) == (1, None, 0)
    never = scores.of_direction(ones, forecast(ones * 0))
    assert (never["precision"], never["recall"], never["f1"]) == (0, 0, 0)
    assert report["confusion"] == {"true_no_rise": 0, "false_rise": 0, "false_no_rise": 0, "true_rise": 3}


def test_the_measures_of_a_price_are_in_money_and_against_the_last_price():
    actual, last = pd.Series([10.0, 20, 30]), pd.Series([12.0, 18, 34])
    report = scores.of_price(actual, pd.Series([11.0, 20, 27]), last)
    assert report["mae"] == pytest.approx(4 / 3)
    assert report["rmse"] == pytest.approx(np.sqrt(10 / 3))
    assert report["skill"] == pytest.approx(1 - (4 / 3) / (8 / 3))
    assert scores.of_price(actual, last, last)["skill"] == 0
