import importlib.util
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

PATH = Path(__file__).parents[3] / "3_projects" / "workflow" / "cache.py"
spec = importlib.util.spec_from_file_location("workflow_cache", PATH)
cache = sys.modules["workflow_cache"] = importlib.util.module_from_spec(spec)  # its dataclass looks itself up there
spec.loader.exec_module(cache)

LOCAL = {"environment manager": "local", "Python": "3.11", "locked requirements": "aaaa"}


@pytest.fixture
def folder(tmp_path) -> Path:
    folder = tmp_path / "rf"
    folder.mkdir()
    (folder / "train.py").write_text("print(1)")
    (folder / "MLproject").write_text("name: x")
    return folder


@pytest.fixture
def describe(folder):
    """Return a function that describes a step of the project in the folder."""

    def tags(parameters=None, inputs=None, surroundings=None, entry_point="main", name="workflow/rf", files=()):
        step = cache.Step("x", entry_point, parameters=parameters or {"trees": 8}, files=files)
        return cache.describe(name, step, folder, {"data": "d1"} if inputs is None else inputs, surroundings or LOCAL)

    return tags


def run(tags, status="FINISHED", run_id="r1", **more):
    return SimpleNamespace(data=SimpleNamespace(tags=tags | more), info=SimpleNamespace(status=status, run_id=run_id))


def kept(run):
    return None


def test_a_run_of_the_same_code_parameters_and_input_stands_in(folder, describe):
    earlier = run(describe())
    assert cache.match([run(describe({"trees": 9})), earlier], describe(), kept) == (earlier, cache.SAME)
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "train.cpython-311.pyc").write_bytes(b"x")
    (folder / ".DS_Store").write_bytes(b"x")
    (folder / ".ipynb_checkpoints").mkdir()
    (folder / ".ipynb_checkpoints" / "train.py").write_bytes(b"x")
    assert cache.match([earlier], describe(), kept) == (earlier, cache.SAME)


def test_a_whole_number_is_the_same_with_and_without_a_point(describe):
    assert describe({"days": 365.0}) == describe({"days": 365})
    assert describe({"days": 0.5}) != describe({"days": 0})


def test_a_step_without_an_earlier_run_has_to_run(describe):
    assert cache.match([], describe(), kept) == (None, "no workflow has run it yet")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"inputs": {"data": "d2"}}, "its input changed: data"),
        ({"inputs": {"data": "d1", "lr": "r7"}}, "its input changed: lr (new)"),
        ({"inputs": {}}, "its input changed: data (gone)"),
        ({"parameters": {"trees": 16}}, "trees changed from 8 to 16"),
        ({"parameters": {"trees": 8, "depth": 3}}, "depth changed from None to 3"),
        ({"entry_point": "other"}, "entry point changed from main to other"),
        ({"surroundings": LOCAL | {"Python": "3.12"}}, "Python changed from 3.11 to 3.12"),
        (
            {"surroundings": LOCAL | {"locked requirements": "bbbb"}},
            "locked requirements changed from aaaa to bbbb",
        ),
        (
            {"parameters": {"trees": 16}, "inputs": {"data": "d2"}},
            "trees changed from 8 to 16; its input changed: data",
        ),
    ],
)
def test_the_reason_names_what_changed_since_the_newest_finished_run(describe, change, reason):
    runs = [run(describe({"trees": 0}), "FAILED"), run(describe()), run(describe({"trees": 99}))]
    assert cache.match(runs, describe(**change), kept) == (None, reason)


def test_the_reason_names_the_files_that_changed(folder, describe):
    earlier = run(describe())
    (folder / "train.py").write_text("print(2)")
    assert cache.match([earlier], describe(), kept) == (None, "code changed: train.py")
    (folder / "train.py").unlink()
    (folder / "parts").mkdir()
    (folder / "parts" / "fit.py").write_text("print(1)")
    (folder / "MLproject").write_text("name: y")
    assert cache.match([earlier], describe(), kept)[1] == "code changed: MLproject, parts/fit.py (new), train.py (gone)"


def test_a_step_that_names_its_files_does_not_follow_the_others_of_its_project(folder):
    def tags():
        step = cache.Step("x", code=("train.py", "MLproject"))
        return cache.describe("workflow/rf", step, folder, {}, LOCAL)

    earlier = run(tags())
    (folder / "other.py").write_text("print(3)")
    assert cache.match([earlier], tags(), kept) == (earlier, cache.SAME)
    (folder / "train.py").write_text("print(2)")
    assert cache.match([earlier], tags(), kept) == (None, "code changed: train.py")


