import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd

PATH = Path(__file__).parents[2] / "report" / "figures.py"
spec = importlib.util.spec_from_file_location("figures", PATH)
figures = importlib.util.module_from_spec(spec)
spec.loader.exec_module(figures)


def table(first: str, last: str) -> pd.DataFrame:
    index = pd.date_range(first, last, freq="h", tz="UTC")
    return pd.DataFrame({"solar_GW": np.arange(len(index), dtype=float)}, index)


def test_every_year_has_a_line_and_the_last_one_is_the_thick_one():
    lines = figures.by_year(table("2013-01-01", "2022-12-31 23:00"), "solar_GW").data
    assert [line.name for line in lines] == [str(year) for year in range(2013, 2023)]
    assert [line.line.width for line in lines] == [1.5] * 9 + [3]


def test_a_line_shows_the_mean_of_the_seven_days_before():
    (line,) = figures.by_year(table("2013-01-01", "2013-01-31 23:00"), "solar_GW").data
    assert [str(day)[5:10] for day in line.x[:2]] == ["01-07", "01-08"]
    assert list(line.y[:2]) == [np.arange(168).mean(), np.arange(24, 192).mean()]


def test_the_years_share_one_calendar_in_which_29_february_has_its_place():
    lines = figures.by_year(table("2015-02-01", "2016-03-31 23:00"), "solar_GW").data
    assert {str(day)[:4] for line in lines for day in line.x} == {"2000"}
    assert any(str(day)[5:10] == "02-29" for day in lines[1].x)
