import re

import numpy as np
import pandas as pd
import pytest
from ingest import make_table as table_of_csv

from report import summary
from report.facts import measure
from report.production import TARGETS
from report.week import first_hour, hours_of


@pytest.fixture(scope="module")
def basis(make_table, make_basis):
    return make_basis(make_table("2013-01-01", "2016-12-31 23:00", "2016-01-01"))


def words(basis, week: str) -> str:
    return "\n".join(summary.paragraphs(measure(basis, first_hour(week))))


def hours(table: pd.DataFrame, week: str) -> pd.DatetimeIndex:
    return hours_of(table, first_hour(week)).index


def test_a_windless_week_is_called_so(table, make_basis):
    table.loc[hours(table, "2016-W20"), "wind_GW"] = 0.0
    text = words(make_basis(table), "2016-W20")
    assert "Wind gave 0 GWh, 0.00 GW on average. That is far less than around this week in 2013, 2014 and 2015" in text
    assert "It is the lowest mean of the 176 full weeks so far." in text
    assert "The highest hour was Monday 00:00 UTC with 0.00 GW." in text
    assert "In 168 hours the wind gave less than 1 GW." in text
    assert "nan" not in text


def test_a_week_of_record_is_called_so_and_the_next_one_is_not(table, make_basis):
    table.loc[hours(table, "2016-W20"), "wind_GW"] = 40.0
    table.loc[first_hour("2016-W20") + pd.Timedelta("2D3h"), "wind_GW"] = 45.5
    basis = make_basis(table)
    text = words(basis, "2016-W20")
    assert "Wind gave 6.73 TWh, 40.03 GW on average. That is far more than" in text
    assert "It is the highest mean of the 176 full weeks so far." in text
    assert "The highest hour was Wednesday 03:00 UTC with 45.50 GW, the highest since the data begin." in text
    assert "It is the highest mean" not in words(basis, "2016-W19")
    assert "since the data begin" not in words(basis, "2016-W21")


def test_nothing_is_a_record_in_the_first_year(table, make_basis):
    table.loc[hours(table, "2013-W20"), "wind_GW"] = 40.0
    text = words(make_basis(table), "2013-W20")
    assert "mean of the" not in text
    assert "since the data begin" not in text


def test_a_week_with_missing_hours_says_how_many_and_counts_only_the_others(table, make_basis):
    gap = hours(table, "2016-W20")[30:37]
    table.loc[gap, "repaired"] = True
    table.loc[gap, "wind_GW"] = 99.0
    text = words(make_basis(table), "2016-W20")
    assert "Of the 168 hours of the week, 161 were recorded (7 were filled in from the hours around)" in text
    assert "in the 161 hours that were recorded" in text
    assert "99.00" not in text


def test_a_week_of_which_nothing_was_recorded_says_so(table, make_basis):
    table.loc[hours(table, "2016-W20"), "repaired"] = True
    text = words(make_basis(table), "2016-W20")
    assert "Wind: nothing was recorded." in text
    assert "How far off the model was can't be known" in text
    assert "nan" not in text
    assert "For week 2016-W21 the model predicts" in text


def test_the_first_week_has_nothing_before_it_and_the_last_one_nothing_after_it(basis):
    first, last = words(basis, "2013-W01"), words(basis, "2016-W52")
    for text in (first, last):
        assert "Of the 168 hours of the week, 144 were recorded (24 are outside of the data)" in text
        assert "nan" not in text
    assert "That is" not in first
    assert "144 hours of this week are of the time that the model was trained on" in first
    assert "The data hold no weather for that week yet, so there is nothing to predict from." in last


def test_the_week_before_the_last_one_predicts_the_hours_that_have_weather(basis):
    text = words(basis, "2016-W51")
    assert "For week 2016-W52 (of which the data hold the weather of 144 hours) the model predicts" in text


def test_week_53_is_compared_with_the_last_weeks_of_other_years(basis):
    text = words(basis, "2015-W53")
    assert "around this week in 2013 and 2014" in text
    assert "For week 2016-W01 the model predicts" in text


@pytest.mark.parametrize("week", ["2016-W12", "2016-W43"])
def test_a_week_in_which_the_clocks_change_is_like_any_other(basis, week):
    assert "All 168 hours of the week were recorded." in words(basis, week)


