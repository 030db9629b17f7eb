"""The models of the lessons, as anybody loads them from the store."""

import json
import re
import subprocess
import sys
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
import yaml

TARGETS = ["solar_GW", "wind_GW"]
PROJECTS = ["lr", "rf", "keras", "boosting"]  # boosting gives a range besides, and keeps its metrics in its own way


@pytest.fixture(scope="module", params=PROJECTS)
def project(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def address(runs, project) -> str:
    return f"models:/{runs[project].outputs.model_outputs[0].model_id}"


@pytest.fixture(scope="module")
def model(address):
    return mlflow.pyfunc.load_model(address)


@pytest.fixture
def rows(model, table) -> pd.DataFrame:
    """Return the columns that the model takes, of two days."""
    return table[model.metadata.get_input_schema().input_names()].tail(48)


def test_a_model_has_an_example_of_noon_and_the_pinned_requirements_of_its_project(model, address, project, root):
    example = json.loads(
        (Path(mlflow.artifacts.download_artifacts(address)) / "serving_input_example.json").read_text(encoding="utf-8")
    )["dataframe_split"]
    power = model.predict(pd.DataFrame(example["data"], columns=example["columns"]))
    assert len(power) == 3
    assert (power["solar_GW"] > 0).all(), "the sun shines in it"
    environment = yaml.safe_load((root / "3_projects" / project / "python_env.yaml").read_text())
    stored = Path(mlflow.pyfunc.get_model_dependencies(address)).read_text().replace(" ", "").splitlines()
    for requirement in environment["dependencies"]:
        assert any(line.startswith(requirement.split(";")[0]) for line in stored), requirement


def test_a_prediction_has_named_columns_and_keeps_the_index_whatever_the_order_of_the_inputs(model, rows):
    power = model.predict(rows)
    assert list(power.columns) == model.metadata.get_output_schema().input_names()
    assert list(power.columns)[:2] == ["solar_GW", "wind_GW"]
    pd.testing.assert_index_equal(power.index, rows.index)
    assert np.isfinite(power).all(axis=None)
    pd.testing.assert_frame_equal(model.predict(rows[rows.columns[::-1]].assign(further=1.0)), power)


def test_power_is_never_negative_in_weather_that_never_was(model, rows):
    weather = np.random.default_rng(1).uniform(-100, 100, (500, rows.shape[1]))
    assert (model.predict(pd.DataFrame(weather, columns=rows.columns)) >= 0).all(axis=None)


def test_a_run_keeps_its_parameters_its_errors_and_the_data_that_it_learnt_from(runs, project, model, table, workflow):
    run = runs[project]
    parameters = {"lr": {}, "rf": {"n_estimators": "8", "max_depth": "10"}, "keras": {"epochs": "8"}}
    assert parameters.get(project, {"trials": "2"}).items() <= run.data.params.items()
    dataset = run.inputs.dataset_inputs[0].dataset
    assert "Simulated sample" in dataset.name
    errors = ", ".join(f"{run.data.metrics[f'validation_mae_{name}_GW']:.3f} GW {name}" for name in ("solar", "wind"))
    note = f"MAE on the validation weeks: {errors}"
    assert run.data.tags["mlflow.note.content"] == note
    assert re.search(rf"^workflow:   {project} +{re.escape(note)}$", workflow, re.MULTILINE)
    if project == "boosting":
        return
    # Models that train side by side find it there; two that add a dataset at once fail on MLflow's database.
    (of_data,) = mlflow.get_run(run.data.tags["data_run"]).inputs.dataset_inputs
    assert (dataset.name, dataset.digest) == (of_data.dataset.name, of_data.dataset.digest)
    assert json.loads(dataset.profile)["num_rows"] == (table["split"] == "train").sum()
    names = [f"{metric}_{target}_GW" for metric in ("mae", "rmse", "r2") for target in ("solar", "wind")]
    assert {f"{part}_{name}" for part in ("train", "validation") for name in names} <= run.data.metrics.keys()
    validation = table[table["split"] == "validation"]
    power = model.predict(validation[model.metadata.get_input_schema().input_names()])
    error = (power["wind_GW"] - validation["wind_GW"]).abs().mean()
    assert run.data.metrics["validation_mae_wind_GW"] == pytest.approx(error, rel=1e-4)


def test_the_network_logs_its_loss_for_every_epoch(runs):
    history = mlflow.MlflowClient().get_metric_history(runs["keras"].info.run_id, "val_loss")
    assert [metric.step for metric in history] == list(range(len(history)))
    assert len(history) > 1


def test_the_same_rows_get_the_same_numbers_from_a_forest_every_time(runs, table):
    forest = mlflow.pyfunc.load_model(f"models:/{runs['rf'].outputs.model_outputs[0].model_id}")
    rows = table[forest.metadata.get_input_schema().input_names()]
    whole = forest.predict(rows)
    for _ in range(5):
        pd.testing.assert_frame_equal(forest.predict(rows.iloc[:500]), whole.iloc[:500], check_exact=True)


@pytest.fixture(scope="module")
def boosting(runs):
    return mlflow.pyfunc.load_model(f"models:/{runs['boosting'].outputs.model_outputs[0].model_id}")


def test_the_range_of_boosting_is_around_the_mean_and_its_coverage_is_kept_as_table_and_plot(runs, boosting, table):
    power = boosting.predict(table.loc[table["split"] == "holdout", boosting.metadata.get_input_schema().input_names()])
    assert list(power.columns) == [*TARGETS, *(f"{target}_{side}" for target in TARGETS for side in ("q10", "q90"))]
    for target in TARGETS:
        assert (power[f"{target}_q10"] <= power[target]).all()
        assert (power[target] <= power[f"{target}_q90"]).all()
    run = runs["boosting"]
    names = {file.path for file in mlflow.MlflowClient().list_artifacts(run.info.run_id)}
    assert {"weeks.png", "trials_wind_GW.json"} <= names
    path = mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="coverage.json")
    content = json.loads(Path(path).read_text(encoding="utf-8"))
    coverage = pd.DataFrame(content["data"], columns=content["columns"])
    assert set(coverage["target"]) == set(TARGETS)
    assert {"day", "night", "summer"} <= set(coverage["hours of"])
    assert "coverage_wind_GW_day" in run.data.metrics


def test_few_rows_and_many_get_the_same_numbers_from_boosting(boosting, table):
    rows = table.loc[table["split"] == "holdout", boosting.metadata.get_input_schema().input_names()]
    power = boosting.predict(rows)
    many = pd.concat([rows] * 15)  # more than are predicted in one thread
    pd.testing.assert_frame_equal(boosting.predict(many).iloc[: len(rows)], power, check_exact=True)
    pd.testing.assert_frame_equal(boosting.predict(rows.iloc[[7]]), power.iloc[[7]], check_exact=True)


def test_the_production_model_loads_over_ftp_in_a_process_of_its_own_and_predicts(workflow, table, tmp_path):
    table.tail(24).to_parquet(tmp_path / "rows.parquet")
    code = (
        "import mlflow, pandas; model = mlflow.pyfunc.load_model('models:/wind_solar@production'); "
        "rows = pandas.read_parquet('rows.parquet')[model.metadata.get_input_schema().input_names()]; "
        "print(model.predict(rows).to_json())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["solar_GW"]) == 24
