"""The numbers of the pages on the whole sample and on the whole real data."""

import pytest
from ingest import make_table
from sklearn.metrics import mean_absolute_error, r2_score

from dashboard.follower import View
from dashboard.overview.comparisons import records, repairs, this_year
from dashboard.predictions.series import measures_of, series_of
from forecasting.table import HourlyTable


@pytest.fixture(scope="module", params=["sample", "real"])
def view(request, root) -> View:
    sample = root / "1_starting_point" / "germany.csv"
    path = request.getfixturevalue("real_data") if request.param == "real" else sample
    frame, _ = make_table(path, 365)
    table = HourlyTable(frame, "run", "digest", "1")
    forecast = frame[table.targets].shift(1).bfill()  # as the hour before
    return View(None, table, forecast, table.seen_by(None))


def test_the_errors_of_each_year_are_those_of_its_recorded_hours(view):
    series, frame = series_of(view), view.table.frame
    for year in frame.index.year.unique():
        rows = frame[(frame.index.year == year) & ~frame["repaired"]]
        for target, hours in series.items():
            forecast, measures = view.forecast.loc[rows.index, target.name], measures_of(hours.loc[str(year)])
            assert measures["hours"] == len(rows)
            assert measures["mae"] == pytest.approx(mean_absolute_error(rows[target.name], forecast))
            assert measures["r2"] == pytest.approx(r2_score(rows[target.name], forecast))


def test_the_climatology_of_a_week_knows_the_years_before_it_only(view):
    frame = view.table.frame
    for target, hours in series_of(view).items():
        week = hours.loc["2015-07-27":"2015-08-02", "climatology"]
        for time in week.index[[0, 12, 167]]:
            past = frame[
                (frame.index.year < 2015) & (frame.index.month == time.month) & (frame.index.hour == time.hour)
            ]
            assert week[time] == pytest.approx(past[target.name].mean())


def test_records_and_repairs_are_those_of_the_table(view):
    frame = view.table.frame
    values = [record.value for record in records(view.table.actuals(), view.targets)]
    for target in view.table.targets:
        assert any(value == pytest.approx(frame.loc[~frame["repaired"], target].max()) for value in values)
        of_year = frame.loc[frame.index.year == frame.index[-1].year, target]
        assert this_year(frame[target]).value == pytest.approx(of_year.mean())
    assert repairs(frame)[["hours", "repaired"]].sum().tolist() == [len(frame), frame["repaired"].sum()]
