import base64
import json
from datetime import date

import numpy as np
import pandas as pd
import pytest

from dashboard.figures.errors import MOST_POINTS, calendar, marked, scatter
from dashboard.figures.series import recorded_and_predicted
from dashboard.figures.years import by_year

START = pd.Timestamp("2013-01-01", tz="UTC")
SCREEN = 2208  # points that a line may have: 92 days by the hour


def numbers(packed: dict) -> np.ndarray:
    values = np.frombuffer(base64.b64decode(packed["bdata"]), "<f4")
    return values.reshape([int(size) for size in packed["shape"].split(",")]) if "shape" in packed else values


def lines(days: int, band: bool = False) -> dict:
    random = np.random.default_rng(3)
    recorded, predicted = random.gamma(2, 4, 24 * days), random.gamma(2, 4, 24 * days)
    edges = (predicted - 1, predicted + 1) if band else None
    return recorded_and_predicted("wind_GW", START, recorded, predicted, edges)


@pytest.mark.parametrize(("days", "points"), [(1, 24), (92, 2208), (93, 93), (1461, 1461), (2208, 2208), (4000, 572)])
def test_no_line_has_more_points_than_a_screen_shows(days, points):
    found = [len(numbers(trace["y"])) for trace in lines(days)["data"]]
    assert found == [points] * 3
    assert points <= SCREEN


def test_four_years_by_the_day_are_a_small_answer():
    assert len(json.dumps(lines(1461, band=True))) < 60_000


def test_the_range_is_drawn_only_where_the_model_gives_it():
    assert [trace["name"] for trace in lines(2)["data"]] == ["recorded", "predicted", "error"]
    assert [trace["name"] for trace in lines(2, band=True)["data"]][:2] == ["10 %", "range (10 to 90 %)"]


def test_the_error_of_a_day_is_that_of_its_recorded_hours():
    recorded, predicted = np.ones(24 * 93), np.full(24 * 93, 3.0)
    recorded[1:24], predicted[1:24] = np.nan, 50.0
    error = recorded_and_predicted("solar_GW", START, recorded, predicted, None)["data"][-1]
    assert numbers(error["y"])[0] == 2.0


def test_a_scatter_of_many_hours_is_counted_in_cells():
    random = np.random.default_rng(5)
    recorded, predicted = random.gamma(2, 4, 35_064), random.gamma(2, 4, 35_064)
    few = scatter("wind_GW", recorded[:MOST_POINTS], predicted[:MOST_POINTS])
    many = scatter("wind_GW", recorded, predicted)
    assert len(numbers(few["data"][0]["x"])) == MOST_POINTS
    assert many["data"][0]["type"] == "heatmap"
    assert numbers(many["data"][0]["customdata"]).sum() == 35_064


@pytest.mark.parametrize("year", [2013, 2016, 2020])
def test_the_calendar_puts_every_day_in_the_row_of_its_weekday(year):
    days = (date(year + 1, 1, 1) - date(year, 1, 1)).days
    figure = calendar("solar_GW", year, np.arange(days, dtype=float), 10)
    cell, text = numbers(figure["data"][0]["z"]), figure["data"][0]["text"]
    assert np.isfinite(cell).sum() == days
    for day in (date(year, 1, 1), date(year, 2, 28), date(year, 12, 31)):
        row = text[day.weekday()]
        assert cell[day.weekday(), row.index(str(day))] == (day - date(year, 1, 1)).days


def test_the_bar_above_the_calendar_spans_the_weeks_of_the_range():
    figure = marked(calendar("solar_GW", 2015, np.ones(365), 1), 2015, (date(2014, 11, 3), date(2015, 1, 7)))
    bar = figure["layout"]["shapes"][0]
    assert (bar["x0"], bar["x1"]) == (-0.5, 1.5)


def test_every_year_has_a_line_on_one_calendar_and_the_newest_is_the_thick_one():
    index = pd.date_range("2013-01-01", "2022-06-30 23:00", freq="h", tz="UTC")
    traces = by_year("wind_GW", pd.Series(np.arange(len(index), dtype=float), index))["data"]
    assert [trace["name"] for trace in traces] == [str(year) for year in range(2013, 2023)]
    assert [trace["line"]["width"] for trace in traces] == [1.4] * 9 + [3]
    assert {len(numbers(trace["y"])) for trace in traces} == {366}
    looks = {(trace["line"]["color"], trace["line"]["dash"]) for trace in traces[-6:]}
    assert len(looks) == 6


def test_a_leap_day_has_its_place():
    index = pd.date_range("2016-01-01", "2016-12-31 23:00", freq="h", tz="UTC")
    days = numbers(by_year("wind_GW", pd.Series(1.0, index))["data"][0]["y"])
    assert np.isnan(days[:6]).all()
    assert np.isfinite(days[6:]).all()
