"""What the page of the model says where a number is small, nothing has happened, or an alias was moved by hand."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from dash import html

from dashboard.components import duration, percent
from dashboard.model.errors import verdict
from dashboard.model.versions import comparison, history
from dashboard.registry import Registry, Version
from forecasting.ledger import Entry, Ledger

NARROW = "\u202f"
APPROVAL = Entry("approve", None, "1", None, "", False, datetime(2026, 1, 2, tzinfo=UTC), moved=True)


def cells(ledger: Ledger, notice: str | None = None) -> tuple[str | None, list[list[str]]]:
    """Return the notice, and the cells of the table of what was in production."""
    versions = tuple(Version(number, "run", datetime(2026, 1, 1, tzinfo=UTC), "rf", {}, ()) for number in ("2", "1"))
    said, table = history(Registry(versions, ledger, notice, (), {}, False, "key"))
    head, body = table.children.children[1:]
    assert all(header.children for header in head.children.children)
    return said.children, [
        [getattr(cell.children, "children", cell.children) for cell in row.children] for row in body.children
    ]


@pytest.mark.parametrize(("production", "end"), [("1", "now"), ("2", "not in the ledger"), (None, "not in the ledger")])
def test_what_the_alias_says_is_shown_beside_the_ledger(production, end):
    ledger = Ledger("wind_solar", None, production, (APPROVAL,))
    said, rows = cells(ledger, ledger.disagreement)
    assert [row[:3] for row in rows] == [["1", "2026-01-02 00:00", end]]
    assert (said or "").startswith("The alias production of wind_solar was moved by hand") is (production != "1")


def test_the_newest_tenure_comes_first_and_every_cell_says_something():
    back = replace(
        APPROVAL, from_version="1", to_version="2", by="Ada", reason="r", when=datetime(2026, 3, 2, tzinfo=UTC)
    )
    _, rows = cells(Ledger("wind_solar", None, "2", (APPROVAL, back)))
    assert [row[0] for row in rows] == ["2", "1"]
    assert rows[1][3] == "59 d"
    assert all(text for row in rows for text in row)


def test_an_error_that_was_overwritten_by_hand_is_none_and_no_list_is_empty():
    tags = {"holdout_mae_wind_GW": "1.5", "holdout_mae_solar_GW": "good", "holdout_r2_wind_GW": "inf"}
    versions = [Version(number, "run", datetime(2026, 1, 1, tzinfo=UTC), "rf", tags, ()) for number in ("2", "1")]
    assert versions[0].holdout == {"mae_wind_GW": 1.5}
    registry = Registry(tuple(versions), Ledger("wind_solar", None, "1", ()), None, (), {}, False, "key")
    _, _, parts = comparison(registry, [], None)
    assert not any(isinstance(part, html.Dl) for part in parts)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (verdict("mae", 1.903, 1.902), f"▲ better by <{NARROW}1{NARROW}%"),
        (verdict("mae", 1.0, 1.01), f"▼ worse by 1{NARROW}%"),
        (verdict("mae", 1.0, float("nan")), "–"),
        (percent(0), f"0{NARROW}%"),
        (percent(1 / 35064, 2), f"<{NARROW}0.01{NARROW}%"),
        (percent(0.0001, sign=True), f"0{NARROW}%"),
        (duration(datetime(2026, 1, 1), datetime(2026, 1, 1, 0, 0, 20)), "less than 1 min"),
    ],
)
def test_no_sentence_has_a_number_that_was_rounded_to_nothing(said, words):
    assert words in said
