from dataclasses import replace

import pytest

from forecasting import ledger

ADA = ["--by", "Ada", "--reason", "the winter is better"]


@pytest.fixture
def decide(registry, name, capsys):
    """Return a function that runs a command, and returns what it printed, or the sentence with which it was refused."""

    def run(action: str, *typed: str) -> str:
        try:
            registry.decide.main([action, *typed, "--registered-model", name])
        except SystemExit as error:
            return str(error)
        return capsys.readouterr().out

    return run


@pytest.fixture
def three(made, name, registry) -> str:
    """Bring three versions into production, one after the other, and return the name of the registered model."""
    for number in "123":
        made.waiting(name, made.model(), against=ledger.read(name).production or "", mae=float(number))
        registry.decide.decide("approve", name, "none", "Ada", f"reason {number}")
    return name


def state(name: str) -> tuple[str | None, str | None]:
    """Return the versions that wait and that are in production, of a ledger that agrees."""
    history = ledger.read(name)
    assert history.disagreement is None
    return history.candidate, history.production


def moves(name: str) -> list[tuple[str, str | None, str | None]]:
    return [(entry.action, entry.from_version, entry.to_version) for entry in ledger.read(name).entries]


def test_approval_moves_production_and_is_entered_with_name_reason_and_errors(decide, made, name):
    made.waiting(name, made.model(), mae=1.25)
    assert f"approve: {name} version 1 is in production now" in decide("approve", *ADA)
    made.waiting(name, made.model(), against="1", mae=1.0)
    assert "version 2 is in production now, after version 1" in decide("approve", "--auto", "true")
    assert state(name) == (None, "2")
    assert moves(name) == [("approve", None, "1"), ("approve", "1", "2")]
    first, second = ledger.read(name).entries
    assert (first.by, first.reason, first.auto, first.moved) == ("Ada", "the winter is better", False, True)
    assert first.metrics == {"from": {}, "to": {"mae": 1.25}}
    assert (second.by, second.auto, second.metrics) == (None, True, {"from": {"mae": 1.25}, "to": {"mae": 1.0}})
    keys = made.client.get_registered_model(name).tags
    assert sorted(keys) == [first.key, second.key]
    assert not made.client.search_registered_models(f"name LIKE '{name}.%'"), "nothing is left beside it"


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ([], "expected your name: by=NAME"),
        (["--by", "Ada"], "expected a reason: reason=TEXT"),
        (["--by", "Ada", "--reason", "  "], "expected a reason: reason=TEXT"),
        (["--by", "Ada", "--reason", "x" * 1001], "expected a reason: reason=TEXT (1 to 1000 characters), found 1001"),
    ],
)
def test_a_person_says_name_and_reason(decide, made, name, typed, sentence):
    version = made.waiting(name, made.model())
    for action in ("approve", "reject", "rollback"):
        said = decide(action, *typed)
        assert said.startswith(f"{action}: {sentence}")
        assert "\n" not in said
    assert state(name) == (version, None)


def test_what_has_not_passed_the_gate_is_not_approved(decide, made, name):
    made.version(name, made.model(), "candidate")
    judge = "judge with: mlflow run 3_projects/registry"
    assert f"version 1 of {name} has not passed the gate (it was never judged); {judge}" in decide("approve", *ADA)
    made.version(name, made.model(), "candidate", gate="failed", gate__parts="failed: solar_GW in winter by 9.0%")
    assert "has not passed the gate (parts: solar_GW in winter by 9.0%)" in decide("approve", *ADA)
    made.version(name, made.model(), "production")
    made.waiting(name, made.model(), against="1")
    assert "was judged against version 1, and version 3 is in production now; judge again" in decide("approve", *ADA)
    assert ledger.read(name).production == "3"


def test_nothing_waiting_is_an_error_for_a_person_and_none_for_the_automatic(decide, three):
    assert f"no version of {three} waits for approval; look for a better one with: mlflow" in decide("approve", *ADA)
    assert f"no version of {three} waits for approval" in decide("reject", *ADA)
    said = decide("approve", "--auto", "true")
    assert "approve: nothing waits for approval; version 3 stays in production" in said
    assert len(moves(three)) == 3


def test_what_no_rule_has_judged_needs_a_person(decide, made, name):
    made.version(name, made.model(), "candidate", gate="off")
    assert "(the gate was off), so a person has to approve it" in decide("approve", "--auto", "true")
    assert state(name) == ("1", None)
    decide("approve", *ADA)
    assert state(name) == (None, "1")


def test_a_version_can_be_named_and_has_to_exist(decide, three, made):
    made.waiting(three, made.model(), against="3")
    made.waiting(three, made.model(), against="3")
    assert "has no version best; the candidate is 5" in decide("approve", *ADA, "--version", "best")
    assert f"version 3 of {three} is in production already" in decide("approve", *ADA, "--version", "3")
    decide("approve", *ADA, "--version", "4")
    assert state(three) == ("5", "4")