def test_a_model_that_is_beaten_by_a_naive_forecast_is_told_so(table, make_basis):
    chosen = hours(table, "2016-W20")
    table.loc[chosen.union(chosen - pd.Timedelta("1D")), "wind_GW"] = 5.0
    text = words(make_basis(table), "2016-W20")
    assert "It was not better than persistence for wind." in text


def test_a_few_words_stand_for_how_two_powers_compare():
    for value, said in ((0, "far less than"), (0.49, "far less than"), (0.5, "less than"), (0.9, "about as much as")):
        assert summary.compared(value, 1.0) == said
    for value, said in ((1.1, "about as much as"), (1.11, "more than"), (1.5, "more than"), (1.51, "far more than")):
        assert summary.compared(value, 1.0) == said
    assert summary.compared(0.0, 0.0) == "about as much as"


# What a sentence says, found in the text and computed again from the table, in another way than report/facts.py does.
COMPARED = r"(far more than|more than|about as much as|less than|far less than)"


def weekly_means(table: pd.DataFrame) -> dict[pd.Timestamp, pd.Series]:
    """Return the means of the weeks of which at least 160 hours were recorded."""
    recorded = table.loc[~table["repaired"], TARGETS]
    year, number = recorded.index.isocalendar().year, recorded.index.isocalendar().week
    weeks = {
        pd.Timestamp.fromisocalendar(*name, 1).tz_localize("UTC"): part
        for name, part in recorded.groupby([year, number])
    }
    return {monday: hours.mean() for monday, hours in weeks.items() if len(hours) >= 160}


