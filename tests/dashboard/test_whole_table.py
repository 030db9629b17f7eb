"""The numbers of the pages on the whole sample and on the whole real data."""

from datetime import date
from types import SimpleNamespace

import pytest
from ingest import make_table
from sklearn.metrics import mean_absolute_error, r2_score

from dashboard import summary
from dashboard.comparison import calendar_of, compare
from dashboard.hours import hours_of
from dashboard.live import View
from dashboard.ranges import Range
from report.production import TARGETS


@pytest.fixture(scope="module", params=["sample", "real"])
def view(request, root) -> View:
    path = (
        request.getfixturevalue("real_data") if request.param == "real" else root / "1_starting_point" / "germany.csv"
    )
    table, _ = make_table(path, 365)
    predicted = table[TARGETS].shift(1).bfill()  # as the hour before
    return View(SimpleNamespace(version="1"), table, "a run", predicted)


def test_the_errors_of_each_year_are_those_of_its_recorded_hours(view):
    hours = hours_of(view)
    for year in view.table.index.year.unique():
        shown = Range(date(year, 1, 1), date(year, 12, 31))
        found = compare(hours, shown, calendar_of(hours, year))
        rows = view.table[(view.table.index.year == year) & ~view.table["repaired"]]
        for target in TARGETS:
            predicted = view.predicted.loc[rows.index, target]
            assert found.measures[target]["hours"] == len(rows)
            assert found.measures[target]["mae"] == pytest.approx(mean_absolute_error(rows[target], predicted))
            assert found.measures[target]["r2"] == pytest.approx(r2_score(rows[target], predicted))


def test_records_and_repairs_are_those_of_the_table(view):
    recorded = view.table[~view.table["repaired"]]
    values = [record.value for record in summary.records(view.table)]
    for target in TARGETS:
        assert any(value == pytest.approx(recorded[target].max()) for value in values)
    repairs = summary.repairs(view.table)
    assert repairs["hours"].sum() == len(view.table)
    assert repairs["repaired"].sum() == view.table["repaired"].sum()
    assert summary.this_year(view.table["wind_GW"]).value == pytest.approx(
        view.table.loc[view.table.index.year == view.table.index[-1].year, "wind_GW"].mean()
    )
