"""The README's list "What is wrong here" points at what is really there, and what it claims can be measured."""

import re
import runpy

import nbformat
import numpy as np
import pytest
from notebooks import code_cells

REFERENCE = re.compile(r'`([\w/]+\.(?:ipynb|py))`(?:\s+\[(\d+)\]|\s+"([^"]+)")?:\s+`([^`]+)`')
POINT = re.compile(r"^\d+\. \*\*.*?(?=^\d+\. |\Z)", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def chapter(root):
    return root / "1_starting_point"


@pytest.fixture(scope="module")
def readme(chapter):
    return (chapter / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def points(readme):
    """Return the points of the list, each as text."""
    section = readme.split("\n## What is wrong here\n")[1].split("\n## ")[0]
    return POINT.findall(section)


@pytest.fixture
def run_cells(monkeypatch):
    """Return a function that runs the first code cells of a notebook in its folder, and returns their names."""

    def run(path, count):
        monkeypatch.chdir(path.parent)
        names = {}
        for cell in code_cells(path)[:count]:
            exec(cell.source, names)
        return names

    return run


def text_under(path, heading):
    """Return the text cell of a notebook whose heading begins so."""
    cells = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown"]
    (found,) = (source for source in cells if source.lstrip("# ").startswith(heading))
    return found


def test_each_point_says_where_it_is_and_in_which_chapter_it_is_fixed(points):
    assert len(points) >= 8
    assert [int(point.split(".")[0]) for point in points] == list(range(1, len(points) + 1))
    for point in points:
        where, fixed = re.split(r"Fixed in chapter [23]: ", point.split("Where: ")[1])
        # Nothing is left of the places but commas and a full stop, so none escapes the test below by being misspelt.
        assert re.sub(r"[\s,.]", "", REFERENCE.sub("", where)) == "", where
        assert fixed.strip()


def test_each_place_holds_what_the_list_quotes_from_it(points, chapter):
    for point in points:
        for name, number, heading, quoted in REFERENCE.findall(point):
            path = chapter / name
            if number:
                place = code_cells(path)[int(number) - 1].source
            elif heading:
                place = text_under(path, heading)
            else:
                assert path.suffix == ".py", f"{name}: which cell?"
                place = path.read_text(encoding="utf-8")
            assert quoted in place, f"{name} [{number or heading}] does not hold {quoted}"


def test_the_files_that_the_readme_names_are_there(points, readme, chapter, root):
    fixes = " ".join(point.split("Fixed in chapter")[1] for point in points)
    fixed_by = {name for name in re.findall(r"`([^`]+)`", fixes) if "/" in name}
    around = re.sub("\n## What is wrong here\n.*?\n## ", "", readme, flags=re.DOTALL)
    named = set(re.findall(r"`([\w/]+\.(?:ipynb|py|csv|json))`", around)) - {"opsd/germany_final_v2.csv"}  # made
    assert "3_projects/data" in fixed_by
    assert {"model_rf.ipynb", "germany.csv"} <= named
    assert [
        path for path in (*(root / name for name in fixed_by), *(chapter / name for name in named)) if not path.exists()
    ] == []


def test_the_one_regression_is_three_models_and_two_of_them_disagree_on_a_week(chapter, readme, run_cells):
    notebook = run_cells(chapter / "model_linreg.ipynb", 4)
    report = run_cells(chapter / "report" / "weekly_report.ipynb", 2)
    dashboard = runpy.run_path(str(chapter / "dashboard" / "app.py"))
    for one, other in ((notebook, report), (notebook, dashboard), (report, dashboard)):
        assert not np.allclose(one["model"].coef_, other["model"].coef_, rtol=1e-4)
    wind = report["df"]["wind_GW"]
    week, month = report["week"].index, wind["2016-12"].index
    first, second, whole = (
        (names["predicted"].loc[hours, "wind_GW"] - wind[hours]).abs().mean()
        for names, hours in ((report, week), (dashboard, week), (dashboard, month))
    )
    text = " ".join(readme.split())
    assert f"For wind, the report is {first:.1f} GW off in that week." in text
    assert f"for the whole month, {whole:.1f} GW; in that week alone it is {second:.1f} GW off." in text


def test_the_helper_of_one_notebook_gives_a_wrong_r2_in_another_without_a_word(chapter, run_cells, capsys):
    names = run_cells(chapter / "model_linreg.ipynb", 5)
    right = capsys.readouterr().out
    helper = code_cells(chapter / "model_rf.ipynb")[3].source.split("pred = ")[0]
    call = code_cells(chapter / "model_linreg.ipynb")[4].source.splitlines()[-1]
    names["TARGETS"] = names["targets"]
    exec(f"{helper}\n{call}", names)
    wrong = capsys.readouterr().out
    for score in ("RMSE", "MAE"):
        found, expected = (float(re.findall(rf"{score} +([\d.]+)", text)[1]) for text in (wrong, right))
        assert found == pytest.approx(expected, abs=0.006)
    assert "r2 0.68" in wrong
    assert "r2   0.758" in right
