import contextlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import mlflow
import pytest
from conftest import SMALL

MODELS = ["boosting", "keras", "lr", "rf"]
STEPS = ["data", *MODELS, "validate", "approve"]
SAME = "same code, parameters and input"


@pytest.fixture
def options(small_csv):
    """Return a function that writes the parameters of the small workflow, with changes, as options of the program."""
    return lambda **changed: [
        f"--{name.replace('_', '-')}={value}" for name, value in {"csv": small_csv, **SMALL, **changed}.items()
    ]


@pytest.fixture
def again(workflow, here, said, options, root):
    """Return a function that runs the workflow again and returns what it says of each step."""
    runner = root / "3_projects" / "workflow" / "run.py"
    return lambda **changed: said(here(runner, *options(**changed), MLFLOW_EXPERIMENT_NAME="wind_solar"))


@pytest.fixture
def first(workflow, said) -> dict[str, str]:
    """Return the id of the run of each step when the workflow ran the first time."""
    return {step: line.split()[1] for step, line in said(workflow).items()}


def test_every_step_runs_the_first_time_and_says_so(workflow, said):
    lines = said(workflow)
    assert set(lines) == set(STEPS)
    for step in STEPS:
        assert lines[step].startswith("run "), step
        assert lines[step].endswith("no workflow has run it yet"), step


def test_the_steps_are_children_of_the_run_of_the_workflow(workflow, said, first):
    client = mlflow.MlflowClient()
    children = {step: client.get_run(run_id) for step, run_id in first.items()}
    (parent,) = {child.data.tags["mlflow.parentRunId"] for child in children.values()}
    parent = client.get_run(parent)
    assert parent.info.status == "FINISHED"
    assert {child.info.status for child in children.values()} == {"FINISHED"}
    for step, line in said(workflow).items():
        assert re.split("[- ]", children[step].info.run_name)[0] == step
        assert parent.data.tags[f"step.{step}"] == line
        assert f"**{step}**: {line}" in parent.data.tags["mlflow.note.content"]
    assert children["rf"].data.params["n_estimators"] == SMALL["n_estimators"]
    assert children["rf"].data.params["max_depth"] == "10"


def test_only_the_workflow_s_own_lines_are_printed_and_the_steps_lines_are_an_artifact(workflow, first):
    others = [line for line in workflow.splitlines() if not line.startswith("workflow:")]
    assert all(line.startswith(("🏃 View run workflow at", "🧪 View experiment at")) for line in others), others
    parent = mlflow.get_run(first["lr"]).data.tags["mlflow.parentRunId"]
    log = mlflow.artifacts.load_text(f"runs:/{parent}/steps.log")
    lines = ("data: 2", "lr: models:/m-", "Epoch 1/8", "boosting: trial 2 of 2", "validate: mean absolute error on")
    for line in lines:
        assert re.search(f"^{line}", log, re.MULTILINE), line
    assert not re.search("oneDNN|InitializeLog|cpu_feature_guard", log)  # tensorflow's talk about itself


def test_nothing_runs_twice_and_the_table_is_the_one_to_show_again(again, first):
    def newest() -> str:
        condition = "tags.project = 'data' and attributes.status = 'FINISHED'"
        runs = mlflow.search_runs(
            experiment_names=["wind_solar"],
            filter_string=condition,
            order_by=["tags.used_at DESC"],
            output_format="list",
        )
        return runs[0].info.run_id

    with mlflow.start_run(experiment_id=mlflow.get_run(first["data"]).info.experiment_id) as between:
        mlflow.set_tags({"project": "data", "used_at": datetime.now(UTC).isoformat()})
    assert newest() == between.info.run_id
    assert again() == {step: f"reused run {first[step]}: {SAME}" for step in STEPS}
    assert newest() == first["data"]


def test_a_dry_run_tells_what_a_changed_parameter_leads_to(again, first):
    lines = again(dry_run="true", n_estimators="9")
    assert lines.pop("rf") == "would run: n_estimators changed from 8 to 9"
    assert lines.pop("validate") == "would run: its input may change: rf would run"
    assert lines.pop("approve") == "would run: its input may change: validate would run"
    assert lines == {step: f"would reuse run {first[step]}: {SAME}" for step in ("data", "lr", "keras", "boosting")}


