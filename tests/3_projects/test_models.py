import json
import os
import re
import subprocess
import sys
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
import yaml

STEPS = ["lr", "rf", "keras"]
MODELS = [*STEPS, "boosting"]  # which gives a range besides, and keeps its metrics in its own way


@pytest.fixture(scope="module")
def runs(workflow) -> dict:
    """Return the run of each step of the small workflow."""
    said = dict(re.findall(r"^workflow: (\w+): run (\w+) in", workflow, re.MULTILINE))
    return {step: mlflow.get_run(said[step]) for step in ["data", *MODELS]}


@pytest.fixture(scope="module")
def table(runs) -> pd.DataFrame:
    path = mlflow.artifacts.download_artifacts(run_id=runs["data"].info.run_id, artifact_path="table.parquet")
    return pd.read_parquet(path)


def uri(run) -> str:
    return f"models:/{run.outputs.model_outputs[0].model_id}"


@pytest.mark.parametrize("step", MODELS)
def test_a_model_names_its_input_and_output_columns(runs, table, step):
    model = mlflow.models.get_model_info(uri(runs[step]))
    assert set(model.signature.inputs.input_names()) <= set(table.columns)
    assert model.signature.outputs.input_names()[:2] == ["solar_GW", "wind_GW"]
    assert model.saved_input_example_info is not None


@pytest.mark.parametrize("step", MODELS)
def test_a_model_is_stored_with_the_pinned_requirements_of_its_project(runs, root, step):
    path = mlflow.pyfunc.get_model_dependencies(uri(runs[step]))
    environment = yaml.safe_load((root / "3_projects" / step / "python_env.yaml").read_text())
    stored = [line.replace(" ", "") for line in Path(path).read_text().splitlines()]
    for requirement in environment["dependencies"]:
        assert any(line.startswith(requirement.split(";")[0]) for line in stored), requirement


@pytest.mark.parametrize("step", MODELS)
def test_a_prediction_has_named_columns_and_keeps_the_index(runs, table, step):
    model = mlflow.pyfunc.load_model(uri(runs[step]))
    rows = table[model.metadata.get_input_schema().input_names()].tail(48)
    power = model.predict(rows)
    assert list(power.columns) == model.metadata.get_output_schema().input_names()
    pd.testing.assert_index_equal(power.index, rows.index)
    assert np.isfinite(power).all(axis=None)


@pytest.mark.parametrize("step", MODELS)
def test_the_order_of_the_columns_does_not_matter_and_further_ones_are_ignored(runs, table, step):
    model = mlflow.pyfunc.load_model(uri(runs[step]))
    columns = model.metadata.get_input_schema().input_names()
    rows = table.tail(48)
    shuffled = rows[columns[::-1]].assign(further=1.0)
    pd.testing.assert_frame_equal(model.predict(rows[columns]), model.predict(shuffled))


@pytest.mark.parametrize("step", MODELS)
def test_power_is_never_negative_in_weather_that_never_was(runs, table, step):
    model = mlflow.pyfunc.load_model(uri(runs[step]))
    columns = model.metadata.get_input_schema().input_names()
    rows = pd.DataFrame(np.random.default_rng(1).uniform(-100, 100, (500, len(columns))), columns=columns)
    assert (model.predict(rows) >= 0).all(axis=None)


@pytest.mark.parametrize("step", STEPS)
def test_a_run_keeps_parameters_metrics_and_the_dataset(runs, table, step):
    run = runs[step]
    expected = {"lr": {}, "rf": {"n_estimators": "8", "max_depth": "10"}, "keras": {"epochs": "8"}}[step]
    assert expected.items() <= run.data.params.items()
    for part in ("train", "validation"):
        for metric in ("mae", "rmse", "r2"):
            assert {f"{part}_{metric}_solar_GW", f"{part}_{metric}_wind_GW"} <= run.data.metrics.keys()
    dataset = run.inputs.dataset_inputs[0].dataset
    assert "Simulated sample" in dataset.name
    assert json.loads(dataset.profile)["num_rows"] == (table["split"] == "train").sum()


def test_the_metrics_of_the_validation_are_those_of_the_stored_model(runs, table):
    rows = table[table["split"] == "validation"]
    for step in STEPS:
        model = mlflow.pyfunc.load_model(uri(runs[step]))
        power = model.predict(rows[model.metadata.get_input_schema().input_names()])
        error = (power["wind_GW"] - rows["wind_GW"]).abs().mean()
        assert runs[step].data.metrics["validation_mae_wind_GW"] == pytest.approx(error, rel=1e-4)


def test_the_network_logs_its_loss_for_every_epoch(runs):
    history = mlflow.MlflowClient().get_metric_history(runs["keras"].info.run_id, "val_loss")
    assert [metric.step for metric in history] == list(range(len(history)))
    assert len(history) > 1


def test_the_production_model_loads_over_ftp_in_a_process_of_its_own_and_predicts(workflow, table, tmp_path):
    rows = tmp_path / "rows.parquet"
    table.tail(24).to_parquet(rows)
    code = (
        "import mlflow, pandas; model = mlflow.pyfunc.load_model('models:/wind_solar@production'); "
        f"rows = pandas.read_parquet({str(rows)!r})[model.metadata.get_input_schema().input_names()]; "
        "print(model.predict(rows).to_json())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["solar_GW"]) == 24


def test_a_model_without_a_table_says_how_to_make_one(root, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "mlflow", "run", root / "3_projects" / "lr", "--env-manager", "local"],
        cwd=tmp_path,
        env={**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path / 'empty.db'}"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode != 0
    assert "no table to train on yet. Make it with: mlflow run 3_projects/data" in done.stderr
    assert "Traceback" not in done.stderr
