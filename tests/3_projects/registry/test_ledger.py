import json
import re
import subprocess
import sys
from pathlib import Path

import mlflow
import pytest


@pytest.fixture
def ledger(registry, name, capsys):
    """Return a function that shows the ledger: what it printed, and what went beside it."""

    def run(*typed: str, registered_model: str = name) -> tuple[str, str]:
        registry.ledger.main([*typed, "--registered-model", registered_model])
        return capsys.readouterr()

    return run


@pytest.fixture
def two(made, name, registry) -> str:
    made.waiting(name, made.model(), mae=1.5)
    registry.approve.decide("approve", name, "candidate", "Ada", "the first one", False)
    made.waiting(name, made.model(), against="1", mae=1.25)
    registry.approve.decide("approve", name, "candidate", None, "automatic", True)
    return name


def test_the_table_says_who_when_why_from_where_to_where_and_the_errors(ledger, two):
    lines = ledger()[0].splitlines()
    assert lines[0].split("  ")[0] == "when (UTC)"
    columns = [re.split(r"  +", line)[1:] for line in lines[1:3]]
    assert columns[0] == ["approve", "- -> 1", "Ada", "- -> 1.500", "the first one"]
    assert columns[1] == ["approve (automatic)", "1 -> 2", "-", "1.500 -> 1.250", "automatic"]
    assert lines[-1] == f"{two}: version 2 is in production, nothing waits for approval."


@pytest.mark.slow
def test_json_is_all_that_goes_to_the_standard_output_and_the_run_keeps_it(two, typed, registry):
    script = Path(registry.ledger.__file__)
    command = [sys.executable, script, "--format", "json", "--registered-model", two]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["production"], found["candidate"], found["registered_model"]) == ("2", None, two)
    assert found["entries"] == registry.transitions.read(two).entries
    done = typed("ledger", registered_model=two, format="json")
    assert done.returncode == 0, done.stderr
    (run_id,) = set(re.findall(r"Run \(ID '(\w+)'\) succeeded", done.stderr))
    assert mlflow.artifacts.load_dict(f"runs:/{run_id}/ledger.json") == found
    assert mlflow.get_run(run_id).data.tags["step"] == "ledger"


def test_an_alias_that_was_moved_by_hand_is_entered_as_outside(ledger, two, made):
    made.version(two, made.model(), holdout_mae="2.0")
    made.client.set_registered_model_alias(two, "production", "3")
    shown, said = ledger("--format", "json")
    assert "mended: the alias was moved outside these commands: version 3 is in production, after version 2" in said
    entry = json.loads(shown)["entries"][-1]
    assert (entry["action"], entry["from"], entry["to"], entry["by"]) == ("outside", "2", "3", None)
    assert entry["metrics"] == {"from": {"mae": 1.25}, "to": {"mae": 2.0}}
    shown, said = ledger("--format", "json")
    assert said == ""
    assert len(json.loads(shown)["entries"]) == 3


def test_a_registered_model_that_had_a_production_version_before_there_was_a_ledger_gets_one(ledger, made, name):
    made.version(name, made.model(), "production")
    shown, said = ledger()
    assert "version 1 is in production, after nothing" in said
    assert "outside  - -> 1" in shown


def test_a_deleted_production_version_is_entered(ledger, two, made):
    made.client.delete_model_version(two, "2")
    shown, said = ledger()
    assert "nothing is in production, after version 2" in said
    assert "outside              2 -> -" in shown


def test_a_ledger_of_no_model_is_told(ledger):
    with pytest.raises(SystemExit, match="ledger: there is no registered model nobody; promote makes one"):
        ledger(registered_model="nobody")


def test_an_entry_that_was_edited_by_hand_is_named(ledger, two, made):
    made.client.set_registered_model_tag(two, "ledger.000001", "{")
    with pytest.raises(SystemExit, match=r"the tag ledger.000001 of .* is no entry of the ledger any more"):
        ledger()


def test_errors_that_are_no_numbers_make_no_broken_json(ledger, made, name, registry):
    made.version(name, made.model(), "production", holdout_mae="nan", holdout_mae_wind_GW="1.0")
    shown, _ = ledger("--format", "json")
    assert "NaN" not in shown
    assert json.loads(shown)["entries"][0]["metrics"]["to"] == {"mae_wind_GW": 1.0}
