import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from forecasting import ledger
from forecasting.errors import UserError

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def old(number: int, action: str, before: str | None, after: str | None, **more) -> dict:
    """An entry as the version before has written it."""
    when = (NOON + timedelta(hours=number)).isoformat(timespec="seconds")
    return {"number": number, "action": action, "from": before, "to": after, "when": when, "by": "Ada"} | more


def read(entries: list[dict], production: str | None = None, candidate: str | None = None) -> ledger.Ledger:
    """The ledger of entries: those of the version before have a number, the others follow in the order of the list."""
    tags = {"note": "not an entry"}
    for number, entry in enumerate(entries):
        key = f"ledger.{entry['number']:06d}" if "number" in entry else f"ledger.20260102T{number:012d}-ab12cd"
        tags["ledger.pending" if entry.pop("pending", False) else key] = json.dumps(entry)
    aliases = {"production": production, "candidate": candidate}
    aliases = {alias: version for alias, version in aliases.items() if version}
    return ledger.from_model(SimpleNamespace(name="mine", tags=tags, aliases=aliases))


def new(number: int, action: str, before: str | None, after: str | None, moved: bool = True) -> dict:
    entry = old(number, action, before, after, moved=moved)
    del entry["number"]
    return entry


def test_a_version_that_was_put_into_production_by_hand_alone_has_no_tenure():
    assert ledger.Ledger("wind_solar", production="4").tenures() == []


def test_the_tenures_are_those_of_the_moves_and_a_rejection_is_none():
    history = read(
        [
            old(3, "rollback", "2", "1"),
            old(1, "approve", None, "1", when="2026-01-01T00:00:00Z"),
            old(2, "approve", "1", "2", when="2026-01-01T02:00:00+01:00"),
            new(4, "reject", "3", None),
            new(5, "approve", "1", "4"),
            new(6, "outside", "4", None),
        ]
    )
    tenures = [
        (tenure.version, f"{tenure.since:%H}", tenure.until and f"{tenure.until:%H}") for tenure in history.tenures()
    ]
    assert tenures == [("1", "00", "01"), ("2", "01", "15"), ("1", "15", "17"), ("4", "17", "18")]
    assert history.disagreement is None


@pytest.mark.parametrize(
    ("moves", "production", "to_go_back_to"),
    [
        ([(None, "1"), ("1", "2"), ("2", "3")], "3", ["1", "2"]),
        ([(None, "1"), ("1", "2"), ("2", "3"), ("3", "2", "rollback")], "2", ["1"]),
        ([(None, "1"), ("1", "2"), ("2", "1", "rollback"), ("1", "3")], "3", ["1"]),
        ([(None, "1"), ("1", "2")], None, ["1", "2"]),  # the alias was deleted
        ([(None, "1"), ("1", "2")], "1", ["1", "2"]),  # it was moved by hand, to a version that was there before
        ([(None, "1"), ("1", "2")], "7", ["1", "2"]),  # or to another one
        ([], "1", []),
    ],
)
def test_rollbacks_walk_back_through_what_was_in_production(moves, production, to_go_back_to):
    entries = [
        new(hour, *(action or ["approve"]), before, after) for hour, (before, after, *action) in enumerate(moves)
    ]
    assert read(entries, production).versions_to_go_back_to() == to_go_back_to


def test_a_move_that_was_cut_short_is_told_from_one_by_hand():
    approve, unfinished = new(1, "approve", None, "1"), new(2, "approve", "1", "2", moved=False)
    before_the_alias = read([approve, unfinished], "1")
    assert before_the_alias.disagreement == (
        "the approve by Ada at 2026-01-01 14:00:00 UTC was cut short before it moved the alias to version 2, or it is "
        "at work right now: version 1 is in production"
    )
    assert before_the_alias.recorded == "1"
    assert before_the_alias.versions_to_go_back_to() == []
    after_it = read([approve, unfinished], "2", candidate="2")
    assert after_it.disagreement is None
    assert (after_it.recorded, after_it.candidate) == ("2", None)
    by_hand = (
        "the alias production of mine was moved by hand: version 3 is in production, and the ledger says version 1"
    )
    assert read([approve, unfinished], "3").disagreement == by_hand
    assert read([approve], "3").disagreement == by_hand
    assert read([], "3").disagreement.endswith("version 3 is in production, and the ledger says nothing")
    assert read([approve]).disagreement.endswith("nothing is in production, and the ledger says version 1")


