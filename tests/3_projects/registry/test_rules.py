import re

import numpy as np
import pandas as pd
import pytest
import rules
import thresholds
from sklearn.ensemble import RandomForestRegressor

from forecasting.errors import UserError

TARGETS = ["solar_GW", "wind_GW"]
THRESHOLDS = thresholds.load("rules.yaml").model_copy(update={"targets": dict.fromkeys(TARGETS, "GW")})


@pytest.fixture
def truth() -> pd.DataFrame:
    """A year, four rows a day."""
    index = pd.date_range("2015-01-01", "2015-12-31 18:00", freq="6h", tz="UTC")
    return pd.DataFrame(dict.fromkeys(TARGETS, 10.0), index)


def off(truth: pd.DataFrame, size, seed: int = 1) -> pd.DataFrame:
    """Return a forecast whose errors are normal, of that size."""
    noise = np.random.default_rng(seed).normal(size=truth.shape)
    return truth + noise * np.broadcast_to(np.asarray(size, float).T, truth.shape[::-1]).T


def test_the_interval_of_the_gain_holds_the_true_gain_and_is_narrow(truth):
    found = rules.interval_of_gain(off(truth, 0.9), off(truth, 1.0, seed=2), truth)
    assert found["low"] < 0.1 < found["high"]
    assert found["low"] < found["gain"] < found["high"]
    assert found["high"] - found["low"] < 0.12


def test_errors_that_last_a_day_make_the_interval_wider_than_errors_of_single_hours(truth):
    """The reason to draw whole days: neighbouring hours say the same."""
    days = np.repeat(np.random.default_rng(1).normal(size=365), 4)
    hours = np.random.default_rng(1).normal(size=len(truth))
    width = {}
    for name, noise in (("days", days), ("hours", hours)):
        found = rules.interval_of_gain(truth.add(noise, axis=0), off(truth, 1.0, seed=2), truth)
        width[name] = found["high"] - found["low"]
    assert width["days"] > 1.3 * width["hours"]


def test_a_retrained_forest_is_no_gain_over_the_same_forest_with_another_seed(truth):
    random = np.random.default_rng(0)
    inputs = random.random((3 * len(truth), 4))
    values = 10 * inputs[:, [0, 1]] + 5 * np.sin(6 * inputs[:, [2, 3]]) + random.normal(size=(len(inputs), 2))
    past, future = slice(len(truth), None), slice(len(truth))
    actuals = pd.DataFrame(values[future], truth.index, TARGETS)
    forests = [
        RandomForestRegressor(16, max_depth=8, random_state=seed).fit(inputs[past], values[past]) for seed in range(4)
    ]
    power = [pd.DataFrame(forest.predict(inputs[future]), truth.index, TARGETS) for forest in forests]
    for one in power:
        for other in power:
            assert rules.judge_gain(one, other, actuals, THRESHOLDS).outcome == rules.FAILED
    better = off(actuals, 0.7)
    assert rules.judge_gain(better, power[0], actuals, THRESHOLDS).outcome == rules.PASSED


@pytest.mark.parametrize(("gain", "outcome"), [(0.0, "failed"), (0.005, "failed"), (0.05, "passed")])
def test_a_gain_has_to_be_more_than_a_stated_share_even_if_it_is_certain(truth, gain, outcome):
    found = rules.judge_gain(truth + 1 - gain, truth + 1, truth, THRESHOLDS)
    assert found.outcome == outcome
    assert found.numbers["low"] == pytest.approx(gain, abs=1e-9)
    assert f" of production: {100 * gain:.1f} % better, and with" in found.sentence


def test_a_share_is_said_in_words_that_agree_with_its_sign(truth):
    sentence = rules.judge_gain(truth + 1.117, truth + 1, truth, THRESHOLDS).sentence
    assert "of production: 11.7 % worse, and with 95 % confidence between 11.7 % worse and" in sentence
    assert sentence.endswith("; needed is more than 1.0 % better")
    sentences = [rules.judge_parts(truth + off, truth + 1, truth, THRESHOLDS).sentence for off in (0.9, 1.03)]
    assert [sentence.partition(", ")[2] for sentence in sentences] == [
        f"{part} than production; allowed is 5.0 % worse" for part in ("10.0 % better", "3.0 % worse")
    ]


