import json
import re
from pathlib import Path

import mlflow
import pytest

from forecasting import ledger


@pytest.fixture
def show(registry, name, capsys, monkeypatch):
    """Return a function that shows the ledger: what it printed, and its notes."""
    monkeypatch.setenv("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # as the program does when it is typed

    def run(*typed: str, registered_model: str = name) -> tuple[str, str]:
        capsys.readouterr()  # what MLflow printed while a model was made
        registry.ledger.main([*typed, "--registered-model", registered_model])
        return capsys.readouterr()

    return run


@pytest.fixture
def two(made, name, registry) -> str:
    made.waiting(name, made.model(), mae=1.5)
    registry.decide.decide("approve", name, "none", "Ada", "the first one")
    made.waiting(name, made.model(), against="1", mae=1.25)
    registry.decide.decide("approve", name, "none", None, "automatic", True)
    return name


def test_the_table_says_who_when_why_from_where_to_where_and_the_errors(show, two):
    lines = show()[0].splitlines()
    assert lines[0].split("  ")[0] == "when (UTC)"
    columns = [re.split(r"  +", line)[1:] for line in lines[1:3]]
    assert columns[0] == ["approve", "- -> 1", "Ada", "- -> 1.500", "the first one"]
    assert columns[1] == ["approve (automatic)", "1 -> 2", "-", "1.500 -> 1.250", "automatic"]
    assert lines[-1] == f"{two}: version 2 is in production, nothing waits for approval."


def test_json_is_all_that_goes_to_the_standard_output_and_the_run_keeps_it(two, here, registry):
    done = here(Path(registry.ledger.__file__), "--format=json", f"--registered-model={two}")
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    assert (shown["production"], shown["candidate"], shown["registered_model"]) == ("2", None, two)
    assert [entry["reason"] for entry in shown["entries"]] == ["the first one", "automatic"]
    (run,) = mlflow.search_runs(["0"], "tags.project = 'ledger'", max_results=1, output_format="list")
    assert mlflow.artifacts.load_dict(f"runs:/{run.info.run_id}/ledger.json") == shown


def test_an_alias_that_was_moved_by_hand_is_noticed_and_entered_with_the_next_move(show, two, made, registry):
    made.version(two, made.model(), "production", holdout_mae="2.0")
    shown, note = show("--format", "json")
    assert note == (
        f"note: the alias production of {two} was moved by hand: version 3 is in production, and the ledger says "
        "version 2\n"
    )
    assert len(json.loads(shown)["entries"]) == 2
    registry.decide.decide("rollback", two, "none", "Ada", "moved by hand")
    shown, note = show("--format", "json")
    assert note == ""
    outside, rollback = json.loads(shown)["entries"][2:]
    assert (outside["action"], outside["from"], outside["to"], outside["by"]) == ("outside", "2", "3", None)
    assert outside["metrics"] == {"from": {"mae": 1.25}, "to": {"mae": 2.0}}
    assert (rollback["from"], rollback["to"]) == ("3", "2")
    made.client.delete_model_version(two, "2")
    assert "nothing is in production, and the ledger says version 2" in show()[1]


def test_a_production_version_from_before_there_was_a_ledger_is_noticed(show, made, name):
    made.version(name, made.model(), "production")
    assert "version 1 is in production, and the ledger says nothing" in show()[1]


def test_a_ledger_that_is_empty_is_told(show):
    with pytest.raises(SystemExit, match="ledger: the ledger of nobody is empty, and no version of it waits; judge"):
        show(registered_model="nobody")


def test_an_error_that_is_not_a_number_is_left_out_of_the_entry(registry, made, name):
    version = made.waiting(name, made.model(), mae=1.5)
    for target, text in {"solar_GW": "nan", "tide_GW": "good", "wind_GW": "1.0"}.items():
        made.client.set_model_version_tag(name, version, f"holdout_mae_{target}", text)
    registry.decide.decide("approve", name, "none", "Ada", "the first one")
    assert ledger.read(name).entries[0].metrics["to"] == {"mae": 1.5, "mae_wind_GW": 1.0}


def test_an_entry_that_was_overwritten_by_hand_is_named(show, two, made):
    made.client.set_registered_model_tag(two, "ledger.000001", "[]")
    with pytest.raises(SystemExit, match=f"^ledger: the tag ledger.000001 of {two} is not an entry of the ledger"):
        show()