def check_statements(text: str, table: pd.DataFrame, means: dict, predicted: pd.DataFrame, start: pd.Timestamp) -> int:
    """Check each statement of a text against the table, and return how many there were."""
    end, found = start + pd.Timedelta(days=7), 0
    inside = (table.index >= start) & (table.index < end)
    week = table[inside & ~table["repaired"].to_numpy()]
    following = predicted[(predicted.index >= end) & (predicted.index < end + pd.Timedelta(days=7))]
    for name, target in (("Solar", "solar_GW"), ("Wind", "wind_GW")):
        about = re.search(rf"^{name} gave .*$", text, re.MULTILINE)[0]
        amount, unit, mean = re.match(rf"{name} gave ([\d.]+) (GWh|TWh).*?, ([\d.]+) GW on average", about).groups()
        total = week[target].to_numpy().sum() / (1000 if unit == "TWh" else 1)
        assert float(amount) == pytest.approx(total, abs=0.51 if unit == "GWh" else 0.0051)
        assert float(mean) == pytest.approx(week[target].to_numpy().mean(), abs=0.0051)
        for which, pick in (("highest hour", np.max), ("lowest", np.min)):
            if said := re.search(rf"The {which} was (\w+ \d\d:\d\d) UTC with ([\d.]+) GW", about):
                value = pick(week[target].to_numpy())
                assert float(said[2]) == pytest.approx(value, abs=0.0051)
                assert said[1] in week.index[week[target] == value].strftime("%A %H:%M")
                found += 1
        before = table.loc[(table.index < start) & ~table["repaired"].to_numpy(), target].max()
        is_record = start - table.index[0] >= pd.Timedelta(weeks=53) and week[target].max() > before
        assert ("the highest since the data begin" in about) == is_record
        calm = int((week[target] < 1).sum())
        assert ([int(n) for n in re.findall(r"In (\d+) hours the wind gave less", about)] == [calm]) == (
            name == "Wind" and calm >= 24
        )
        if said := re.search(rf"That is {COMPARED} around this week in ([\d, and]+) \(([\d.]+) GW\)", about):
            number = min(start.isocalendar().week, 52)
            parts = []
            for year in re.findall(r"\d{4}", said[2]):
                middle = pd.Timestamp.fromisocalendar(int(year), number, 1).tz_localize("UTC")
                assert int(year) < start.isocalendar().year
                around = (table.index >= middle - pd.Timedelta("7D")) & (table.index < middle + pd.Timedelta("14D"))
                parts.append(table.loc[around & ~table["repaired"], target])
            former = pd.concat(parts).mean()
            assert float(said[3]) == pytest.approx(former, abs=0.0051)
            check_comparison(said[1], float(mean), float(said[3]))
            found += 1
        weekly = {monday: values[target] for monday, values in means.items() if monday <= start}
        above, below = (
            (sum(sign * m > sign * weekly[start] for m in weekly.values()) for sign in (1, -1))
            if (start in weekly)
            else (99, 99)
        )
        expected = [f"{['', 'second ', 'third '][above]}highest"] if above < 3 else []
        expected += [f"{['', 'second ', 'third '][below]}lowest"] if below < 3 else []
        said = re.findall(r"It is the ((?:second |third )?(?:highest|lowest)) mean of the (\d+) full weeks", about)
        assert said == [(one, str(len(weekly))) for one in expected] * (len(weekly) >= 53)
        error = (predicted[target] - table[target]).loc[week.index]
        off = re.search(
            rf"([\d.]+) GW for {name.lower()} \((?:([\d.]+) GW too (much|little)|right) in the mean\)", text
        )
        assert float(off[1]) == pytest.approx(np.abs(error.to_numpy()).mean(), abs=0.0051)
        bias = float(off[2] or 0) * (-1 if off[3] == "little" else 1)
        assert bias == pytest.approx(error.to_numpy().mean(), abs=0.0051)
        beaten = re.search(r"It was ((?:not )?better than .*?)\.", text)[1]
        day_before = (table[target].shift(24) - table[target]).loc[week.index].dropna().abs()
        lost = not error.abs().loc[day_before.index].mean() < day_before.mean()
        assert (f"persistence for {name.lower()}" in beaten) == lost
        coming = re.search(
            rf"([\d.]+) GW of {name.lower()} on average, {COMPARED} this week, with its highest hour on (.*?) UTC "
            r"\(([\d.]+) GW\)",
            text,
        )
        assert (coming is not None) == (len(following) > 0)
        if coming:
            assert float(coming[1]) == pytest.approx(following[target].mean(), abs=0.0051)
            check_comparison(coming[2], float(coming[1]), float(mean))
            peak = following[target].max()
            assert float(coming[4]) == pytest.approx(peak, abs=0.0051)
            assert coming[3] in following.index[following[target] == peak].strftime("%A %H:%M")
            found += 1
        found += 4
    trained = [int(n) for n in re.findall(r"(\d+) hours of this week are of the time that the model was", text)]
    assert trained == [count for count in [int((table.loc[inside, "split"] != "holdout").sum())] if count]
    recorded = [int(n) for n in re.findall(r"(?:All|week,) (\d+) (?:hours of|were)", text)]
    assert recorded == [len(week)]
    return found


def check_comparison(said: str, value: float, other: float) -> None:
    """Check the words against two numbers as they are printed."""
    share = value / other if other else 1.0
    bounds = {"far less than": (0, 0.5), "less than": (0.5, 0.9), "about as much as": (0.9, 1.1)}
    bounds |= {"more than": (1.1, 1.5), "far more than": (1.5, np.inf)}
    low, high = bounds[said]
    assert low - 1e-9 <= share <= high + 1e-9


@pytest.mark.slow
@pytest.mark.parametrize(("source", "weeks"), [("sample", 209), ("real", 157)])
def test_every_statement_agrees_with_the_numbers_in_every_week(source, weeks, request, root, make_basis):
    path = request.getfixturevalue("real_data") if source == "real" else root / "1_starting_point" / "germany.csv"
    table, _ = table_of_csv(path, 365)
    chance = np.random.default_rng(5)
    table.loc[chance.random(len(table)) < 0.003, "repaired"] = True
    basis, means = make_basis(table), weekly_means(table)
    first = table.index[0].normalize() - pd.Timedelta(days=1) * table.index[0].day_of_week
    starts = pd.date_range(first, table.index[-1], freq="7D")
    statements = 0
    for start in starts:
        text = "\n".join(summary.paragraphs(measure(basis, start)))
        statements += check_statements(text, table, means, basis.predicted, start)
    assert len(starts) == weeks
    assert statements > 12 * len(starts)
    assert list(basis.predicted.columns) == TARGETS
