"""The table that the models learn from: windows, targets, naive forecasts, and parts that do not touch."""

import numpy as np
import pandas as pd
import pytest
from stock_series import load, rows

windows = load("windows")
CLOSES = [f"close_{number}" for number in range(1, 15)]


def prices(days: int = 700, closes=None) -> pd.DataFrame:
    frame = rows(days, closes)
    return frame.set_index(pd.DatetimeIndex(pd.to_datetime(frame.pop("date"), utc=True), name="date"))


@pytest.fixture
def series() -> pd.DataFrame:
    """Return prices that are all different, so that a price tells its day."""
    return prices(closes=100 + np.random.default_rng(3).permutation(700) / 10)


def test_a_row_is_a_window_of_closing_prices_and_what_came_after(series):
    table = windows.make_table(series, 14, 0.5)
    close = series["close"]
    for day in (table.index[0], table.index[300], table.index[-1]):
        place = close.index.get_loc(day)
        row = table.loc[day]
        assert list(row[CLOSES]) == list(close.iloc[place - 13 : place + 1])
        assert row["next_close"] == close.iloc[place + 1]
        assert row["last_close"] == close.iloc[place]
        assert row["up"] == float(close.iloc[place + 1] > close.iloc[place])
        assert row["same_as_yesterday"] == float(close.iloc[place] > close.iloc[place - 1])
    assert table.index.is_monotonic_increasing
    assert not table.isna().any(axis=None)
    assert not table["repaired"].any()


def test_a_price_that_stays_is_no_rise():
    table = windows.make_table(prices(closes=np.full(700, 20.0)), 14, 0.5)
    assert (table[["up", "same_as_yesterday", "majority"]] == 0).all(axis=None)


def test_time_decides_the_parts_the_holdout_is_at_the_end_and_none_has_a_price_of_another(series):
    table = windows.make_table(series, 14, 0.5)
    train, validation, holdout = (table[table["split"] == part] for part in ("train", "validation", "holdout"))
    assert train.index[-1] < validation.index[0] <= validation.index[-1] < holdout.index[0]
    assert series.index[-1] - holdout.index[0] <= pd.Timedelta(days=183)
    assert table.index[-1] == series.index[-2]
    seen = [set(part[[*CLOSES, "next_close"]].to_numpy().ravel()) for part in (train, validation, holdout)]
    assert len(set.union(*seen)) == sum(map(len, seen))
    assert len(table) == 700 - 14 - 2 * 14


def test_nothing_of_the_training_part_depends_on_what_came_later(series):
    before = windows.make_table(series, 14, 0.5)
    later = series.copy()
    later.loc[later.index > before.index[before["split"] == "train"][-1] + pd.Timedelta(days=7), "close"] *= 3
    after = windows.make_table(later, 14, 0.5)
    train = before["split"] == "train"
    pd.testing.assert_frame_equal(before[train], after[train])
    assert before["majority"].unique() == after["majority"].unique()


def test_the_commoner_direction_is_that_of_the_training_part():
    falls, rises = np.linspace(100, 80, 350), np.linspace(80, 200, 350)
    table = windows.make_table(prices(closes=np.concatenate([falls, rises])), 14, 1.3)
    assert table["up"].mean() > 0.5
    assert (table["majority"] == 0).all()


@pytest.mark.parametrize("days", [2, 5, 30])
def test_a_window_has_as_many_days_as_asked_for(series, days):
    table = windows.make_table(series, days, 0.5)
    assert windows.closes_of(table) == [f"close_{number}" for number in range(1, days + 1)]
    assert (table["last_close"] == table[f"close_{days}"]).all()


@pytest.mark.parametrize(
    ("count", "days", "years", "sentence"),
    [
        (10, 14, 2, "expected more than 14 days of prices, as many as a window has, found 10"),
        (150, 14, 0.1, "expected windows of 14 days, at least 100 for train, 20 for validation, 20 for holdout; found"),
        (700, 14, 2.7, "found 0 for train, 0 for validation"),
        (700, 1, 0.5, "expected days from 2 to 250, found 1"),
        (700, 14, 0, "expected holdout_years above 0 and below 100, found 0"),
        (700, 14, float("nan"), "expected holdout_years above 0 and below 100, found nan"),
    ],
)
def test_too_few_days_and_senseless_parameters_are_refused(count, days, years, sentence):
    with pytest.raises(windows.UserError, match=sentence):
        windows.make_table(prices(count), days, years)
