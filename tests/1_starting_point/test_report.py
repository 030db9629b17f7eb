"""Type the README's command for the report, and open the page."""

import os
import re
import subprocess

import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression


@pytest.fixture(scope="module")
def report(copy_chapter, typed):
    """Return the page that the command writes in a copy of the chapter."""
    chapter = copy_chapter()
    before = {path for path in chapter.rglob("*") if path.is_file()}
    command = typed("1_starting_point/report/create_report.py")
    done = subprocess.run(
        command, cwd=chapter.parent, env=os.environ, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    (page,) = {path for path in chapter.rglob("*") if path.is_file()} - before
    assert done.stdout == f"Written: {page}\n"
    return page


def test_the_page_says_that_the_data_are_simulated_and_shows_no_code(report):
    page = report.read_text(encoding="utf-8")
    assert "<h1" in page
    assert "19 to 25 December 2016" in page
    assert "<strong>Simulated data</strong>" in page
    assert "chaos" not in page
    assert "import pandas" not in page
    assert "read_csv" not in page


def test_the_numbers_are_those_of_a_regression_that_has_learnt_the_week_itself(report, root):
    table = pd.read_csv(root / "1_starting_point" / "germany.csv", index_col=0, parse_dates=True)
    week, weather = table["2016-12-19":"2016-12-25"], table.columns[2:]
    targets = ["solar_GW", "wind_GW"]
    power = LinearRegression().fit(table[weather], table[targets]).predict(week[weather])
    error = (power - week[targets]).abs().mean()
    page = report.read_text(encoding="utf-8")
    for target in targets:
        row = re.search(rf"<th>{target}</th>\s*(.*?)</tr>", page, re.DOTALL)[1]
        values = [float(value) for value in re.findall(r"<td>([\d.]+)</td>", row)]
        assert values == pytest.approx([week[target].mean(), week[target].max(), error[target]], abs=0.006)


def test_the_page_opens_without_a_network_and_shows_both_figures(report, tab):
    tab.goto(report.as_uri())
    widths = tab.evaluate("Array.from(document.images, image => image.naturalWidth)")
    assert tab.locator("h1").count() == 1
    assert len(widths) == 2
    assert min(widths) > 500
