import re
import shutil
import sys
from pathlib import Path
from types import ModuleType

import mlflow
import pytest

from forecasting import ledger

RULES = ["gain", "naive", "parts", "values", "signature", "loads", "speed"]


@pytest.fixture
def validate(registry, own_process, made, name, capsys):
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
    "worse": ({"noise": 1.03}, "gain", "needed is more than 1.0 % better"),
    "worse in winter": ({"noise": 0.5, "winter": 1.2}, "parts", "solar_GW in winter "),
    "negative": ({"noise": 0.9, "negative": True}, "values", "are below 0, the lowest is -"),
    "other inputs": ({"takes": ["price"]}, "signature", "it takes price, which the table does not"),
    "no signature": ({"noise": 0.5, "signature": False}, "signature", "it has no signature"),
    "loads only here": ({"needs": "only_here"}, "loads", "in a clean process: No module named 'only_here'"),
    "needs another's code": ({"needs": "brought"}, "loads", "in a clean process: No module named 'brought'"),
    "ends its process": (
        {"ends": "that was all"},
        "loads",
        "in a clean process: the process ended with status 7: that",
    ),
    "can't be loaded": ({"broken": "no module named luck"}, "loads", "no module named luck"),
}


def test_the_gate_stops_each_model_for_its_reason(validate, registry, made, name, monkeypatch, clean_process, tmp_path):
    """All are tried in one clean process, apart from those after the one that ends it."""
    monkeypatch.setattr(registry.holdout, "try_in_clean_process", clean_process)
    monkeypatch.setitem(sys.modules, "only_here", ModuleType("only_here"))
    (tmp_path / "brought.py").touch()
    data_run = made.small_values  # some rows have little power, so that a noise can make them negative
    brings = made.model("brings", noise=1.0, needs="brought", code=str(tmp_path / "brought.py"), data_run=data_run)
    made.version(name, brings, "production")
    said = validate(
        brings, *(made.model(**about, data_run=data_run) for about, *_ in STOPPED.values()), data_run=data_run
    )
    assert state(name) == (None, "1")
    assert f"{name} version 1 (brings) stays in production" in said, "code that a model brings along is found"
    for number, (why, (_, rule, sentence)) in enumerate(STOPPED.items(), 2):
        tags = made.tags(name, str(number))
        assert tags["gate"] == "failed", why
        assert tags[f"gate.{rule}"].startswith("failed: "), why
        assert sentence in tags[f"gate.{rule}"], why
        stopped_by = [other for other in RULES if tags[f"gate.{other}"].startswith("failed: ")]
        assert {*stopped_by} <= {rule, "loads"}, why
        assert f"version {number} (made) is refused by {', '.join(sorted(stopped_by, reverse=True))}: " in said, why
    assert f"\nvalidate: no other version of {name} has passed the gate.\n" in said
    assert max(map(len, said.splitlines())) < 600
    assert last_run().data.tags["candidate_version"] == ""


def test_a_slow_model_that_a_naive_forecast_beats_leaves_nothing_in_production_and_fails(validate, made, name, rules):
    said = validate(made.model(noise=20.0), rules=rules("slowest_prediction: 0.5", "slowest_prediction: 0.0001"))
    tags = made.tags(name, "1")
    assert re.fullmatch(r"failed: one row takes [1-9]\d* ms; allowed is 0 ms", tags["gate.speed"])
    assert tags["gate.naive"].startswith("failed: not better than persistence in solar_GW (MAE")
    assert "version 1 (made) is refused by speed, naive: one row takes" in said
    assert said.endswith("Nothing is in production, and nothing waits for approval.")
    assert state(name) == (None, None)
    assert last_run().info.status == "FAILED"
    assert last_run().data.tags["error"] in said


def test_the_challengers_are_tried_in_the_order_of_their_errors_until_one_passes(validate, made, name):
    data_run = made.small_values
    first, next_one = {"noise": 0.5, "negative": True}, {"noise": 0.9}
    others = [{"noise": 1.0}, {"noise": 0.4, "nan": True}, {"noise": 0.3, "takes": ["price"]}]
    said = validate(
        *(made.model(**about, data_run=data_run) for about in (*others, next_one, first)), data_run=data_run
    )
    assert state(name) == ("4", None)
    assert [made.tags(name, version).get("gate") for version in "12345"] == [None, None, None, "passed", "failed"]
    assert "version 4 (made) has passed" in said


