import json
import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest

WORKFLOW = Path(__file__).parents[3] / "3_projects" / "workflow"
cache = SimpleNamespace(**runpy.run_path(str(WORKFLOW / "cache.py")))
SHARED = cache.SHARED

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


def unspoilt(run):
    return None


def test_a_run_of_the_same_code_parameters_and_input_stands_in(folder, describe):
    earlier = run(describe())
    assert cache.match([run(describe({"trees": 9})), earlier], describe(), unspoilt) == (earlier, cache.SAME)
    assert describe(name="stock/rf")["cache.key"] != describe()["cache.key"], "the steps of two workflows differ"
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "train.cpython-311.pyc").write_bytes(b"x")
    (folder / ".DS_Store").write_bytes(b"x")
    for name in (".ipynb_checkpoints", "output"):
        (folder / name).mkdir()
        (folder / name / "train.py").write_bytes(b"x")
    assert cache.match([earlier], describe(), unspoilt) == (earlier, cache.SAME)


CHANGES = {
    "its input changed: data": {"inputs": {"data": "d2"}},
    "its input changed: lr (new)": {"inputs": {"data": "d1", "lr": "r7"}},
    "its input changed: data (gone)": {"inputs": {}},
    "depth changed from None to 3": {"parameters": {"trees": 8, "depth": 3}},
    "entry point changed from main to other": {"entry_point": "other"},
    "locked requirements changed from aaaa to bbbb": {"surroundings": LOCAL | {"locked requirements": "bbbb"}},
    "trees changed from 8 to 16; its input changed: data": {"parameters": {"trees": 16}, "inputs": {"data": "d2"}},
}


@pytest.mark.parametrize("reason", CHANGES)
def test_the_reason_names_what_changed_since_the_newest_finished_run(describe, reason):
    runs = [run(describe({"trees": 0}), "FAILED"), run(describe()), run(describe({"trees": 99}))]
    assert cache.match(runs, describe(**CHANGES[reason]), unspoilt) == (None, reason)


def test_the_reason_names_the_files_that_changed(folder, describe):
    earlier = run(describe())
    (folder / "train.py").write_text("print(2)")
    assert cache.match([earlier], describe(), unspoilt) == (None, "code changed: train.py")
    (folder / "train.py").unlink()
    (folder / "parts").mkdir()
    (folder / "parts" / "fit.py").write_text("print(1)")
    (folder / "MLproject").write_text("name: y")
    reason = "code changed: MLproject, parts/fit.py (new), train.py (gone)"
    assert cache.match([earlier], describe(), unspoilt)[1] == reason


def test_a_file_that_is_read_counts_by_its_content(tmp_path, describe, monkeypatch):
    csv = tmp_path / "power.csv"
    csv.write_text("1")
    earlier = run(describe(files=(csv, csv.with_name("absent.json"))))
    csv.write_text("1")
    assert cache.match([earlier], describe(files=(csv,)), unspoilt)[0] is earlier
    csv.write_text("2")
    assert cache.match([earlier], describe(files=(csv,)), unspoilt) == (None, "its input changed: power.csv")
    csv.unlink()
    assert cache.match([earlier], describe(files=(csv,)), unspoilt) == (None, "its input changed: power.csv (gone)")
    csv.write_text("1")
    monkeypatch.setattr(Path, "read_bytes", lambda path: (_ for _ in ()).throw(PermissionError(path)))
    assert cache.digests_of_files([csv]) == {"power.csv": "unreadable"}, "the step will say why"


@pytest.mark.parametrize("text", ["", "[]", '{"trees": "8", "dep'])
def test_a_tag_that_was_overwritten_or_cut_off_is_no_obstacle(describe, text):
    earlier = run(describe(), **{"cache.parameters": text})
    reason = "entry point changed from None to main; trees changed from None to 9"
    assert cache.match([earlier], describe({"trees": 9}), unspoilt) == (None, reason)


