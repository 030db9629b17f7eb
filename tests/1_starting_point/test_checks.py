"""Take the data away, or what they say of themselves, and read the hints."""

import json
import shutil
from types import SimpleNamespace

import pytest

from server import check


@pytest.fixture
def chapter(root, tmp_path, monkeypatch) -> SimpleNamespace:
    """Return a copy of the chapter's data, and a function that says how a step stands there."""
    for name in ("checks.py", "germany.csv", "datapackage.json"):
        (tmp_path / "1_starting_point").mkdir(exist_ok=True)
        shutil.copy(root / "1_starting_point" / name, tmp_path / "1_starting_point")
    monkeypatch.setattr(check, "ROOT", tmp_path)
    steps = {step.look.__name__: step for step in check.load.__wrapped__("1")}
    return SimpleNamespace(folder=tmp_path / "1_starting_point", look=lambda name: check.look(steps[name], None))


def test_the_sample_as_it_comes_is_done_and_is_called_simulated(chapter):
    assert chapter.look("sample").status == "done"
    assert chapter.look("label").status == "done"
    assert "Simulated sample" in chapter.look("label").text


def test_a_sample_that_is_away_is_told_from_one_that_lacks_a_column(chapter):
    csv = chapter.folder / "germany.csv"
    csv.write_text(csv.read_text().replace("wind_GW", "wind", 1))
    assert chapter.look("sample").wrong
    assert "has no column `wind_GW`" in chapter.look("sample").text
    csv.unlink()
    assert not chapter.look("sample").wrong
    assert "germany.csv is not there" in chapter.look("sample").text
    assert chapter.look("sample").line == "python 1_starting_point/simulate.py"


def test_data_without_a_label_are_not_done(chapter):
    package = chapter.folder / "datapackage.json"
    package.unlink()
    for text in (None, "no json", "{}", "[]", '{"resources": []}'):
        if text is not None:
            package.write_text(text)
        assert chapter.look("label").status == "not yet", text
        assert "nobody can tell whether the data are real" in chapter.look("label").text


def test_real_data_are_needed_by_nobody_and_named_when_they_are_there(chapter):
    assert chapter.look("real_data").status == "skipped"
    assert "python 1_starting_point/download.py" in chapter.look("real_data").text
    (chapter.folder / "opsd").mkdir()
    package = {"resources": [{"path": "germany.csv", "title": "Open Power System Data"}]}
    (chapter.folder / "opsd" / "datapackage.json").write_text(json.dumps(package))
    assert chapter.look("real_data").status == "done"
    assert chapter.look("real_data").text == "Open Power System Data"
