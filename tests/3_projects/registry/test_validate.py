import re
import shutil
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import mlflow
import pandas as pd
import pytest

from forecasting import ledger

RULES = ["gain", "naive", "parts", "values", "signature", "loads", "speed"]


@pytest.fixture
def validate(registry, made, name, capsys):
    """Return a function that judges runs, and returns what was printed; or the sentence with which it was refused."""

    def run(*challengers: str, **options: str) -> str:
        arguments = {
            "challengers": ",".join(challengers),
            "data_run": made.data_run,
            "registered_model": name,
        } | options
        typed = [part for key, value in arguments.items() for part in (f"--{key.replace('_', '-')}", value)]
        try:
            registry.validation.main(typed)
        except SystemExit as error:
            return str(error)
        return capsys.readouterr().out

    return run


@pytest.fixture
def trusting(registry, monkeypatch):
    """Leave out the clean process, which takes seconds, where it is not the point."""
    monkeypatch.setattr(registry.gate, "try_in_clean_process", lambda uri, row: 0.01)


@pytest.fixture
def rules(tmp_path, registry):
    """Return a function that writes a file of rules with a change."""
    path_of_rules = Path(registry.validation.__file__).with_name("rules.yaml")

    def write(old: str, new: str) -> str:
        content = path_of_rules.read_text(encoding="utf-8")
        assert old in content
        path = tmp_path / "changed.yaml"
        path.write_text(content.replace(old, new), encoding="utf-8")
        return str(path)

    return write


def state(name: str) -> tuple[str | None, str | None]:
    """Return the versions that wait and that are in production."""
    found = ledger.read(name)
    return found.candidate, found.production


def last_run(experiment: str = "0"):
    return mlflow.search_runs([experiment], "tags.project = 'validate'", max_results=1, output_format="list")[0]


def test_a_better_model_waits_for_approval_with_every_rule_s_result_on_it(validate, registry, made, name):
    made.version(name, made.model(), "production")
    said = validate(made.model("better", noise=0.8))
    assert state(name) == ("2", "1")
    assert f"validate: {name} version 2 (better) has passed the gate and waits for approval: " in said
    tags = made.tags(name, "2")
    assert (tags["gate"], tags["gate.against"], tags["gate.mode"]) == ("passed", "1", "enforce")
    assert all(tags[f"gate.{rule}"].startswith("passed: ") for rule in RULES)
    assert tags["gate.gain"].endswith("needed is more than 1.0 % better")
    assert tags["project"] == "better"
    assert "made by a test, 2015-01-01 to 2015-12-31" in tags["judged_on"]
    assert float(tags["holdout_mae_solar_GW"]) == pytest.approx(0.8 * 0.798, rel=0.05)  # mean of |normal|
    run = last_run()
    assert run.data.tags["candidate_version"] == "2"
    assert run.data.tags["verdict"] in said
    metrics = run.data.metrics
    assert 0.1 < metrics["gain_low_version_2"] < metrics["gain_gain_version_2"] < metrics["gain_high_version_2"] < 0.3
    report = mlflow.artifacts.load_dict(f"runs:/{run.info.run_id}/gate.json")
    assert [rule["outcome"] for rule in report["challengers"][0]["rules"]] == ["passed"] * 7
    assert {rule["rule"] for rule in report["challengers"][0]["rules"]} == set(RULES)


STOPPED = {
    "worse": ({"noise": 1.03}, "gain", "against"),
    "worse in winter": ({"noise": 0.5, "winter": 1.2}, "parts", "solar_GW in winter "),
    "negative": ({"noise": 0.9, "negative": True}, "values", "are below 0, the lowest is -"),
    "other inputs": ({"noise": 0.5, "takes": ["price"]}, "signature", "it takes price, which the table does not"),
    "no signature": ({"noise": 0.5, "signature": False}, "signature", "it has no signature"),
    "can't be loaded": ({"noise": 0.5, "broken": "no module named luck"}, "loads", "no module named luck"),
}


