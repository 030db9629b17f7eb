import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import mlflow
import pytest
from conftest import SMALL

MODELS = ["boosting", "keras", "lr", "rf"]
STEPS = ["data", *MODELS, "validate", "approve"]
SAME = "same code, parameters and input"


def said(output: str) -> dict[str, str]:
    """Return the last word on each step."""
    return dict(re.findall(r"^workflow: (\w+): (.*)$", output, re.MULTILINE))


def newest_workflow():
    runs = mlflow.search_runs(
        search_all_experiments=True, filter_string="tags.project = 'workflow'", max_results=1, output_format="list"
    )
    return runs[0]


@pytest.fixture
def dry(root, small_csv):
    """Return a function that types a dry run, without MLflow around it, and returns what it says of each step."""

    def run(**changed) -> dict[str, str]:
        command = [sys.executable, root / "3_projects" / "workflow" / "run.py", "--dry-run=true"]
        for name, value in {"csv": small_csv, **SMALL, **changed}.items():
            command += [f"--{name.replace('_', '-')}", value]
        env = os.environ | {"MLFLOW_EXPERIMENT_NAME": "wind_solar"}
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        return said(done.stdout)

    return run


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
        assert re.split("[- ]", children[step].info.run_name)[0] == step
        assert parent.data.tags[f"step.{step}"] == line
        assert f"**{step}**: {line}" in parent.data.tags["mlflow.note.content"]
    assert children["rf"].data.params["n_estimators"] == SMALL["n_estimators"]
    assert children["rf"].data.params["max_depth"] == "10"


def test_only_the_workflow_s_own_lines_are_printed_and_the_steps_lines_are_an_artifact(workflow):
    others = [line for line in workflow.splitlines() if not line.startswith("workflow:")]
    assert all(line.startswith(("🏃 View run workflow at", "🧪 View experiment at")) for line in others), others
    parent = mlflow.get_run(said(workflow)["lr"].split()[1]).data.tags["mlflow.parentRunId"]
    log = mlflow.artifacts.load_text(f"runs:/{parent}/steps.log")
    lines = ("data: 2", "lr: models:/m-", "Epoch 1/8", "boosting: trial 2 of 2", "validate: mean absolute error on")
    for line in lines:
        assert re.search(f"^{line}", log, re.MULTILINE), line
    assert not re.search("oneDNN|InitializeLog|cpu_feature_guard", log)  # tensorflow's talk about itself


def test_nothing_runs_twice_with_the_same_code_parameters_and_input(workflow, mlflow_run, small_csv):
    done = mlflow_run("3_projects/workflow", csv=small_csv, **SMALL)
    assert done.returncode == 0, done.stderr
    first, second = said(workflow), said(done.stdout)
    for step in STEPS:
        assert second[step] == f"reused run {first[step].split()[1]}: {SAME}"


def test_a_dry_run_tells_what_a_changed_parameter_leads_to(workflow, mlflow_run, small_csv):
    done = mlflow_run("3_projects/workflow", csv=small_csv, dry_run="true", **{**SMALL, "n_estimators": "9"})
    assert done.returncode == 0, done.stderr
    lines = said(done.stdout)
    assert lines.pop("rf") == "would run: n_estimators changed from 8 to 9"
    assert lines.pop("validate") == "would run: its input may change: rf would run"
    assert lines.pop("approve") == "would run: its input may change: validate would run"
    assert set(lines) == {"data", "lr", "keras", "boosting"}
    for step, line in lines.items():
        assert line == f"would reuse run {said(workflow)[step].split()[1]}: {SAME}"


@pytest.fixture
def hidden(store, tmp_path):
    """Return a function that takes a folder out of the artifact store for the time of a test."""
    moved = []

    def hide(pattern: str) -> None:
        path = next(store.glob(pattern))
        moved.append((path, shutil.move(path, tmp_path / f"hidden{len(moved)}")))

    yield hide
    for path, place in moved:
        shutil.move(place, path)


def test_a_table_that_is_gone_is_made_again(workflow, dry, hidden):
    hidden(f"artifacts/*/{said(workflow)['data'].split()[1]}")
    lines = dry()
    assert lines["data"] == "would run: its artifact table.parquet is gone"
    assert lines["lr"] == "would run: its input may change: data would run"


def test_a_model_that_is_gone_is_trained_again(workflow, dry, hidden):
    run = mlflow.get_run(said(workflow)["rf"].split()[1])
    hidden(f"artifacts/*/models/{run.outputs.model_outputs[0].model_id}")
    lines = dry()
    assert lines["rf"] == "would run: its model is gone"
    assert lines["lr"].startswith("would reuse run ")


