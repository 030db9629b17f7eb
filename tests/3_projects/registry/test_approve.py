import json

import pytest


@pytest.fixture
def decide(registry, name, capsys):
    """Return a function that runs a command, and returns what it said, or the sentence with which it was refused."""

    def run(action: str, *typed: str) -> str:
        module = registry.rollback if action == "rollback" else registry.approve
        words = [] if action == "rollback" else [action]
        try:
            module.main([*words, *typed, "--registered-model", name])
        except SystemExit as error:
            return str(error)
        return capsys.readouterr().out

    return run


ADA = ["--by", "Ada", "--reason", "the winter is better"]


@pytest.fixture
def three(made, name, registry) -> str:
    """Bring three versions into production, one after the other, and return the name of the registered model."""
    for number in "123":
        made.waiting(name, made.model(), against=registry.transitions.read(name).production or "", mae=float(number))
        registry.approve.decide("approve", name, "candidate", "Ada", f"reason {number}", False)
    return name


def state(registry, name: str) -> tuple[str | None, str | None]:
    found = registry.transitions.read(name)
    assert found.agrees
    return found.candidate, found.production


def test_approval_moves_production_and_is_entered_with_name_reason_and_errors(decide, registry, made, name):
    made.waiting(name, made.model(), mae=1.25)
    said = decide("approve", *ADA)
    assert f"approve: {name} version 1 is in production now" in said
    assert state(registry, name) == (None, "1")
    (entry,) = registry.transitions.read(name).entries
    when = entry.pop("when")
    assert when.endswith("+00:00")
    assert entry == {
        "number": 1,
        "action": "approve",
        "from": None,
        "to": "1",
        "by": "Ada",
        "reason": "the winter is better",
        "auto": False,
        "metrics": {"from": {}, "to": {"mae": 1.25}},
    }
    made.waiting(name, made.model(), against="1", mae=1.0)
    assert "version 2 is in production now, after version 1" in decide("approve", "--auto", "true")
    entry = registry.transitions.read(name).entries[-1]
    assert (entry["from"], entry["to"], entry["by"], entry["auto"]) == ("1", "2", None, True)
    assert entry["metrics"] == {"from": {"mae": 1.25}, "to": {"mae": 1.0}}


def test_the_ledger_is_in_the_tags_of_the_registered_model_and_the_lock_is_gone(three, made):
    model = made.client.get_registered_model(three)
    assert sorted(model.tags) == ["ledger.000001", "ledger.000002", "ledger.000003"]
    assert json.loads(model.tags["ledger.000002"])["reason"] == "reason 2"
    assert [found.name for found in made.client.search_registered_models(f"name LIKE '{three}%'")] == [three]


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ([], "expected your name: by=NAME"),
        (["--by", "Ada"], "expected a reason: reason=TEXT"),
        (["--by", "Ada", "--reason", "  "], "expected a reason: reason=TEXT"),
        (["--by", "Ada", "--reason", "x" * 1001], "expected a reason of at most 1000 characters, found 1001"),
    ],
)
@pytest.mark.parametrize("action", ["approve", "reject", "rollback"])
def test_a_person_says_name_and_reason(decide, registry, made, name, action, typed, sentence):
    version = made.waiting(name, made.model())
    said = decide(action, *typed)
    assert said.startswith(f"{action}: {sentence}")
    assert "\n" not in said
    assert state(registry, name) == (version, None)


def test_what_has_not_passed_the_gate_is_not_approved(decide, registry, made, name):
    made.version(name, made.model(), "candidate")
    assert "version 1 of" in (said := decide("approve", *ADA))
    assert "has not passed the gate (it was never judged); judge with: mlflow run 3_projects/registry" in said
    made.version(name, made.model(), "candidate", gate="failed", gate__parts="failed: solar_GW in winter by 9.0%")
    said = decide("approve", *ADA)
    assert "version 2 of" in said
    assert "has not passed the gate (parts: solar_GW in winter by 9.0%)" in said
    assert state(registry, name) == ("2", None)


def test_what_was_judged_against_another_version_is_not_approved(decide, registry, made, name):
    made.version(name, made.model(), "production")
    made.waiting(name, made.model(), against="1")
    made.version(name, made.model(), "production")
    said = decide("approve", *ADA)
    assert "was judged against version 1, and version 3 is in production now; judge again with: mlflow run" in said
    assert state(registry, name) == ("2", "3")


def test_nothing_waiting_is_an_error_for_a_person_and_none_for_the_automatic(decide, registry, three):
    assert f"no version of {three} waits for approval; look for a better one with: mlflow" in decide("approve", *ADA)
    assert f"no version of {three} waits for approval" in decide("reject", *ADA)
    said = decide("approve", "--auto", "true")
    assert "approve: nothing waits for approval; version 3 stays in production" in said
    assert len(registry.transitions.read(three).entries) == 3


def test_what_no_rule_has_judged_needs_a_person(decide, registry, made, name):
    made.version(name, made.model(), "candidate", gate="off")
    assert "(the gate was off), so a person has to approve it" in decide("approve", "--auto", "true")
    assert state(registry, name) == ("1", None)
    decide("approve", *ADA)
    assert state(registry, name) == (None, "1")


def test_a_version_can_be_named_and_has_to_be_there(decide, registry, three, made):
    made.waiting(three, made.model(), against="3")
    made.waiting(three, made.model(), against="3")
    assert "has no version 9; the candidate is 5" in decide("approve", *ADA, "--version", "9")
    assert "has no version best; the candidate is 5" in decide("approve", *ADA, "--version", "best")
    assert "version 3 of" in (said := decide("approve", *ADA, "--version", "3"))
    assert "is in production already" in said
    decide("approve", *ADA, "--version", "4")
    assert state(registry, three) == ("5", "4")