@pytest.mark.parametrize("why", STOPPED)
def test_the_gate_stops_a_model_that_is(validate, registry, made, name, why):
    about, rule, sentence = STOPPED[why]
    # Some rows have little power, so that a noise can make them negative.
    data_run = made.small_values if why == "negative" else made.data_run
    made.version(name, made.model(data_run=data_run), "production")
    said = validate(made.model(**about, data_run=data_run), data_run=data_run)
    assert state(name) == (None, "1")
    tags = made.tags(name, "2")
    assert tags["gate"] == "failed"
    assert tags[f"gate.{rule}"].startswith("failed: ")
    assert sentence in tags[f"gate.{rule}"]
    others = {other: tags[f"gate.{other}"] for other in RULES if other != rule}
    assert not [text for other, text in others.items() if text.startswith("failed") and other != "loads"]
    assert re.search(rf"version 2 \(made\) is refused by (signature, )?{rule}(, loads)?: ", said)
    assert f"\nvalidate: no other version of {name} has passed the gate.\n" in said
    assert max(map(len, said.splitlines())) < 600
    assert last_run().data.tags["candidate_version"] == ""


def test_a_model_that_loads_only_where_it_was_made_is_stopped(validate, registry, made, name, monkeypatch):
    monkeypatch.setitem(sys.modules, "only_here", ModuleType("only_here"))
    said = validate(made.model(noise=0.5, needs="only_here"))
    assert state(name) == (None, None)
    assert "loads: in a clean process: No module named 'only_here'" in said


@pytest.mark.parametrize(
    ("output", "problem"), [("", "it printed nothing"), ('\n[0.1, ""]\nbye\n', "it printed nothing"), ("1", "luck")]
)
def test_a_model_that_ends_its_process_or_prints_to_the_end_can_not_be_judged(registry, monkeypatch, output, problem):
    ended = SimpleNamespace(returncode=0, stdout=output, stderr="" if problem != "luck" else "no\nluck\n")
    monkeypatch.setattr(registry.gate.subprocess, "run", lambda *command, **options: ended)
    trial = registry.gate.try_in_clean_process("models:/m-1", pd.DataFrame({"windspeed": [1.0]}))
    assert trial == f"the process ended with status 0: {problem}"


def test_a_model_that_is_too_slow_is_stopped(validate, registry, made, name, rules):
    said = validate(made.model(), rules=rules("slowest_prediction: 0.5", "slowest_prediction: 0.0001"))
    assert state(name) == (None, None)
    assert re.search(r"speed: one row takes \d+ ms; allowed is 0 ms", said)


def test_what_a_naive_forecast_beats_leaves_nothing_in_production_and_fails(validate, registry, made, name):
    said = validate(made.model(noise=20.0))
    assert "not better than persistence in solar_GW (MAE" in said
    assert said.endswith("Nothing is in production, and nothing waits for approval.")
    assert state(name) == (None, None)
    assert last_run().info.status == "FAILED"
    assert last_run().data.tags["error"] in said


@pytest.mark.usefixtures("trusting")
def test_the_challengers_are_tried_in_the_order_of_their_errors_until_one_passes(validate, registry, made, name):
    said = validate(made.model(noise=0.9), made.model(noise=0.5, nan=True), made.model(noise=0.4, takes=["price"]))
    assert state(name) == ("1", None)
    assert [made.tags(name, version).get("gate") for version in "123"] == ["passed", None, None]
    assert "version 1 (made) has passed" in said


@pytest.mark.usefixtures("trusting")
def test_the_next_best_waits_if_the_best_does_not_pass(validate, registry, made, name):
    data_run = made.small_values
    low, high = (made.model(noise=noise, negative=noise < 1, data_run=data_run) for noise in (0.9, 1.0))
    said = validate(low, high, data_run=data_run)
    assert state(name) == ("2", None)
    assert [made.tags(name, version)["gate"] for version in "12"] == ["failed", "passed"]
    assert "version 2 (made) has passed" in said