def test_a_dry_run_names_what_is_known_of_a_step_behind_one_that_would_run(describe):
    def foreseen(*runs) -> str:
        return cache.match(list(runs), describe({"trees": 9}, inputs={}), unspoilt, ["data"])[1]

    change = "its input may change: data would run"
    assert foreseen(run(describe({"trees": 9}))) == change
    assert foreseen(run(describe())) == f"trees changed from 8 to 9; {change}"
    assert foreseen(run(describe(), "KILLED")) == "its last run was stopped before its end (run r1)"
    assert foreseen() == "no workflow has run it yet"


@pytest.mark.parametrize(
    ("status", "error", "reason"),
    [
        ("FAILED", {"error": "too few trees"}, "its last run failed (run r1: too few trees)"),
        ("FAILED", {}, "its last run failed (run r1: what it printed says why)"),
        ("KILLED", {}, "its last run was stopped before its end (run r1)"),
        ("RUNNING", {}, "run r1 has started and has not ended"),
    ],
)
def test_a_run_that_did_not_end_well_is_named_unless_an_earlier_one_did(describe, status, error, reason):
    last, other = run(describe(), status, **error), run(describe({"trees": 9}), run_id="r2")
    assert cache.match([last, other], describe(), unspoilt) == (None, reason)
    earlier = run(describe(), run_id="r3")
    assert cache.match([last, other, earlier], describe(), unspoilt) == (earlier, cache.SAME)


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
        (None, "the version was not recorded"),
    ],
)
def test_a_state_that_somebody_else_has_changed_is_told(describe, before, reason):
    earlier = run(describe(), **({"cache.state": json.dumps(before)} if before else {}))
    assert cache.moved(earlier, {"the version": "4"}) == reason


def files_of(folder, step) -> set[str]:
    return set(json.loads(cache.describe("x", step, folder, {}, LOCAL)["cache.files"]))


def test_a_step_is_made_of_what_it_imports_from_its_folder_and_of_the_shared_package(folder, tmp_path):
    (folder / "train.py").write_text("import fit\nfrom json import dumps")
    (folder / "fit.py").write_text("from forecasting.baselines import persistence\nfrom forecasting import metrics")
    (folder / "other.py").write_text("from forecasting import ledger")
    own = {"MLproject", "train.py", "fit.py"}
    shared = {"forecasting/__init__.py", "forecasting/baselines.py", "forecasting/metrics.py"}
    assert files_of(folder, cache.Step("x", code=("train.py",))) == own | shared
    assert files_of(folder, cache.Step("x")) > own | shared | {"other.py", "forecasting/ledger.py"}
    outside = tmp_path / "outside.py"
    outside.write_text("import forecasting.subject")
    assert "forecasting/subject.py" in files_of(folder, cache.Step("x", code=("MLproject",), files=(outside,)))
    (folder / "fit.py").write_text("this is no Python")
    assert files_of(folder, cache.Step("x", code=("train.py",))) == own - {"fit.py"}


def test_a_changed_module_of_the_package_reruns_what_imports_it_and_nothing_else():
    def uses(project: str, module: str) -> bool:
        folder = WORKFLOW.parent / project
        return f"forecasting/{module}.py" in cache.digests_of_code(folder, cache.Step(project))

    assert uses("registry", "baselines")
    assert uses("registry", "ledger")
    for lesson in ("data", "lr", "rf", "keras", "boosting"):
        assert not any(uses(lesson, path.stem) for path in SHARED.glob("*.py")), lesson
    assert uses("stock", "metrics")
    stock = WORKFLOW.parent / "stock"
    assert "forecasting/metrics.py" not in cache.digests_of_code(stock, cache.Step("stock", code=("ingest.py",)))


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
    step = cache.Step("x", runs={"candidates": ("lr", "rf"), "data_run": ("data",)}, after=("validate",))
    assert step.needs == {"lr", "rf", "data", "validate"}