def test_a_rejected_version_keeps_the_reason_and_waits_no_more(decide, registry, made, name):
    made.version(name, made.model(), "production", holdout_mae="1.5")
    made.waiting(name, made.model(), against="1", mae=1.25)
    assert "version 2 is rejected, and promote does not offer it again" in decide("reject", *ADA)
    assert state(registry, name) == (None, "1")
    assert made.tags(name, "2")["rejected"].startswith("reject by Ada at 20")
    entry = registry.transitions.read(name).entries[-1]
    assert (entry["action"], entry["from"], entry["to"]) == ("reject", "2", None)
    assert entry["metrics"] == {"from": {"mae": 1.25}, "to": {}}
    assert "is in production; take it out with the entry point rollback" in decide("reject", *ADA, "--version", "1")


def test_rollbacks_walk_back_through_what_was_in_production(decide, registry, three, made):
    said = decide("rollback", *ADA)
    assert "version 2 is in production again, after version 3, which promote does not offer again" in said
    assert state(registry, three) == (None, "2")
    assert made.tags(three, "3")["rejected"].startswith("rollback by Ada at 20")
    decide("rollback", *ADA)
    assert state(registry, three) == (None, "1")
    assert f"no version of {three} was in production before 1; nothing to go back to" in decide("rollback", *ADA)
    entries = registry.transitions.read(three).entries
    assert [(e["action"], e["from"], e["to"]) for e in entries[3:]] == [("rollback", "3", "2"), ("rollback", "2", "1")]
    assert entries[3]["metrics"] == {"from": {"mae": 3.0}, "to": {"mae": 2.0}}


def test_after_a_rollback_and_an_approval_the_next_one_skips_what_was_rolled_back(decide, registry, three, made):
    decide("rollback", *ADA)
    made.waiting(three, made.model(), against="2")
    decide("approve", *ADA)
    assert state(registry, three) == (None, "4")
    decide("rollback", *ADA)
    assert state(registry, three) == (None, "2")


def test_a_named_version_that_was_in_production_comes_back(decide, registry, three, made):
    decide("rollback", *ADA, "--version", "1")
    assert state(registry, three) == (None, "1")
    decide("rollback", *ADA, "--version", "3")
    assert state(registry, three) == (None, "3")
    assert "rejected" not in made.tags(three, "3")
    assert f"version 3 of {three} is in production already" in decide("rollback", *ADA, "--version", "3")
    made.waiting(three, made.model(), against="3")
    said = decide("rollback", *ADA, "--version", "4")
    assert f"version 4 of {three} never was in production; expected one of 1, 2, 3. A new version comes in" in said


def test_a_former_version_that_is_gone_or_broken_is_refused_with_another_one_to_take(decide, registry, made, three):
    made.client.delete_model_version(three, "2")
    said = decide("rollback", *ADA)
    assert (
        f"version 2 of {three} no longer exists; name another one that was in production, with version=NUMBER (1)"
        in said
    )
    assert state(registry, three) == (None, "3")
    made.version(three, made.model(broken="no module named luck"), "production")
    made.client.set_registered_model_alias(three, "production", "1")
    registry.transitions.mend(three)
    made.client.set_registered_model_alias(three, "production", "4")
    registry.transitions.mend(three)
    made.client.set_registered_model_alias(three, "production", "3")
    said = decide("rollback", *ADA)
    assert f"version 4 of {three} can't be loaded (no module named luck); name another one" in said
    assert state(registry, three) == (None, "3")


def test_nothing_in_production_any_more_goes_back_to_what_was_last(decide, registry, three, made):
    made.client.delete_registered_model_alias(three, "production")
    assert "version 3 is in production again" in decide("rollback", *ADA)
    actions = [entry["action"] for entry in registry.transitions.read(three).entries]
    assert actions == ["approve", "approve", "approve", "outside", "rollback"]


@pytest.mark.parametrize("action", ["approve", "reject", "rollback"])
def test_a_decision_that_another_one_overtakes_is_told_by_whom_and_when(
    decide, registry, made, three, action, monkeypatch
):
    made.waiting(three, made.model(), against="3")
    module = registry.rollback if action == "rollback" else registry.approve
    lock = module.lock

    def meanwhile(*arguments):
        monkeypatch.setattr(module, "lock", lock)
        registry.approve.decide("approve", three, "4", "Gauss", "quicker", False)
        return lock(*arguments)

    monkeypatch.setattr(module, "lock", meanwhile)
    said = decide(action, "--by", "Ada", "--reason", "slower")
    assert said.startswith(f"{action}: Gauss has put version 4 into production meanwhile (approve, 20")
    assert said.endswith(f"nothing of this {action} is done")
    assert state(registry, three) == (None, "4")
    assert len(registry.transitions.read(three).entries) == 4


def test_a_rejection_that_was_quicker_is_told(decide, registry, made, name, monkeypatch):
    made.waiting(name, made.model())
    lock = registry.approve.lock

    def meanwhile(*arguments):
        monkeypatch.setattr(registry.approve, "lock", lock)
        registry.approve.decide("reject", name, "candidate", "Gauss", "no", False)
        return lock(*arguments)

    monkeypatch.setattr(registry.approve, "lock", meanwhile)
    assert "Gauss has rejected version 1 meanwhile (20" in decide("approve", *ADA)
    assert state(registry, name) == (None, None)