def test_what_was_moved_by_hand_is_an_entry_as_soon_as_the_next_one_is_written():
    metrics = {"from": {"mae": 2.0}, "to": {"mae": 1.0}}
    history = read([new(1, "approve", None, "1") | {"metrics": metrics}, new(2, "rollback", "3", "1")], "1")
    assert [(e.action, e.from_version, e.to_version) for e in history.entries] == [
        ("approve", None, "1"),
        ("outside", "1", "3"),
        ("rollback", "3", "1"),
    ]
    assert (history.entries[1].by, history.entries[1].metrics) == (None, {"from": {"mae": 1.0}, "to": {}})
    assert history.disagreement is None


def test_of_two_at_once_the_one_that_lost_has_moved_nothing():
    history = read(
        [new(1, "approve", None, "1"), new(2, "approve", "1", "2", moved=False), new(3, "approve", "1", "3")], "3"
    )
    assert [entry.moved for entry in history.entries] == [True, False, True]
    assert history.recorded == "3"
    assert history.disagreement is None


@pytest.mark.parametrize(("production", "moved"), [("2", True), ("1", False)])
def test_what_an_earlier_version_has_left_pending_counts_if_the_alias_has_moved(production, moved):
    history = read([old(1, "approve", None, "1"), old(2, "approve", "1", "2", pending=True)], production)
    assert history.entries[-1].moved is moved
    assert (history.disagreement is None) is moved
    later = read(
        [old(1, "approve", None, "1"), old(2, "approve", "1", "2", pending=True), new(3, "approve", production, "4")],
        "4",
    )
    assert [entry.moved for entry in later.entries] == [True, moved, True]
    entered = read([old(1, "approve", None, "1"), old(1, "approve", None, "1", pending=True)], "1")
    assert len(entered.entries) == 1


def test_the_last_decision_on_a_version_says_whether_it_was_sent_away():
    history = read(
        [
            old(1, "approve", None, "1"),
            old(2, "approve", "1", "2"),
            old(3, "rollback", "2", "1"),
            old(4, "reject", "3", None),
            new(5, "approve", "1", "3", moved=False),
        ],
        "1",
    )
    assert history.decision_on("1").action == "rollback"
    assert history.decision_on("1").to_version == "1"
    assert (history.decision_on("2").action, history.decision_on("2").to_version) == ("rollback", "1")
    assert history.decision_on("3").action == "reject"
    assert history.decision_on("4") is None


def test_a_new_entry_comes_after_the_last_one_whatever_the_clock_says():
    ahead = replace(
        ledger.Ledger("mine"), entries=read([old(1, "approve", None, "1", when="2999-01-01T00:00:00Z")]).entries
    )
    assert ahead.next_time() > datetime(2999, 1, 1, tzinfo=UTC)
    assert abs(ledger.Ledger("mine").next_time() - datetime.now(UTC)) < timedelta(minutes=1)


@pytest.mark.parametrize(
    "text", ["{", "[]", "3", '{"action": "approve"}', '{"action": "a", "to": "1", "when": "noon"}']
)
def test_an_entry_that_was_overwritten_by_hand_is_named(text):
    model = SimpleNamespace(name="mine", tags={"ledger.000001": text}, aliases={})
    with pytest.raises(UserError, match=r"^the tag ledger.000001 of mine is not an entry of the ledger \("):
        ledger.from_model(model)
