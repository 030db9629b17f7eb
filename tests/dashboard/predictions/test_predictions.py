import json
from datetime import date

import numpy as np
import pandas as pd
import pytest

from dashboard.date_range import Range, read_range
from dashboard.figure_style import between
from dashboard.predictions.content import calendars_of, content, words_of_lines, words_of_scatter
from dashboard.predictions.figures import MOST_POINTS, calendar, lines, marked, scatter
from dashboard.predictions.series import measures_of, series_of
from dashboard.targets import Target
from forecasting.errors import UserError

START = pd.Timestamp("2013-01-01", tz="UTC")
SCREEN = 2208  # points that a line may have: 92 days by the hour
WIND = Target("wind_GW", "Wind", "GW", "target2")
NARROW = "\u202f"
LIMITS = date(2013, 1, 1), date(2016, 12, 31)


def part_of(actual, forecast, low=np.nan, high=np.nan) -> pd.DataFrame:
    """Return hours of wind power from 2013 on."""
    hours = pd.DataFrame({"actual": actual, "forecast": forecast, "low": low, "high": high}, dtype=float)
    hours = hours.set_axis(pd.date_range(START, periods=len(hours), freq="h"))
    return hours.assign(climatology=np.nan, persistence=np.nan, seen=False)


def some_days(days: int, band: bool = False) -> pd.DataFrame:
    random = np.random.default_rng(3)
    actual, forecast = random.gamma(2, 4, 24 * days), random.gamma(2, 4, 24 * days)
    return part_of(actual, forecast, *([forecast - 1, forecast + 1] if band else []))


def frame(hours: int, **columns) -> pd.DataFrame:
    random = np.random.default_rng(1)
    index = pd.date_range(START, periods=hours, freq="h")
    power = {target: random.gamma(2, 4, hours) for target in ("solar_GW", "wind_GW")}
    return pd.DataFrame({**power, **columns}, index)


def test_the_caution_counts_the_hours_that_the_model_has_learnt_from(view_of):
    view = view_of(frame(24 * 21), seen=np.arange(24 * 21) < 24 * 10)
    series = series_of(view)
    calendars = calendars_of(series, 2013)
    for first, last, words in (
        (7, 13, "The model has learnt from 96 of these hours, so it looks better here than it is."),
        (14, 20, ""),
    ):
        shown = Range(date(2013, 1, first), date(2013, 1, last))
        assert content(series, shown, calendars)[1][0].children == words


def test_hours_that_were_repaired_or_not_predicted_do_not_count_and_days_are_whole(view_of):
    actuals = frame(30, repaired=[hour in (1, 2) for hour in range(30)])
    forecast = actuals[["solar_GW", "wind_GW"]] + 1.0
    forecast.iloc[3] = np.nan
    series = series_of(view_of(actuals, forecast))
    hours = series[WIND]
    assert list(hours.index) == list(pd.date_range(START, periods=48, freq="h"))
    measures = measures_of(hours)
    assert (measures["hours"], measures["mae"], measures["bias"]) == (27, pytest.approx(1), pytest.approx(1))
    assert np.isnan(measures["skill_climatology"])  # no year is before the first one
    nothing = measures_of(part_of([np.nan], [1.0]))
    assert nothing["hours"] == 0
    assert np.isnan(nothing["mae"])


def test_hours_without_a_range_do_not_flatter_it():
    part = part_of([0, 0, 2, 9, np.nan], [0, 0, 2.5, 5, 5], [0, 0, 1, 4, 4], [0, 0, 3, 6, 6])
    assert "Of 100 hours that have a range, 50 lie in it; 80 are expected." in words_of_lines(WIND, part)


@pytest.mark.parametrize(
    ("bias", "words"),
    [(-0.001, "the prediction is as high as the record"), (-0.2, f"is 0.20{NARROW}GW under the record")],
)
def test_the_bias_is_given_in_words(bias, words):
    assert words in words_of_scatter(WIND, {"hours": 24, "bias": bias, "r2": 0.9})


