import json

from dashboard.registry import read_ledger, reigns


def tag(number: int, action: str, before: str | None, after: str | None, when: str) -> tuple[str, str]:
    return f"ledger.{number:06d}", json.dumps(
        {"number": number, "action": action, "from": before, "to": after, "when": when}
    )


def test_the_ledger_says_what_was_in_production_from_when_to_when():
    tags = dict(
        [
            tag(3, "rollback", "2", "1", "2026-03-01T00:00:00Z"),
            tag(1, "approve", None, "1", "2026-01-01T00:00:00+00:00"),
            tag(2, "approve", "1", "2", "2026-02-01T01:00:00+01:00"),
        ]
    )
    found = [(reign.version, str(reign.since)[:16], str(reign.until)[:16]) for reign in reigns(read_ledger(tags))]
    assert found == [
        ("1", "2026-03-01 00:00", "None"),
        ("2", "2026-02-01 00:00", "2026-03-01 00:00"),
        ("1", "2026-01-01 00:00", "2026-02-01 00:00"),
    ]


APPROVED = tag(1, "approve", None, "1", "2026-01-01T00:00:00Z")


def test_a_rejection_moves_nothing():
    tags = dict([APPROVED, tag(2, "reject", "1", "2", "2026-01-02T00:00:00Z")])
    (reign,) = reigns(read_ledger(tags))
    assert reign.until is None


def test_a_time_with_nothing_in_production_ends_the_one_before():
    tags = dict([APPROVED, tag(2, "outside", "1", None, "2026-01-02T00:00:00Z")])
    (reign,) = reigns(read_ledger(tags))
    assert str(reign.until)[:10] == "2026-01-02"


def test_what_is_no_entry_is_left_out():
    broken = {"ledger.000001": "{", "ledger.000002": '{"when": "yesterday"}', "ledger.000003": "[]", "note": "x"}
    assert read_ledger(broken) == ()
    assert reigns(()) == []