@contextlib.contextmanager
def hidden(store: Path, pattern: str, place: Path) -> Iterator[None]:
    """Take a folder out of the artifact store."""
    path = next(store.glob(pattern))
    shutil.move(path, place)
    try:
        yield
    finally:
        shutil.move(place, path)


def test_a_table_or_a_model_that_is_gone_is_made_again(again, first, store, tmp_path):
    with hidden(store, f"artifacts/*/{first['data']}", tmp_path / "hidden"):
        lines = again(dry_run="true")
    assert lines["data"] == "would run: its artifact table.parquet is gone"
    assert lines["lr"] == "would run: its input may change: data would run"
    model = mlflow.get_run(first["rf"]).outputs.model_outputs[0].model_id
    with hidden(store, f"artifacts/*/models/{model}", tmp_path / "hidden"):
        lines = again(dry_run="true")
    assert lines["rf"] == "would run: its model is gone"
    assert lines["lr"].startswith("would reuse run ")


def test_what_somebody_else_has_done_to_the_version_in_production_is_a_reason_to_judge_or_to_approve(again):
    client = mlflow.MlflowClient()
    version = client.get_model_version_by_alias("wind_solar", "production").version
    versions = [other.version for other in client.search_model_versions("name = 'wind_solar'")]
    other = next(other for other in versions if other != version)
    try:
        client.delete_registered_model_alias("wind_solar", "production")
        without = again(dry_run="true")
        client.set_registered_model_alias("wind_solar", "production", other)
        changed = again(dry_run="true")
    finally:
        client.set_registered_model_alias("wind_solar", "production", version)
    reason = "a version of wind_solar in production or waiting is missing, and was there when it ended"
    assert without["validate"] == f"would run: {reason}"
    assert changed["validate"].startswith("would reuse run "), "a rollback is not undone"
    reason = f"the version of wind_solar in production is {other}, and was {version} when it ended"
    assert changed["approve"] == f"would run: {reason}"


def test_a_table_that_is_made_anew_and_is_equal_changes_nothing_for_the_models(again):
    lines = again(force="data")
    assert lines["data"].endswith("s: forced")
    for step in (*MODELS, "validate", "approve"):
        assert lines[step].startswith("reused run "), step


def test_a_failing_step_stops_the_workflow_before_anything_is_judged(workflow, root, options, said, tmp_path):
    """Its own words are shown, and all that it printed if it has none."""

    def run(**changed) -> tuple[str, str]:
        done = subprocess.run(
            [sys.executable, root / "3_projects" / "workflow" / "run.py", *options(**changed)],
            env=os.environ | {"MLFLOW_EXPERIMENT_NAME": "wind_solar"},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode != 0
        condition = "tags.project = 'workflow'"
        (parent,) = mlflow.search_runs(
            experiment_names=["wind_solar"], filter_string=condition, max_results=1, output_format="list"
        )
        assert parent.info.status == "FAILED"
        assert f"workflow: {parent.data.tags['error']}" == done.stderr.splitlines()[-1]
        assert not {"validate", "approve"} & said(done.stdout).keys()
        return done.stdout, done.stderr.splitlines()[-1]

    broken = tmp_path / "broken.csv"
    broken.write_text("utc_timestamp,solar_GW\n")
    printed, error = run(csv=broken)
    assert error.startswith(f"workflow: data: {broken}: column 'wind_GW' is missing")
    assert "Traceback" not in printed
    printed, error = run(n_estimators="0")
    assert re.match(r"workflow: rf: .* failed; its output is above", error)
    assert "InvalidParameterError: The 'n_estimators' parameter" in printed


@pytest.mark.slow
def test_the_models_keep_their_order_and_beat_the_naive_forecasts(real_data, mlflow_run, other_servers):
    uri = other_servers.tracking_uri
    done = mlflow_run("3_projects/workflow", experiment="real data", tracking_uri=uri, csv=real_data, trials=2)
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