def test_a_model_without_errors_can_not_be_beaten(truth):
    assert rules.judge_gain(truth + 1, truth, truth, THRESHOLDS).outcome == "failed"
    assert rules.judge_gain(truth, truth, truth, THRESHOLDS).outcome == "failed"
    assert rules.judge_parts(truth + 1, truth, truth, THRESHOLDS).outcome == "failed"
    assert rules.judge_parts(truth, truth, truth, THRESHOLDS).outcome == "passed"


def test_a_season_that_gets_worse_stops_a_model_that_is_better_on_the_whole(truth):
    winter = truth.index.month.isin([12, 1, 2])
    challenger = truth + np.where(winter, 1.2, 0.5)[:, None]
    assert rules.judge_gain(challenger, truth + 1, truth, THRESHOLDS).outcome == "passed"
    found = rules.judge_parts(challenger, truth + 1, truth, THRESHOLDS)
    assert found.outcome == "failed"
    assert "solar_GW in winter 20.0 % worse, wind_GW in winter 20.0 % worse than production" in found.sentence
    assert "summer" not in found.sentence


def test_a_target_that_gets_worse_stops_a_model_that_is_better_on_the_whole(truth):
    challenger = truth.add([0.2, 1.1])
    assert rules.judge_gain(challenger, truth + 1, truth, THRESHOLDS).outcome == "passed"
    assert "wind_GW in all seasons 10.0 % worse" in rules.judge_parts(challenger, truth + 1, truth, THRESHOLDS).sentence


def test_a_few_days_of_a_season_say_nothing_about_it(truth):
    few = truth["2015-02-20":"2015-05-31"]  # nine days of winter
    challenger = few + np.where(few.index.month == 2, 2.0, 0.5)[:, None]
    assert rules.judge_parts(challenger, few + 1, few, THRESHOLDS).outcome == "passed"
    more = truth["2015-02-01":"2015-05-31"]
    challenger = more + np.where(more.index.month == 2, 2.0, 0.5)[:, None]
    assert rules.judge_parts(challenger, more + 1, more, THRESHOLDS).outcome == "failed"


def test_every_naive_forecast_has_to_be_beaten_in_every_target(truth):
    naive = {"persistence": truth.add([2.0, 2.0]), "climatology": truth.add([2.0, 1.0])}
    found = rules.judge_naive(truth + 1, naive, truth, THRESHOLDS)
    assert found.outcome == "failed"
    assert found.sentence == "not better than climatology in wind_GW (MAE 1 GW against its 1)"
    assert rules.judge_naive(truth + 0.9, naive, truth, THRESHOLDS).outcome == "passed"


def test_a_naive_forecast_has_to_be_beaten_by_more_than_chance_if_the_rules_say_so(truth):
    strict = THRESHOLDS.model_copy(update={"naive_by_more_than_chance": True})
    naive = {"persistence": off(truth, 1.0, seed=2)}
    lucky, better = off(truth, 0.97), off(truth, 0.8)
    assert rules.judge_naive(lucky, naive, truth, THRESHOLDS).outcome == "passed"
    found = rules.judge_naive(lucky, naive, truth, strict)
    assert found.outcome == "failed"
    assert re.search(r"with 95 % confidence between \d\.\d % worse and \d\.\d % better", found.sentence)
    assert rules.judge_naive(better, naive, truth, strict).outcome == "passed"


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (np.nan, "1 of 1460 rows have no finite number"),
        (np.inf, "1 of 1460 rows have no finite number"),
        (-0.5, "1 of 1460 rows are below 0, the lowest is -0.500"),
    ],
)
def test_predictions_are_finite_and_not_negative(truth, value, sentence):
    assert rules.judge_values(truth, THRESHOLDS).outcome == "passed"
    truth.iloc[3, 1] = value
    found = rules.judge_values(truth, THRESHOLDS)
    assert (found.outcome, found.sentence) == ("failed", sentence)


