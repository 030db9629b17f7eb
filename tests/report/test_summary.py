import re

import numpy as np
import pandas as pd
import pytest
from ingest import make_table as frame_of_csv

from report import summary
from report.week import first_hour, hours_of
from report.week_statistics import week_statistics

TARGETS = ["solar_GW", "wind_GW"]


@pytest.fixture(scope="module")
def inputs(make_table, make_inputs):
    return make_inputs(make_table("2013-01-01", "2016-12-31 23:00", "2016-01-01"))


def words(inputs, week: str) -> str:
    return "\n".join(summary.paragraphs(week_statistics(inputs, first_hour(week))))


def hours(table, week: str) -> pd.DatetimeIndex:
    return hours_of(table.frame, first_hour(week)).index


def test_a_week_with_missing_hours_says_how_many_and_counts_only_the_others(table, make_inputs):
    gap = hours(table, "2016-W20")[30:37]
    table.frame.loc[gap, "repaired"] = True
    table.frame.loc[gap, "wind_GW"] = 99.0
    table.frame.loc[hours(table, "2016-W30"), "repaired"] = True
    inputs = make_inputs(table)
    text = words(inputs, "2016-W20")
    assert "Of the 168 hours of the week, 161 were recorded (7 were filled in from the neighbouring hours)" in text
    assert "in the 161 hours that were recorded" in text
    assert "99.00" not in text
    text = words(inputs, "2016-W30")
    assert "Wind: nothing was recorded." in text
    assert "The errors of the model are unknown" in text
    assert "nan" not in text
    assert "For week 2016-W31 the model predicts" in text


def test_the_first_week_has_nothing_before_it_and_the_last_one_nothing_after_it(inputs):
    first, last = words(inputs, "2013-W01"), words(inputs, "2016-W52")
    for text in (first, last):
        assert "Of the 168 hours of the week, 144 were recorded (24 are outside the data)" in text
        assert "nan" not in text
    assert "That is" not in first
    assert "The model has learnt from 144 hours of this week" in first
    assert "The data contain no weather for that week yet, so there is nothing to predict from." in last
    predicted = "For week 2016-W52 (the data contain the weather of 144 of its hours) the model predicts"
    assert predicted in words(inputs, "2016-W51")


def test_week_53_is_compared_with_the_last_weeks_of_other_years(inputs):
    text = words(inputs, "2015-W53")
    assert "around this week in 2013 and 2014" in text
    assert "For week 2016-W01 the model predicts" in text


def test_words_compare_two_values_as_they_are_printed():
    for value, said in ((0, "far less than"), (0.49, "far less than"), (0.5, "less than"), (0.9, "about as much as")):
        assert summary.compared(value, 1.0) == said
    for value, said in ((1.1, "about as much as"), (1.11, "more than"), (1.5, "more than"), (1.51, "far more than")):
        assert summary.compared(value, 1.0) == said
    assert summary.compared(0.0, 0.0) == "about as much as"


def test_hours_without_a_range_do_not_flatter_it(make_inputs, table):
    inputs, start = make_inputs(table, ranges=True), first_hour("2016-W51")
    week = hours_of(inputs.predicted.join(table.frame["solar_GW"].rename("actual")), start)
    lit = week[week["solar_GW_q90"] > 0]
    assert 0 < len(lit) < len(week)
    inside = lit["actual"].between(lit["solar_GW_q10"], lit["solar_GW_q90"]).mean()
    assert week_statistics(inputs, start).targets[0].inside == pytest.approx(inside)


# What a sentence says, found in the text and computed again from the table, in another way than the report does.
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
        about = re.search(rf"^{name}: .*$", text, re.MULTILINE)[0]
        amount, unit, mean = re.match(rf"{name}: ([\d.]+) (GWh|TWh).*?, ([\d.]+) GW on average", about).groups()
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
    trained = [int(n) for n in re.findall(r"The model has learnt from (\d+) hours of this week", text)]
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
def test_every_statement_agrees_with_the_numbers(source, weeks, request, root, table_of, make_inputs):
    path = request.getfixturevalue("real_data") if source == "real" else root / "1_starting_point" / "germany.csv"
    table, _ = frame_of_csv(path, 365)
    chance = np.random.default_rng(5)
    table.loc[chance.random(len(table)) < 0.003, "repaired"] = True
    inputs, means = make_inputs(table_of(table)), weekly_means(table)
    first = table.index[0].normalize() - pd.Timedelta(days=1) * table.index[0].day_of_week
    starts = pd.date_range(first, table.index[-1], freq="7D")
    assert len(starts) == weeks
    starts = starts[[*range(0, weeks - 1, 4), -1]]  # of four weeks one, and those at the ends
    statements = 0
    for start in starts:
        text = "\n".join(summary.paragraphs(week_statistics(inputs, start)))
        statements += check_statements(text, table, means, inputs.predicted, start)
    assert statements > 12 * len(starts)
    assert list(inputs.predicted.columns) == TARGETS