def test_judging_again_changes_nothing_and_what_does_not_pass_any_more_waits_no_longer(validate, made, name):
    made.version(name, made.model(), "production")
    made.waiting(name, made.model("worse", noise=1.2), against="1")
    challengers = made.model(), made.model("worse", noise=1.2), made.model("copy")
    for _ in range(2):
        said = validate(*challengers)
        assert state(name) == (None, "1")
        assert "version 1 (made) stays in production" in said
        assert "version 3 (copy): gain failed: it predicts the same as the version in production" in said
        assert made.tags(name, "2")["gate"] == "failed"
        assert len(made.client.search_model_versions(f"name = '{name}'")) == 3


def test_a_production_model_that_is_gone_does_not_stand_in_the_way(validate, registry, made, name, store):
    gone = made.model("gone", noise=0.1)
    made.version(name, gone, "production")
    (folder,) = (store / "artifacts").glob(f"*/models/{made.source(gone).removeprefix('models:/')}")
    shutil.rmtree(folder)
    said = validate(made.model())
    assert state(name) == ("2", "1")
    assert "Note: version 1 in production could not be judged any more: " in said
    assert made.tags(name, "2")["gate.gain"].startswith("not applicable: version 1 in production could not be judged")


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


def test_a_production_model_that_has_seen_some_judged_hours_is_compared_on_the_others(validate, registry, made, name):
    data_run = made.autumn_holdout
    made.version(name, made.model("clever", noise=0.7, data_run=data_run), "production")
    validate(made.model(noise=0.9))
    assert made.tags(name, "2")["gate.gain"].startswith("failed: mean absolute error")
    assert state(name) == (None, "1")
    assert "was trained on 972 of the 1460 judged rows" in made.tags(name, "2")["gate.remark"]


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


def test_a_rejected_version_is_offered_again_only_if_it_is_the_only_one_named(validate, registry, made, name):
    made.waiting(name, made.model("better", noise=0.5))
    registry.decide.decide("reject", name, "none", "Ada", "wrong month")
    said = validate(made.model("better", noise=0.5), made.model())
    assert state(name) == ("2", None)
    assert "version 2 (made) has passed" in said
    validate(made.model("better", noise=0.5))
    assert state(name) == ("1", None)
    assert "version 1 (better) has passed" in validate(made.model("better", noise=0.5), made.model()), "it waits"


def test_a_dry_run_writes_all_down_and_moves_nothing(validate, registry, made, name):
    said = validate(made.model(), mode="dry_run")
    assert "This is a dry run: no alias was moved" in said
    assert state(name) == (None, None)
    tags = made.tags(name, "1")
    assert (tags["gate"], tags["gate.mode"]) == ("passed", "dry_run")
    assert last_run().data.tags["candidate_version"] == ""


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


@pytest.mark.parametrize(
    ("action", "words"),
    [
        ("approve", "the approve by Ada at 20"),
        ("reject", "the reject by Ada at 20"),
        ("alias", "version 2 is the candidate now"),
    ],
)
def test_a_verdict_that_another_command_overtakes_is_told_by_whom(
    validate, registry, made, name, action, words, monkeypatch
):
    made.version(name, made.model(), "production")
    other = made.version(name, made.model("other", noise=0.6), gate="passed", gate__against="1")

    def meanwhile(arguments, seconds):
        if action == "alias":
            made.client.set_registered_model_alias(name, "candidate", other)
        else:
            registry.decide.decide(action, name, other, "Ada", "it is better or worse")
        registry.try_models.main(arguments)

    monkeypatch.setattr(registry.holdout, "try_in_clean_process", meanwhile)
    said = validate(made.model("better", noise=0.5), made.model("other", noise=0.6))
    assert words in said
    assert "nothing was moved. Judge again with: mlflow run 3_projects/registry -e validate" in said
    assert state(name) == {"approve": (None, "2"), "reject": (None, "1"), "alias": ("2", "1")}[action]