def test_a_file_that_is_read_counts_by_its_content(tmp_path, describe):
    csv = tmp_path / "power.csv"
    csv.write_text("1")
    earlier = run(describe(files=(csv, csv.with_name("absent.json"))))
    csv.write_text("1")
    assert cache.match([earlier], describe(files=(csv,)), kept)[0] is earlier
    csv.write_text("2")
    assert cache.match([earlier], describe(files=(csv,)), kept) == (None, "its input changed: power.csv")
    csv.unlink()
    assert cache.match([earlier], describe(files=(csv,)), kept) == (None, "its input changed: power.csv (gone)")


def test_the_steps_of_two_workflows_do_not_stand_in_for_each_other(describe):
    assert describe(name="workflow/data")["cache.key"] != describe(name="stock/data")["cache.key"]


@pytest.mark.parametrize(
    ("status", "error", "reason"),
    [
        ("FAILED", {"error": "too few trees"}, "its last run failed (run r1: too few trees)"),
        ("FAILED", {}, "its last run failed (run r1: what it printed says why)"),
        ("KILLED", {}, "its last run was stopped before its end (run r1)"),
        ("RUNNING", {}, "run r1 has begun it and has not ended"),
    ],
)
def test_a_run_that_did_not_end_well_is_named_and_does_not_stand_in(describe, status, error, reason):
    assert cache.match([run(describe(), status, **error)], describe(), kept) == (None, reason)
    other = run(describe({"trees": 9}), run_id="r2")
    assert cache.match([run(describe(), status, **error), other], describe(), kept) == (None, reason)


def test_a_run_that_ended_well_stands_in_although_a_later_one_failed(describe):
    earlier = run(describe(), run_id="r2")
    assert cache.match([run(describe(), "FAILED"), earlier], describe(), kept) == (earlier, cache.SAME)


def test_a_run_that_has_lost_something_gives_way_to_an_older_one_or_says_what(describe):
    runs = [run(describe(), run_id="r2"), run(describe(), run_id="r1")]
    lost = {"r2": "its model is gone"}.get
    assert cache.match(runs, describe(), lambda run: lost(run.info.run_id)) == (runs[1], cache.SAME)
    assert cache.match(runs[:1], describe(), lambda run: lost(run.info.run_id)) == (None, "its model is gone")


@pytest.mark.parametrize(
    ("before", "reason"),
    [
        ({"the version": "4"}, None),
        ({"the version": "3"}, "the version is 4, and was 3 when it ended"),
        (None, "the version was not noted"),
    ],
)
def test_a_state_that_somebody_else_has_changed_is_told(describe, before, reason):
    earlier = run(describe(), **({"cache.state": json.dumps(before)} if before else {}))
    assert cache.moved(earlier, {"the version": "4"}) == reason


def test_inputs_that_are_not_known_yet_are_not_called_changed(describe):
    changed = cache.changes(run(describe()), describe({"trees": 9}, inputs={}), ["data"])
    assert changed == ["trees changed from 8 to 9"]


def test_however_many_files_a_project_has_its_tags_are_short_enough_for_mlflow(folder, describe):
    for number in range(1000):
        (folder / f"part_{number:04}.py").write_text("1")
    before = run(describe())
    assert max(len(value) for value in before.data.tags.values()) <= 8000
    (folder / "part_0001.py").write_text("2")
    (folder / "part_0999.py").write_text("2")
    expected = "code changed: one of the further files, part_0001.py"
    assert cache.match([before], describe(), kept) == (None, expected)


def test_the_local_environment_is_that_of_the_locked_set_and_any_other_one_the_projects_own(tmp_path):
    lock = tmp_path / "requirements.txt"
    lock.write_text("numpy==1")
    before = cache.environment("local", lock)
    assert before == cache.environment("local", lock)
    lock.write_text("numpy==2")
    assert before != cache.environment("local", lock)
    assert before["locked requirements"] != cache.environment("local", lock)["locked requirements"]
    assert cache.environment("uv", lock) == {"environment manager": "uv"}


def test_a_step_comes_after_those_whose_runs_it_names_and_those_it_says():
    step = cache.Step("x", runs={"candidates": ("lr", "rf"), "data_run": ("data",)}, after=("promote",))
    assert step.needs == {"lr", "rf", "data", "promote"}