def test_a_rejected_version_keeps_the_reason_and_waits_no_more(decide, made, name):
    made.version(name, made.model(), "production", holdout_mae="1.5")
    made.waiting(name, made.model(), against="1", mae=1.25)
    assert "version 2 is rejected, and validate does not offer it again" in decide("reject", *ADA)
    history = ledger.read(name)
    assert (history.candidate, history.production) == (None, "1")
    entry = history.entries[-1]
    assert (entry.action, entry.from_version, entry.to_version) == ("reject", "2", None)
    assert entry.metrics == {"from": {"mae": 1.25}, "to": {}}
    assert "is in production; take it out with the entry point rollback" in decide("reject", *ADA, "--version", "1")


def test_rollbacks_walk_back_through_what_was_in_production(decide, three, made):
    said = decide("rollback", *ADA)
    assert "version 2 is in production again, after version 3, which validate does not offer again" in said
    made.waiting(three, made.model(), against="2")
    decide("approve", *ADA)
    assert state(three) == (None, "4")
    decide("rollback", *ADA)
    decide("rollback", *ADA)
    assert state(three) == (None, "1")
    assert f"no version of {three} was in production before 1; there is nothing" in decide("rollback", *ADA)
    walk = [("rollback", "3", "2"), ("approve", "2", "4"), ("rollback", "4", "2"), ("rollback", "2", "1")]
    assert moves(three)[3:] == walk
    assert ledger.read(three).entries[3].metrics == {"from": {"mae": 3.0}, "to": {"mae": 2.0}}


def test_a_named_version_that_was_in_production_comes_back(decide, three, made):
    for version in ("1", "3"):
        decide("rollback", *ADA, "--version", version)
        assert state(three) == (None, version)
    assert f"version 3 of {three} is in production already" in decide("rollback", *ADA, "--version", "3")
    made.waiting(three, made.model(), against="3")
    said = decide("rollback", *ADA, "--version", "4")
    assert f"version 4 of {three} never was in production; expected 1 or 2 or 3. A new version comes in" in said


def test_a_former_version_that_is_gone_or_broken_is_refused_with_another_one_to_take(decide, made, three):
    made.client.delete_model_version(three, "2")
    said = decide("rollback", *ADA)
    assert f"version 2 of {three} can't be loaded (" in said
    assert "; name another one that was in production, with version=NUMBER (1)" in said
    assert state(three) == (None, "3")
    version = made.waiting(three, made.model(broken="no module named luck"), against="3")
    decide("approve", *ADA)
    made.client.set_registered_model_alias(three, "production", "3")
    said = decide("rollback", *ADA)
    assert f"version {version} of {three} can't be loaded (no module named luck); name another one" in said
    assert ledger.read(three).production == "3"


def test_nothing_in_production_any_more_goes_back_to_what_was_last(decide, three, made):
    made.client.delete_registered_model_alias(three, "production")
    assert "version 3 is in production again" in decide("rollback", *ADA)
    assert moves(three)[3:] == [("outside", "3", None), ("rollback", None, "3")]


@pytest.mark.parametrize("action", ["approve", "reject", "rollback"])
def test_a_decision_that_another_one_precedes_is_refused_by_name_and_time(
    decide, registry, made, three, action, monkeypatch
):
    made.waiting(three, made.model(), against="3")
    new_entry, other = registry.decide.new_entry, "reject" if action == "approve" else "approve"

    def meanwhile(*arguments):
        monkeypatch.setattr(registry.decide, "new_entry", new_entry)
        registry.decide.decide(other, three, "4", "Gauss", "quicker")
        return new_entry(*arguments)

    monkeypatch.setattr(registry.decide, "new_entry", meanwhile)
    said = decide(action, "--by", "Ada", "--reason", "slower")
    assert said.startswith(f"{action}: the {other} by Gauss at 20")
    assert said.endswith(f"came first; nothing of this {action} is done")
    assert state(three) == ((None, "3") if action == "approve" else (None, "4"))
    assert len(moves(three)) == 4


@pytest.mark.parametrize("last", ["Ada", "Gauss"])
def test_of_two_at_once_the_later_one_wins_and_both_are_in_the_ledger(decide, registry, made, three, monkeypatch, last):
    """Gauss approves while Ada's command writes: right before her entry, or right after it."""
    made.waiting(three, made.model(), against="3")
    other = made.waiting(three, made.model(), against="3")
    write = ledger.write

    def at_once(name, entry):
        monkeypatch.setattr(ledger, "write", write)
        if last == "Gauss":
            entry = write(name, entry)
        against = ledger.read(name)
        gauss = registry.decisions.new_entry(against, "approve", "3", other, "Gauss", "mine")
        registry.decisions.put_into_production(against, gauss)
        if last == "Ada":
            entry = write(name, replace(entry, when=ledger.read(name).next_time()))
        return entry

    monkeypatch.setattr(ledger, "write", at_once)
    said = decide("approve", *ADA, "--version", "4")
    if last == "Gauss":
        assert said.startswith("approve: the approve by Gauss at 20")
        assert said.endswith("came at the same time, and the later one wins; yours is in the ledger too")
    else:
        assert f"approve: {three} version 4 is in production now" in said
    assert ledger.read(three).production == {"Ada": "4", "Gauss": "5"}[last]
    assert ledger.read(three).disagreement is None
    entries = {entry.by: entry for entry in ledger.read(three).entries[3:]}
    assert set(entries) == {"Ada", "Gauss"}
    assert entries[last].moved