@pytest.mark.usefixtures("trusting")
def test_judging_again_changes_nothing(validate, registry, made, name):
    made.version(name, made.model(), "production")
    said = validate(made.model(), made.model("worse", noise=1.2))
    assert "version 1 (made) stays in production" in said
    assert state(name) == (None, "1")
    assert len(made.client.search_model_versions(f"name = '{name}'")) == 2
    validate(made.model(), made.model("worse", noise=1.2))
    assert len(made.client.search_model_versions(f"name = '{name}'")) == 2


def test_a_copy_of_the_model_in_production_is_stopped_in_these_words(validate, registry, made, name):
    made.version(name, made.model(), "production")
    assert "gain: it predicts the same as the version in production" in validate(made.model("copy"))
    assert state(name) == (None, "1")


@pytest.mark.usefixtures("trusting")
def test_what_waited_and_does_not_pass_any_more_waits_no_longer(validate, registry, made, name):
    made.version(name, made.model(), "production")
    made.waiting(name, made.model("worse", noise=1.2), against="1")
    validate(made.model("worse", noise=1.2))
    assert state(name) == (None, "1")
    assert made.tags(name, "2")["gate"] == "failed"


@pytest.mark.usefixtures("trusting")
def test_a_production_model_that_is_gone_does_not_stand_in_the_way(validate, registry, made, name, store):
    gone = made.model("gone", noise=0.1)
    made.version(name, gone, "production")
    (folder,) = (store / "artifacts").glob(f"*/models/{made.source(gone).removeprefix('models:/')}")
    shutil.rmtree(folder)
    said = validate(made.model())
    assert state(name) == ("2", "1")
    assert "Note: version 1 in production could not be judged any more: " in said
    assert made.tags(name, "2")["gate.gain"].startswith("not applicable: version 1 in production could not be judged")


@pytest.mark.usefixtures("trusting")
def test_a_production_model_that_has_seen_all_judged_hours_does_not_count_against_a_challenger(
    validate, registry, made, name
):
    made.version(name, made.model("clever", noise=0.1, data_run=made.later_holdout), "production")
    said = validate(made.model())
    assert state(name) == ("2", "1")
    words = "version 1 in production was trained on 1424 of the 1460 judged rows, so only the others are compared"
    assert f"Note: {words}, and they are too few for that (less than 14 days)" in said
    assert made.tags(name, "2")["gate.gain"].startswith(f"not applicable: {words}")
    assert made.tags(name, "2")["gate.remark"].startswith(words)


@pytest.mark.usefixtures("trusting")
def test_a_production_model_that_has_seen_some_judged_hours_is_compared_on_the_others(validate, registry, made, name):
    data_run = made.autumn_holdout
    made.version(name, made.model("clever", noise=0.7, data_run=data_run), "production")
    validate(made.model(noise=0.9))
    assert made.tags(name, "2")["gate.gain"].startswith("failed: mean absolute error")
    assert state(name) == (None, "1")
    assert "was trained on 972 of the 1460 judged rows" in made.tags(name, "2")["gate.remark"]
    validate(made.model(noise=0.5))
    assert state(name) == ("3", "1")


@pytest.mark.parametrize(
    ("challengers", "sentence"),
    [
        ("abc", "validate: the challenger abc is not a run on this tracking server; train one with: mlflow run"),
        ("DATA", "has no model; train one with: mlflow run"),
        ("OTHER", "was trained on another table than it would be judged on; train one with: mlflow run"),
    ],
)
def test_a_challenger_that_is_not_a_training_run_is_refused_in_one_sentence(validate, made, challengers, sentence):
    said = validate(
        challengers.replace("DATA", made.data_run).replace("OTHER", made.model(data_run=made.later_holdout))
    )
    assert sentence in said
    assert "\n" not in said


def test_a_table_without_a_target_or_a_run_without_a_table_is_told(validate, made, rules):
    said = validate(made.model(), rules=rules("lowest: 0", "targets: {tide_GW: GW}\nlowest: 0"))
    assert "the table has no column tide_GW, which the rules name as a target" in said
    assert "has no table on http" in validate("x", data_run=made.model())
    assert "the data run abc is not a run on " in validate("x", data_run="abc")