def test_a_workflow_judges_again_if_nothing_is_in_production_any_more(workflow, dry):
    client = mlflow.MlflowClient()
    version = client.get_model_version_by_alias("wind_solar", "production").version
    client.delete_registered_model_alias("wind_solar", "production")
    try:
        lines = dry()
    finally:
        client.set_registered_model_alias("wind_solar", "production", version)
    changed = "a version of wind_solar in production or waiting is missing, and was there when it ended"
    assert lines["validate"] == f"would run: {changed}"


def test_a_workflow_looks_again_if_somebody_has_brought_another_version_into_production(workflow, dry):
    client = mlflow.MlflowClient()
    version = client.get_model_version_by_alias("wind_solar", "production").version
    others = [other.version for other in client.search_model_versions("name = 'wind_solar'")]
    other = next(other for other in others if other != version)
    client.set_registered_model_alias("wind_solar", "production", other)
    try:
        lines = dry()
    finally:
        client.set_registered_model_alias("wind_solar", "production", version)
    assert lines["validate"].startswith("would reuse run "), "a rollback is not undone"
    changed = f"the version of wind_solar in production is {other}, and was {version} when it ended"
    assert lines["approve"] == f"would run: {changed}"


@pytest.fixture
def other_csv(small_csv, tmp_path):
    """Return the small CSV without its last day, so that no other test has a run on it."""
    lines = small_csv.read_text(encoding="utf-8").splitlines(keepends=True)
    path = tmp_path / "other.csv"
    path.write_text("".join(lines[:-24]), encoding="utf-8")
    return path


def test_the_table_of_a_workflow_is_the_one_to_show_even_when_it_was_reused(workflow, mlflow_run, small_csv, other_csv):
    def newest() -> str:
        runs = mlflow.search_runs(
            search_all_experiments=True,
            filter_string="tags.project = 'data' and attributes.status = 'FINISHED'",
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


def test_a_table_that_is_made_anew_and_is_equal_changes_nothing_for_the_models(workflow, mlflow_run, small_csv):
    done = mlflow_run("3_projects/workflow", csv=small_csv, force="data", **SMALL)
    assert done.returncode == 0, done.stderr
    lines = said(done.stdout)
    assert lines["data"].endswith("s: forced")
    for step in (*MODELS, "validate", "approve"):
        assert lines[step].startswith("reused run "), step


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


def test_a_failing_model_stops_the_workflow_before_anything_is_judged(workflow, mlflow_run, small_csv):
    done = mlflow_run("3_projects/workflow", csv=small_csv, **{**SMALL, "n_estimators": "0"})
    assert done.returncode != 0
    assert re.search(r"workflow: rf: .* failed; its output is above", done.stderr)
    assert "InvalidParameterError: The 'n_estimators' parameter" in done.stdout
    assert "validate" not in said(done.stdout)
    assert newest_workflow().info.status == "FAILED"


@pytest.mark.slow
@pytest.mark.parametrize("series", ["the shipped sample", "the real data"])
def test_the_models_keep_their_order_and_beat_the_naive_forecasts(series, request, mlflow_run, other_servers, root):
    csv = request.getfixturevalue("real_data") if series == "the real data" else root / "1_starting_point/germany.csv"
    uri = other_servers.tracking_uri
    done = mlflow_run("3_projects/workflow", experiment=series, tracking_uri=uri, csv=csv, trials=2)
    assert done.returncode == 0, done.stderr
    row = r"^ *(?:version \d+ \()?(\w+)\)? +([\d.]+) +([\d.]+) +([\d.]+)$"
    parent = re.search(r"Run \(ID '(\w+)'\) succeeded", done.stderr)[1]
    log = Path(mlflow.MlflowClient(uri).download_artifacts(parent, "steps.log")).read_text(encoding="utf-8")
    rows = re.findall(row, log, re.MULTILINE)
    scores = {name: dict(zip(("solar", "wind", "mean"), map(float, values), strict=True)) for name, *values in rows}
    assert scores["boosting"]["mean"] < scores["keras"]["mean"] < scores["rf"]["mean"] < scores["lr"]["mean"]
    for target in ("solar", "wind"):
        for model in MODELS:
            for naive in ("persistence", "climatology"):
                assert scores[model][target] < scores[naive][target], (model, naive, target)
        for better in ("boosting", "keras", "rf"):
            assert scores[better][target] < scores["lr"][target], (better, target)
