import numpy as np
import pandas as pd
import pytest

from report import verdict
from report.facts import measure
from report.production import TARGETS
from report.week import complete_weeks, first_hour, hours_of

WEEK = first_hour("2016-W20")


def levels(basis, start=WEEK) -> list[str]:
    return [power.judgement.level for power in measure(basis, start).powers]


def spoil(table, basis_of, factor: float, start=WEEK):
    """Return the basis of a model that is wrong by so many times more than usual in one week, for wind."""
    basis = basis_of(table)
    model = basis.source.production.model
    week = hours_of(table, start).index
    error = model.power.loc[week, "wind_GW"] - table.loc[week, "wind_GW"]
    usual = measure(basis, start).powers[1].judgement
    model.power.loc[week, "wind_GW"] = table.loc[week, "wind_GW"] + error * factor / usual.ratio
    from report.basis import prepare

    return prepare(basis.source)


def test_the_verdict_grows_worse_with_the_error_and_names_its_limits(table, make_basis):
    found = []
    for factor in (1.0, 1.5, 6.0):
        judgement = measure(spoil(table, make_basis, factor), WEEK).powers[1].judgement
        found.append(judgement.level)
        assert judgement.watch < judgement.act
        assert (judgement.ratio > judgement.watch) == (judgement.level != verdict.AS_EXPECTED)
        assert (judgement.ratio > judgement.act) == (judgement.level == verdict.ACT)
    assert found[0] == verdict.AS_EXPECTED
    assert found[2] == verdict.ACT


def test_the_worse_target_decides(table, make_basis):
    facts = measure(spoil(table, make_basis, 6.0), WEEK)
    assert [power.judgement.level for power in facts.powers] == [verdict.AS_EXPECTED, verdict.ACT]
    assert facts.verdict == verdict.ACT
    assert verdict.worst([verdict.UNJUDGED, verdict.AS_EXPECTED]) == verdict.AS_EXPECTED
    assert verdict.worst([verdict.WATCH, verdict.UNJUDGED]) == verdict.WATCH


def test_a_bad_week_is_not_part_of_what_it_is_compared_with(table, make_basis):
    good, bad = make_basis(table), spoil(table, make_basis, 6.0)
    before, after = (measure(basis, WEEK).powers[1].judgement for basis in (good, bad))
    assert after.watch == pytest.approx(before.watch, rel=0.1)


def test_an_error_is_worth_less_where_such_hours_always_go_wrong():
    """Half of the hours have a power of 20 GW and errors ten times as large as the others, of 2 GW."""
    index = pd.date_range("2016-01-04", periods=52 * 168, freq="h", tz="UTC")
    strong = (np.arange(len(index)) // 168) % 2 == 1
    chance = np.random.default_rng(1)
    predicted = pd.Series(np.where(strong, 20.0, 2.0) + chance.normal(0, 0.01, len(index)), index)
    error = pd.Series(np.where(strong, 2.0, 0.2) * chance.uniform(0.8, 1.2, len(index)), index)
    starts = pd.Series(index[0] + (index - index[0]) // pd.Timedelta("7D") * pd.Timedelta("7D"), index)
    reference = verdict.make_reference(predicted, error, pd.Series(True, index), starts)
    found = [verdict.judge(reference, start, error[starts == start]) for start in starts.unique()]
    assert [round(one.usual, 1) for one in found[:2]] == [0.2, 2.0]
    assert max(one.ratio for one in found) < 1.2
    weak = starts.unique()[0]
    assert verdict.judge(reference, weak, 2 * error[starts == weak]).level == verdict.ACT


def test_too_few_recorded_hours_and_too_short_a_holdout_are_not_judged(table, make_table, make_basis):
    table.loc[hours_of(table, WEEK).index[:90], "repaired"] = True
    facts = measure(make_basis(table), WEEK)
    assert facts.verdict == verdict.UNJUDGED
    assert "only 78 were recorded; at least 84 are needed" in facts.powers[0].judgement.why
    short = make_basis(make_table("2016-01-01", "2016-06-30 23:00", "2016-05-30"))
    facts = measure(short, first_hour("2016-W24"))
    assert facts.verdict == verdict.UNJUDGED
    assert "the holdout has only 4 other weeks to compare with; at least 8 are needed" in facts.powers[1].judgement.why


def test_a_model_without_any_error_is_not_judged(table, make_basis):
    from report.basis import prepare

    basis = make_basis(table)
    basis.source.production.model.power[TARGETS] = table[TARGETS]
    assert measure(prepare(basis.source), WEEK).verdict == verdict.UNJUDGED


def test_few_weeks_of_a_holdout_are_a_reason_to_act(table, make_basis):
    """The model is as good as ever in all of them; the rule names one week in ten and one in a hundred."""
    basis = make_basis(table)
    weeks = [start for start in complete_weeks(table.index) if start.year == 2016]
    found = pd.Series([measure(basis, start).verdict for start in weeks]).value_counts()
    assert found.get(verdict.WATCH, 0) <= 0.25 * len(weeks)
    assert found.get(verdict.ACT, 0) <= 0.06 * len(weeks)


def test_a_forecast_is_compared_with_persistence_and_climatology_of_the_same_hours(table, make_basis):
    basis = make_basis(table)
    for power in measure(basis, WEEK).powers:
        week = table.loc[WEEK : WEEK + pd.Timedelta("167h"), power.target]
        before = table.loc[WEEK - pd.Timedelta("1D") : WEEK + pd.Timedelta("143h"), power.target]
        assert power.naive["persistence"] == pytest.approx(np.abs(week.to_numpy() - before.to_numpy()).mean())
        past = table[table["split"] == "train"]
        error = [
            abs(value - past.loc[(past.index.month == at.month) & (past.index.hour == at.hour), power.target].mean())
            for at, value in week.items()
        ]
        assert power.naive["climatology"] == pytest.approx(np.mean(error))
