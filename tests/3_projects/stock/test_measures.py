"""The figures of the evaluation, against what is worked out by hand."""

import numpy as np
import pandas as pd
import pytest
from stock_series import load

measures = load("measures")
#                  two rises seen, one missed, two false alarms, three rightly none
TRUTH = pd.Series([1.0, 1, 1, 0, 0, 0, 0, 0])
UP = pd.Series([1.0, 1, 0, 1, 1, 0, 0, 0])
PROBABILITY = pd.Series([0.9, 0.8, 0.4, 0.7, 0.6, 0.3, 0.2, 0.1])


def test_the_measures_of_a_direction_are_those_of_the_textbook():
    found = measures.of_direction(TRUTH, UP, PROBABILITY)
    assert found["accuracy"] == pytest.approx(5 / 8)
    assert found["precision"] == pytest.approx(2 / 4)
    assert found["recall"] == pytest.approx(2 / 3)
    assert found["f1"] == pytest.approx(4 / 7)
    assert found["roc_auc"] == pytest.approx(13 / 15)  # of the 15 pairs of a rise and none, two are the wrong way round
    assert found["matthews"] == pytest.approx((2 * 3 - 2 * 1) / np.sqrt(4 * 3 * 5 * 4))
    chance_of_what_came = np.where(TRUTH == 1, PROBABILITY, 1 - PROBABILITY)
    assert found["log_loss"] == pytest.approx(-np.log(chance_of_what_came).mean())
    counts = {"true_no_rise": 3, "false_rise": 2, "false_no_rise": 1, "true_rise": 2}
    assert measures.confusion(TRUTH, UP) == counts


def test_a_forecast_without_a_probability_has_no_measure_that_needs_one():
    found = measures.of_direction(TRUTH, UP)
    assert (found["roc_auc"], found["log_loss"]) == (None, None)


def test_one_direction_throughout_is_no_error():
    ones = pd.Series([1.0, 1, 1])
    found = measures.of_direction(ones, ones, pd.Series([0.9, 0.9, 0.9]))
    assert (found["accuracy"], found["roc_auc"], found["matthews"]) == (1, None, 0)
    never = measures.of_direction(ones, ones * 0)
    assert (never["precision"], never["recall"], never["f1"]) == (0, 0, 0)
    assert measures.confusion(ones, ones) == {"true_no_rise": 0, "false_rise": 0, "false_no_rise": 0, "true_rise": 3}


def test_the_measures_of_a_price_are_in_money_and_against_the_last_price():
    truth, last = pd.Series([10.0, 20, 30]), pd.Series([12.0, 18, 34])
    found = measures.of_price(truth, pd.Series([11.0, 20, 27]), last)
    assert found["mae"] == pytest.approx(4 / 3)
    assert found["rmse"] == pytest.approx(np.sqrt(10 / 3))
    assert found["skill"] == pytest.approx(1 - (4 / 3) / (8 / 3))
    assert measures.of_price(truth, last, last)["skill"] == 0
