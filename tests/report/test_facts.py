import pandas as pd
import pytest

from report.facts import measure


def test_hours_without_a_range_do_not_flatter_it(make_basis, table):
    basis = make_basis(table, ranges=True)
    last = table.index[-1].normalize()
    start = last - pd.Timedelta(days=last.day_of_week + 7)  # the last whole week
    week = basis.predicted[start : start + pd.Timedelta(hours=167)].join(table["solar_GW"].rename("recorded"))
    lit = week[week["solar_GW_q90"] > 0]
    assert 0 < len(lit) < len(week)
    inside = lit["recorded"].between(lit["solar_GW_q10"], lit["solar_GW_q90"]).mean()
    assert measure(basis, start).powers[0].inside == pytest.approx(inside)
