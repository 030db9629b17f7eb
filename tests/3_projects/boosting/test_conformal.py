"""Four of five unseen hours are inside the range, in each season, by day and by night."""

import numpy as np
import pandas as pd
import pytest
from capacity import TARGETS, estimate_growth
from conformal import last_year, measure_coverage, train_fleet
from model import predict_power

SETTINGS = {"max_iter": 60, "max_leaf_nodes": 15, "random_state": 0}


@pytest.fixture(scope="module")
def power(make_hours) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return a year that follows the training, and what is predicted for it."""
    hours, later = make_hours("2013-01-01", "2015-01-01"), make_hours("2015-01-01", "2016-01-01", seed=1)
    fleets = {target: train_fleet(hours, target, 0.0, SETTINGS)[0] for target in TARGETS}
    columns = {
        name: values for target in TARGETS for name, values in predict_power(later, target, fleets[target]).items()
    }
    return later, pd.DataFrame(columns, index=later.index)


def test_every_group_of_unseen_hours_is_covered_as_promised_around_the_mean(power):
    hours, predicted = power
    coverage = measure_coverage(hours, predicted)
    lines = coverage[(coverage["hours of"] != "dark") & (coverage["hours"] > 500)]
    assert len(lines) > 14
    assert lines["inside"].between(0.75, 0.85).all(), lines
    # ... and about as many hours are below as above, so it isn't a range that is right by chance.
    assert lines[["below", "above"]].stack().between(0.05, 0.15).all(), lines
    for target in TARGETS:
        low, mean, high = (predicted[name] for name in (f"{target}_q10", target, f"{target}_q90"))
        assert ((low >= 0) & (low <= mean) & (mean <= high)).all()
    dark = predicted[hours["solar_elevation"] <= -6]
    assert len(dark) > 3000
    assert (dark[["solar_GW", "solar_GW_q10", "solar_GW_q90"]] == 0).all(axis=None)


def test_the_range_widens_with_the_years_if_the_fleet_grows(make_hours):
    hours = make_hours("2013-01-01", "2015-01-01", 0.2)
    fleet, _ = train_fleet(hours, "wind_GW", estimate_growth(hours, "wind_GW"), SETTINGS)
    width = []
    for years in (0, 1, 2):
        later = hours.assign(trend=2 + years + 0.0 * hours["trend"])
        predicted = predict_power(later, "wind_GW", fleet)
        width.append(((predicted["wind_GW_q90"] - predicted["wind_GW_q10"]) / predicted["wind_GW"].mean()).mean())
    assert width[0] < width[1] < width[2]


def test_coverage_counts_what_it_says():
    index = pd.date_range("2014-06-30 00:00", periods=24, freq="h", tz="UTC")
    hours = pd.DataFrame({"solar_elevation": [-20.0] * 6 + [10.0] * 18, "day_of_year": 181.0}, index=index)
    hours["solar_GW"], hours["wind_GW"] = [0.0] * 6 + [5.0] * 18, [1.0] * 8 + [5.0] * 12 + [9.0] * 4
    power = pd.DataFrame(
        {"solar_GW_q10": 0.0, "solar_GW_q90": 6.0, "wind_GW_q10": 2.0, "wind_GW_q90": 8.0}, index=index
    )
    found = measure_coverage(hours, power).set_index(["target", "hours of"])
    wind = found.loc[("wind_GW", "all")]
    assert list(wind[["hours", "inside", "below", "above", "width_GW"]]) == pytest.approx([24, 0.5, 1 / 3, 1 / 6, 6])
    assert found.loc[("wind_GW", "night"), "inside"] == 0
    assert found.loc[("solar_GW", "all"), "hours"] == 18, "the dark would flatter the rest"
    assert found.loc[("solar_GW", "dark"), "hours"] == 6
    assert "winter" not in found.loc["solar_GW"].index, "no line for hours that are not there"


@pytest.mark.parametrize(
    ("start", "end", "hours"),
    [("2013-01-01", "2015-01-01", 8760), ("2013-01-01", "2016-01-01", 8760), ("2013-01-01", "2013-05-01", 960)],
)
def test_the_last_year_is_kept_for_calibration_or_a_third_of_what_is_short(start, end, hours):
    late = last_year(pd.date_range(start, end, freq="h", tz="UTC", inclusive="left"))
    assert late.sum() == pytest.approx(hours, abs=1)
    assert (np.diff(late.astype(int)) >= 0).all()


@pytest.mark.slow
def test_on_the_real_data_the_promised_figures_are_kept(real_data):
    """Without a search, with the settings that it tries first."""
    from ingest import make_table
    from search import USUAL

    table, _ = make_table(real_data, 365)
    table = table[~table["repaired"]]
    hours, unseen = table[table["split"] != "holdout"], table[table["split"] == "holdout"]
    power = {}
    for target in TARGETS:
        settings = {**USUAL, "max_iter": 120, "random_state": 42}
        fleet, _ = train_fleet(hours, target, estimate_growth(hours, target), settings)
        power |= predict_power(unseen, target, fleet)
    power = pd.DataFrame(power, index=unseen.index)
    mae = (power[TARGETS] - unseen[TARGETS]).abs().mean()
    assert mae["solar_GW"] <= 0.62, "half of the linear regression's 1.24"
    assert mae["wind_GW"] <= 2.19, "three quarters of the linear regression's 2.92"
    coverage = measure_coverage(unseen, power).set_index("hours of")
    shown = coverage.loc[["all", "day", "night", "summer", "winter"], "inside"]
    assert len(shown) == 10
    assert shown.between(0.75, 0.85).all(), shown