@pytest.mark.parametrize(
    ("days", "points", "words"),
    [
        (92, 2208, " UTC"),
        (93, 93, "mean of %Y"),
        (4000, 572, "mean of the 7 days from"),
    ],
)
def test_no_line_has_more_points_than_a_screen_shows_and_the_tooltip_says_their_time(days, points, words, numbers):
    figure = lines(WIND, some_days(days))
    assert [trace["name"] for trace in figure["data"]] == ["recorded", "predicted", "error"]
    assert [len(numbers(trace["y"])) for trace in figure["data"]] == [points] * 3
    assert points <= SCREEN
    assert words in figure["layout"]["xaxis"]["hoverformat"]


def test_a_range_is_drawn_below_the_lines_and_named_in_a_tooltip():
    figure = lines(WIND, some_days(1461, band=True))
    assert [trace.get("name") for trace in figure["data"]][:2] == [None, "range (10 to 90 %)"]
    assert len(json.dumps(figure)) < 60_000  # four years by the day are a small answer
    lower, upper = between(
        "range", *(pd.Series(edge, part_of([0, 0], [0, 0]).index) for edge in ([-0.004, -1.5], [2.0, 3.0]))
    )
    assert lower["hoverinfo"] == "skip"
    assert upper["customdata"] == ["0.00", "−1.50"]
    assert upper["hovertemplate"] == "%{customdata} to %{y}"


def test_the_error_of_a_day_is_that_of_its_recorded_hours(numbers):
    actual, forecast = np.ones(24 * 93), np.full(24 * 93, 3.0)
    actual[1:24], forecast[1:24] = np.nan, 50.0
    error = lines(WIND, part_of(actual, forecast))["data"][-1]
    assert numbers(error["y"])[0] == 2.0


def test_a_scatter_names_each_hour_and_counts_many_hours_in_cells(numbers):
    few = scatter(WIND, part_of([1.0, np.nan, 3.0], [1.5, 2.0, 2.5]))["data"][0]
    assert few["customdata"] == ["2013-01-01T00:00", "2013-01-01T02:00"]
    assert len(numbers(scatter(WIND, some_days(MOST_POINTS // 24))["data"][0]["x"])) == MOST_POINTS
    many = scatter(WIND, some_days(1461))["data"][0]
    assert many["type"] == "heatmap"
    assert numbers(many["customdata"]).sum() == 35_064


@pytest.mark.parametrize("year", [2013, 2016, 2020])
def test_the_calendar_puts_every_day_in_the_row_of_its_weekday_and_marks_the_range(year, numbers):
    days = (date(year + 1, 1, 1) - date(year, 1, 1)).days
    index = pd.date_range(f"{year}-01-01", periods=days, tz="UTC")
    figure = calendar(WIND, pd.Series(np.arange(days, dtype=float), index), 10)
    cell, text = numbers(figure["data"][0]["z"]), figure["data"][0]["text"]
    assert np.isfinite(cell).sum() == days
    for day in (date(year, 1, 1), date(year, 2, 28), date(year, 12, 31)):
        row = text[day.weekday()]
        assert cell[day.weekday(), row.index(str(day))] == (day - date(year, 1, 1)).days
    (bar,) = marked(figure, Range(date(year - 1, 11, 3), date(year, 1, 7)))["layout"]["shapes"]
    assert (bar["x0"], bar["x1"]) == (-0.5, 1.5)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", Range(date(2016, 12, 18), date(2016, 12, 31))),
        ("?from=2015-02-01&to=2015-02-28", Range(date(2015, 2, 1), date(2015, 2, 28))),
        ("?from=2016-12-01", Range(date(2016, 12, 1), date(2016, 12, 31))),
        ("?from=2010-01-01&to=2013-01-05", Range(date(2013, 1, 1), date(2013, 1, 5))),
    ],
)
def test_an_address_names_the_range_within_the_data(query, expected):
    assert read_range(query, LIMITS) == expected
    assert read_range(expected.query, LIMITS) == expected


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("?from=20150201", "found '20150201'"),
        ("?to=2015-02-30", "after to= in the address, found '2015-02-30'"),
        ("?from=2015-02-02&to=2015-02-01", "begins on 2015-02-02, after its end"),
        ("?from=2020-01-01&to=2020-01-02", "reach from 2013-01-01 to 2016-12-31"),
    ],
)
def test_an_address_that_names_no_range_is_refused_with_the_reason(query, words):
    with pytest.raises(UserError, match=words):
        read_range(query, LIMITS)