def test_a_naive_forecast_can_be_a_column_and_a_gap_in_it_is_told(validate, registry, made, name, rules):
    column = rules("[persistence, climatology]", '["column:hint_solar_GW"]')
    words = r"not better than column:hint_solar_GW in solar_GW \(MAE [\d.]+ GW against its 0\)"
    assert re.search(words, validate(made.model(), rules=column))
    column = rules("[persistence, climatology]", '["column:luck"]')
    assert "needs the column luck, which the table does not have" in validate(made.model(), rules=column)


@pytest.mark.usefixtures("trusting")
def test_a_rejected_version_is_offered_again_only_if_it_is_the_only_one_named(validate, registry, made, name):
    made.waiting(name, made.model("better", noise=0.5))
    registry.decide.decide("reject", name, "none", "Ada", "wrong month")
    said = validate(made.model("better", noise=0.5), made.model())
    assert state(name) == ("2", None)
    assert "version 2 (made) has passed" in said
    validate(made.model("better", noise=0.5))
    assert state(name) == ("1", None)
    assert "version 1 (better) has passed" in validate(made.model("better", noise=0.5), made.model()), "it waits"


@pytest.mark.usefixtures("trusting")
def test_a_dry_run_writes_all_down_and_moves_nothing(validate, registry, made, name):
    said = validate(made.model(), mode="dry_run")
    assert "This is a dry run: no alias was moved" in said
    assert state(name) == (None, None)
    tags = made.tags(name, "1")
    assert (tags["gate"], tags["gate.mode"]) == ("passed", "dry_run")
    assert last_run().data.tags["candidate_version"] == ""


@pytest.mark.usefixtures("trusting")
def test_with_the_gate_off_the_smallest_error_waits_unjudged(validate, registry, made, name, rules):
    made.version(name, made.model("good", noise=0.5), "production")
    off = rules("mode: enforce", "mode: off")
    said = validate(made.model("a", noise=30.0), made.model("b", noise=20.0), rules=off)
    assert "no rule has judged it: the gate is off" in said
    assert state(name) == ("3", "1")
    tags = made.tags(name, "3")
    assert tags["gate"] == "off"
    assert {tags[f"gate.{rule}"] for rule in RULES} == {"not applicable: the gate is off"}
    said = validate(made.model("good", noise=0.5), made.model("a", noise=30.0), mode="off")
    assert "version 1 (good) stays in production" in said
    assert state(name) == ("3", "1")


@pytest.mark.parametrize("moved", ["production", "candidate"])
def test_a_verdict_that_another_command_overtakes_is_told_by_whom(validate, registry, made, name, moved, monkeypatch):
    made.version(name, made.model(), "production")
    other = made.version(name, made.model("other", noise=0.6), gate="passed", gate__against="1")
    trial = registry.gate.try_in_clean_process

    def meanwhile(*arguments):
        monkeypatch.setattr(registry.gate, "try_in_clean_process", trial)
        if moved == "production":
            registry.decide.decide("approve", name, other, "Ada", "it is better")
        else:
            made.client.set_registered_model_alias(name, "candidate", other)
        return 0.01

    monkeypatch.setattr(registry.gate, "try_in_clean_process", meanwhile)
    said = validate(made.model("better", noise=0.5))
    words = {"production": "the approve by Ada at 20", "candidate": "version 2 was made the candidate meanwhile"}
    assert words[moved] in said
    assert "nothing was moved. Judge again with: mlflow run 3_projects/registry -e validate" in said
    assert state(name) == ((None, "2") if moved == "production" else ("2", "1"))


def test_a_version_that_is_rejected_while_it_is_judged_does_not_wait(validate, registry, made, name, monkeypatch):
    better = made.model("better", noise=0.5)
    version = made.version(name, better)

    def meanwhile(*arguments):
        registry.decide.decide("reject", name, version, "Ada", "wrong month")
        return 0.01

    monkeypatch.setattr(registry.gate, "try_in_clean_process", meanwhile)
    assert "the reject by Ada at 20" in validate(better)
    assert state(name) == (None, None)
