import numpy as np
import pandas as pd
import pytest

from report import verdict
from report.report_inputs import prepare
from report.week import complete_weeks, first_hour, hours_of
from report.week_statistics import week_statistics

WEEK = first_hour("2016-W20")


def spoil(table, make_inputs, factor: float):
    """Return the inputs of a model whose error for wind is a multiple of the usual one in one week."""
    inputs = make_inputs(table)
    model, week = inputs.production.model, hours_of(table.frame, WEEK).index
    error = model.power.loc[week, "wind_GW"] - table.frame.loc[week, "wind_GW"]
    usual = week_statistics(inputs, WEEK).targets[1].judgement
    model.power.loc[week, "wind_GW"] = table.frame.loc[week, "wind_GW"] + error * factor / usual.ratio
    return prepare(table, inputs.production)


def test_the_verdict_grows_worse_with_the_error_the_worse_target_decides_and_a_bad_week_does_not_hide_itself(
    table, make_inputs
):
    levels, limits = [], []
    for factor in (1.0, 1.5, 6.0):
        week = week_statistics(spoil(table, make_inputs, factor), WEEK)
        solar, wind = (one.judgement for one in week.targets)
        assert (wind.ratio > wind.watch) == (wind.level != verdict.AS_EXPECTED)
        assert (wind.ratio > wind.act) == (wind.level == verdict.ACT)
        levels.append(wind.level)
        limits.append(wind.watch)
    assert (levels[0], levels[2]) == (verdict.AS_EXPECTED, verdict.ACT)
    assert (solar.level, week.verdict) == (verdict.AS_EXPECTED, verdict.ACT)
    assert limits[2] == pytest.approx(limits[0], rel=0.1)
    assert verdict.worst([verdict.UNJUDGED, verdict.AS_EXPECTED]) == verdict.AS_EXPECTED
    assert verdict.worst([verdict.WATCH, verdict.UNJUDGED]) == verdict.WATCH


def test_an_error_is_worth_less_where_such_hours_always_go_wrong():
    """Half of the hours have a power of 20 GW and errors ten times as large as the others, of 2 GW."""
    index = pd.date_range("2016-01-04", periods=52 * 168, freq="h", tz="UTC")
    strong = (np.arange(len(index)) // 168) % 2 == 1
    chance = np.random.default_rng(1)
    predicted = pd.Series(np.where(strong, 20.0, 2.0) + chance.normal(0, 0.01, len(index)), index)
    error = pd.Series(np.where(strong, 2.0, 0.2) * chance.uniform(0.8, 1.2, len(index)), index)
    starts = pd.Series(index[0] + (index - index[0]) // pd.Timedelta("7D") * pd.Timedelta("7D"), index)
    reference = verdict.make_reference(predicted, error, pd.Series(True, index), starts)
    judged = [verdict.judge(reference, start, error[starts == start]) for start in starts.unique()]
    assert [round(one.usual, 1) for one in judged[:2]] == [0.2, 2.0]
    assert max(one.ratio for one in judged) < 1.2
    weak = starts.unique()[0]
    assert verdict.judge(reference, weak, 2 * error[starts == weak]).level == verdict.ACT


def test_too_few_hours_too_short_a_holdout_and_a_model_without_errors_are_not_judged(table, make_table, make_inputs):
    short = make_inputs(make_table("2016-01-01", "2016-06-30 23:00", "2016-05-30"))
    week = week_statistics(short, first_hour("2016-W24"))
    assert week.verdict == verdict.UNJUDGED
    assert "the holdout has only 4 other weeks to compare with; at least 8 are needed" in week.targets[1].judgement.why
    inputs = make_inputs(table)
    inputs.production.model.power[table.targets] = table.frame[table.targets]
    assert week_statistics(prepare(table, inputs.production), WEEK).verdict == verdict.UNJUDGED
    table.frame.loc[hours_of(table.frame, WEEK).index[:90], "repaired"] = True
    week = week_statistics(make_inputs(table), WEEK)
    assert week.verdict == verdict.UNJUDGED
    assert "only 78 were recorded; at least 84 are needed" in week.targets[0].judgement.why


def test_few_weeks_of_a_holdout_are_a_reason_to_act(table, make_inputs):
    """The model is as good as ever in all of them; the rule names one week in ten and one in a hundred."""
    inputs = make_inputs(table)
    starts = [start for start in complete_weeks(table.frame.index) if start.year == 2016]
    weeks = [week_statistics(inputs, start) for start in starts]
    errors = [verdict.worst([one.judgement.level for one in week.targets]) for week in weeks]
    assert errors.count(verdict.WATCH) <= 0.25 * len(weeks)
    assert [week.verdict for week in weeks].count(verdict.ACT) <= 0.06 * len(weeks)
