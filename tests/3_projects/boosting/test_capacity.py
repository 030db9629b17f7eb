"""The growth of a fleet is found in what it gives for the same weather, and only where the seasons don't hide it."""

import numpy as np
import pytest
from capacity import FEATURES, TARGETS, estimate_growth, features_of, fit_fleet
from model import capacity, light_of, predict_power

SETTINGS = {"max_iter": 60, "max_leaf_nodes": 15, "random_state": 0}
RANGE = {"margins": np.zeros((4, 2))}


class Nothing:
    """A boosting of an error that is always 0."""

    def predict(self, inputs):
        return np.zeros(len(inputs))


@pytest.mark.parametrize(("target", "growth"), [("solar_GW", 0.0), ("wind_GW", -0.05)])
def test_no_growth_and_decline_are_found_and_windy_winters_are_not_taken_for_growth(make_hours, target, growth):
    hours = make_hours("2013-01-01", "2015-01-01", growth)
    assert estimate_growth(hours, target) == pytest.approx(growth, abs=0.012)


def test_of_less_than_two_years_no_growth_is_told_nor_the_day_of_the_year_used(make_hours):
    hours = make_hours("2013-07-01", "2014-12-01", 0.3)
    assert estimate_growth(hours, "wind_GW") == 0
    assert "day_of_year" not in features_of(hours, "solar_GW")
    assert "day_of_year" in features_of(make_hours("2013-01-01", "2015-01-01"), "solar_GW")


def test_no_growth_is_told_of_a_fleet_that_gives_nothing(make_hours):
    assert estimate_growth(make_hours("2013-01-01", "2015-01-01").assign(wind_GW=0.0), "wind_GW") == 0


@pytest.mark.parametrize("target", TARGETS)
def test_growth_is_found_and_a_year_after_the_training_the_mean_has_grown_with_the_fleet(make_hours, target):
    hours, later = make_hours("2013-01-01", "2015-01-01", 0.2), make_hours("2015-01-01", "2016-01-01", 0.2, seed=1)
    growth = estimate_growth(hours, target)
    assert growth == pytest.approx(0.2, abs=0.012)
    for told, bias in ((growth, pytest.approx(1, abs=0.04)), (0.0, pytest.approx(0.74, abs=0.08))):
        fleet = fit_fleet(hours, target, told, SETTINGS) | RANGE | {"q10": Nothing(), "q90": Nothing()}
        power = predict_power(later, target, fleet)[target]
        assert power.sum() / later[target].sum() == bias


def test_the_capacity_is_one_at_the_end_of_the_training_and_never_nothing():
    assert list(capacity(np.array([-1.0, 0.0, 2.0]), 0.1)) == pytest.approx([0.9, 1.0, 1.2])
    assert capacity(np.array([-50.0]), 0.1) > 0
    assert capacity(np.array([50.0]), -0.1) > 0


def test_it_is_dark_after_civil_twilight_and_bright_from_three_degrees_on():
    light = light_of(np.array([-60.0, -6.0, -5.9, -1.0, 1.0, 3.1, 60.0]))
    assert list(light[[0, 1, 5, 6]]) == [0, 0, 1, 1]
    assert (np.diff(light[1:6]) > 0).all()


def test_no_feature_tells_the_year():
    assert not {"trend", *TARGETS} & {name for names in FEATURES.values() for name in names}
