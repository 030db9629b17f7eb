import re
import shutil

import mlflow
import pytest
from conftest import SMALL

STEPS = ["data", "lr", "rf", "keras", "registry"]


def said(output: str) -> dict[str, str]:
    """Return the last word on each step."""
    return dict(re.findall(r"^workflow: (\w+): (.*)$", output, re.MULTILINE))


def newest_workflow():
    runs = mlflow.search_runs(
        search_all_experiments=True, filter_string="tags.step = 'workflow'", max_results=1, output_format="list"
    )
    return runs[0]


def test_every_step_runs_the_first_time_and_says_so(workflow):
    lines = said(workflow)
    assert set(lines) == set(STEPS)
    for step in STEPS:
        assert lines[step].startswith("run "), step
        assert lines[step].endswith("no workflow has run it yet"), step


def test_the_steps_are_children_of_the_run_of_the_workflow(workflow):
    client = mlflow.MlflowClient()
    children = {step: client.get_run(line.split()[1]) for step, line in said(workflow).items()}
    parents = {child.data.tags["mlflow.parentRunId"] for child in children.values()}
    assert len(parents) == 1
    parent = client.get_run(parents.pop())
    assert parent.info.status == "FINISHED"
    assert {child.info.status for child in children.values()} == {"FINISHED"}
    for step, line in said(workflow).items():
        assert parent.data.tags[f"step.{step}"] == line
        assert f"**{step}**: {line}" in parent.data.tags["mlflow.note.content"]


def test_nothing_runs_twice_with_the_same_code_parameters_and_input(workflow, mlflow_run, small_csv):
    done = mlflow_run("3_projects/workflow", csv=small_csv, **SMALL)
    assert done.returncode == 0, done.stderr
    first, second = said(workflow), said(done.stdout)
    for step in STEPS:
        assert second[step] == f"reused run {first[step].split()[1]}: same code, parameters and input"


def test_a_changed_parameter_runs_the_step_that_has_it_and_what_follows(workflow, mlflow_run, small_csv):
    done = mlflow_run("3_projects/workflow", csv=small_csv, **{**SMALL, "n_estimators": "9"})
    assert done.returncode == 0, done.stderr
    lines = said(done.stdout)
    assert lines["rf"].endswith("n_estimators changed from 8 to 9")
    assert lines["registry"].endswith("its input changed")
    for step in ("data", "lr", "keras"):
        assert lines[step].startswith("reused run"), step


@pytest.fixture
def other_csv(small_csv, tmp_path):
    """Return the small CSV without its last day, so that no other test has a run on it."""
    lines = small_csv.read_text(encoding="utf-8").splitlines(keepends=True)
    path = tmp_path / "other.csv"
    path.write_text("".join(lines[:-24]), encoding="utf-8")
    return path


def test_a_table_that_is_gone_from_the_store_is_made_again(mlflow_run, other_csv, other_servers):
    options = {"tracking_uri": other_servers.tracking_uri, "csv": other_csv, **SMALL}
    first = mlflow_run("3_projects/workflow", **options)
    assert first.returncode == 0, first.stderr
    store = other_servers.started[0].log.parents[1] / "ftp_root"
    shutil.rmtree(next(store.glob(f"artifacts/*/{said(first.stdout)['data'].split()[1]}")))
    second = mlflow_run("3_projects/workflow", **options)
    assert second.returncode == 0, second.stderr
    assert said(second.stdout)["data"].endswith("its table is gone")
    for step in ("lr", "rf", "keras"):
        assert said(second.stdout)[step].startswith("reused run"), "the new table is equal to the lost one"


def test_the_table_of_a_workflow_is_the_one_to_show_even_when_it_was_reused(workflow, mlflow_run, small_csv, other_csv):
    def newest() -> str:
        runs = mlflow.search_runs(
            search_all_experiments=True,
            filter_string="tags.step = 'data' and attributes.status = 'FINISHED'",
            order_by=["tags.used_at DESC"],
            output_format="list",
        )
        return runs[0].info.run_id

    between = mlflow_run("3_projects/data", csv=other_csv, holdout_days=30)
    assert between.returncode == 0, between.stderr
    assert newest() != said(workflow)["data"].split()[1]
    done = mlflow_run("3_projects/workflow", csv=small_csv, **SMALL)
    assert done.returncode == 0, done.stderr
    assert said(done.stdout)["data"].startswith("reused run")
    assert newest() == said(done.stdout)["data"].split()[2].rstrip(":")


def test_a_failing_step_stops_the_workflow_with_its_own_error(workflow, mlflow_run, tmp_path):
    broken = tmp_path / "broken.csv"
    broken.write_text("utc_timestamp,solar_GW\n")
    done = mlflow_run("3_projects/workflow", csv=broken, **SMALL)
    assert done.returncode != 0
    assert f"workflow: data: {broken}: column 'wind_GW' is missing" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert set(said(done.stdout)) == set()
    parent = newest_workflow()
    assert parent.info.status == "FAILED"
    assert "column 'wind_GW' is missing" in parent.data.tags["error"]


def test_a_failing_model_stops_the_workflow_before_the_registry(workflow, mlflow_run, small_csv):
    done = mlflow_run("3_projects/workflow", csv=small_csv, **{**SMALL, "n_estimators": "0"})
    assert done.returncode != 0
    assert re.search(r"workflow: rf: .* failed; its output is above", done.stderr)
    assert "registry" not in said(done.stdout)
    assert newest_workflow().info.status == "FAILED"


@pytest.mark.slow
@pytest.mark.parametrize("series", ["the shipped sample", "the real data"])
def test_network_forest_and_regression_keep_their_order_and_beat_the_naive_forecasts(
    series, request, mlflow_run, other_servers, root
):
    csv = request.getfixturevalue("real_data") if series == "the real data" else root / "1_starting_point/germany.csv"
    done = mlflow_run("3_projects/workflow", experiment=series, tracking_uri=other_servers.tracking_uri, csv=csv)
    assert done.returncode == 0, done.stderr
    rows = re.findall(r"^ *(\w+)(?: \(version \d+\))? +([\d.]+) +([\d.]+) +([\d.]+)$", done.stdout, re.MULTILINE)
    scores = {name: dict(zip(("solar", "wind", "mean"), map(float, values), strict=True)) for name, *values in rows}
    assert scores["keras"]["mean"] < scores["rf"]["mean"] < scores["lr"]["mean"]
    for target in ("solar", "wind"):
        for model in ("keras", "rf", "lr"):
            for naive in ("persistence", "climatology"):
                assert scores[model][target] < scores[naive][target], (model, naive, target)
        for better in ("keras", "rf"):
            assert scores[better][target] < scores["lr"][target], (better, target)