@pytest.mark.parametrize(
    ("inputs", "outputs", "sentence"),
    [
        (None, None, "it has no signature that names its input and output columns"),
        (["speed"], TARGETS, "it takes speed, which the table does not have"),
        (["windspeed"], ["solar_GW", "wind"], "its outputs are solar_GW, wind; wind_GW is missing"),
    ],
)
def test_a_signature_has_to_fit_the_table_and_the_targets(inputs, outputs, sentence):
    found = rules.judge_signature(inputs, outputs, ["windspeed", *TARGETS], THRESHOLDS)
    assert (found.outcome, found.sentence) == ("failed", sentence)
    found = rules.judge_signature(["windspeed"], [*TARGETS, "solar_GW_q10"], ["windspeed"], THRESHOLDS)
    assert found.outcome == "passed"


def test_a_slow_prediction_and_a_model_that_does_not_load_are_stopped():
    outcomes = {trial: rules.judge_trial(trial_of, THRESHOLDS) for trial, trial_of in (
        ("slow", 0.7), ("quick", 0.01), ("broken", "no module named x"),
    )}  # fmt: skip
    assert [result.outcome for result in outcomes["slow"]] == ["passed", "failed"]
    assert outcomes["slow"][1].sentence == "one row takes 700 ms; allowed is 500 ms"
    assert [result.outcome for result in outcomes["quick"]] == ["passed", "passed"]
    assert [result.outcome for result in outcomes["broken"]] == ["failed", "not applicable"]


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (
            "mode: enforce",
            "mode: maybe",
            "mode: Input should be 'enforce', 'dry_run' or 'off', found 'maybe'; see rules",
        ),
        ("smallest_gain: 0.01", "smallest_gain: much", "smallest_gain: Input should be a valid number"),
        ("mode: enforce", "smalest_gain: 0.01", "smalest_gain: Extra inputs are not permitted; see rules.yaml"),
        ("smallest_gain: 0.01", "", "smallest_gain: Field required; see rules.yaml"),
        ("[persistence, climatology]", "[luck]", "naive.0: String should match pattern '^(persistence|climatology|col"),
        ("chance: false", "chance: perhaps", "naive_by_more_than_chance: Input should be a valid boolean"),
        ("[12, 1, 2]", "[12, 13]", "seasons.winter.1: Input should be less than or equal to 12, found 13"),
        ("mode: enforce", "mode: [", "expected a file of rules at"),
    ],
)
def test_what_is_wrong_with_a_file_of_rules_is_told(tmp_path, old, new, sentence):
    text = thresholds.find("rules.yaml").read_text()
    assert old in text
    path = tmp_path / "rules.yaml"
    path.write_text(text.replace(old, new))
    with pytest.raises(UserError) as refused:
        thresholds.load(str(path))
    assert sentence in str(refused.value)
    assert str(path) in str(refused.value)


def test_rules_are_found_beside_the_script_or_from_the_top_of_the_project(root):
    assert thresholds.find("rules.yaml") == root / "3_projects" / "registry" / "rules.yaml"
    assert thresholds.find("3_projects/stock/rules.yaml") == root / "3_projects" / "stock" / "rules.yaml"
    with pytest.raises(UserError, match="expected a file of rules at"):
        thresholds.load("nowhere/rules.yaml")


def test_a_bare_off_is_a_mode_though_yaml_reads_it_as_false(tmp_path):
    path = tmp_path / "rules.yaml"
    path.write_text(thresholds.find("rules.yaml").read_text().replace("mode: enforce", "mode: off"))
    assert thresholds.load(str(path)).mode == "off"
    assert thresholds.load(str(path), "dry_run").mode == "dry_run"
