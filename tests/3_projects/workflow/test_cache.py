import importlib.util
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

PATH = Path(__file__).parents[3] / "3_projects" / "workflow" / "cache.py"
spec = importlib.util.spec_from_file_location("cache", PATH)
cache = importlib.util.module_from_spec(spec)
spec.loader.exec_module(cache)


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "train.py").write_text("print(1)")
    (tmp_path / "MLproject").write_text("name: x")
    return tmp_path


def run(code="c", parameters=None, digest="i"):
    tags = {"cache.code": code, "cache.input": digest, "cache.parameters": json.dumps(parameters or {"trees": 8})}
    return SimpleNamespace(data=SimpleNamespace(tags=tags))


def description(code="c", parameters=None, digest="i"):
    return run(code, parameters, digest).data.tags


def test_the_digest_of_a_project_changes_with_the_content_of_a_file(folder):
    before = cache.digest_of_project(folder)
    (folder / "train.py").write_text("print(2)")
    assert cache.digest_of_project(folder) != before


def test_the_digest_of_a_project_changes_with_the_name_of_a_file(folder):
    before = cache.digest_of_project(folder)
    (folder / "train.py").rename(folder / "fit.py")
    assert cache.digest_of_project(folder) != before


def test_what_python_leaves_behind_does_not_change_the_digest_of_a_project(folder):
    before = cache.digest_of_project(folder)
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "train.cpython-311.pyc").write_bytes(b"x")
    (folder / ".DS_Store").write_bytes(b"x")
    assert cache.digest_of_project(folder) == before


def test_a_run_with_the_same_code_parameters_and_input_stands_in():
    earlier = run()
    assert cache.match([run(code="other"), earlier], description()) == (earlier, "same code, parameters and input")


def test_a_step_without_an_earlier_run_has_to_run():
    assert cache.match([], description()) == (None, "no workflow has run it yet")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"code": "other"}, "its code changed"),
        ({"digest": "other"}, "its input changed"),
        ({"parameters": {"trees": 16}}, "trees changed from 8 to 16"),
        ({"code": "other", "parameters": {"trees": 16}}, "its code changed; trees changed from 8 to 16"),
    ],
)
def test_the_reason_names_what_changed_since_the_newest_run(change, reason):
    assert cache.match([run(), run(code="older")], description(**change)) == (None, reason)
