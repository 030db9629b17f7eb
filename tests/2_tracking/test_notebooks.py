"""Run the notebooks of the chapter against the real servers, and look at what they leave there."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import joblib
import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from nbclient.exceptions import CellExecutionError
from notebooks import assert_pristine, code_cells, shown, started
from sklearn.ensemble import RandomForestRegressor
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error
from sklearn.model_selection import train_test_split

from server import check

CHAPTER = Path(__file__).resolve().parents[2] / "2_tracking"
MODELS = {"linreg": "model_linreg", "rf-64": "model_rf", "keras": "model_keras"}
EXPERIMENT, REGISTERED = "predicting_wind_solar", "wind_solar_chapter_2"
FEATURES, TARGETS = ["windspeed", "temperature", "rad_horizontal", "rad_diffuse"], ["solar_GW", "wind_GW"]


@pytest.fixture(scope="module")
def execute(running_servers) -> Iterator[Callable[..., dict[str, str]]]:
    """Return a function that runs a notebook, to the cell of an id if one is named, and gives what each cell shows."""
    with started() as kernel:
        yield lambda name, until="": shown(kernel.run(CHAPTER / f"{name}.ipynb", until))


def newest(name: str):
    """Return the newest run of chapter 2 with that name."""
    return mlflow.search_runs(
        experiment_names=[EXPERIMENT],
        filter_string=f"tags.chapter = '2' and attributes.run_name = '{name}'",
        order_by=["attributes.start_time DESC"],
        output_format="list",
    )[0]


def children_of(run) -> dict:
    """Return the child runs of a run by their names."""
    children = mlflow.search_runs(
        experiment_names=[EXPERIMENT],
        filter_string=f"tags.`mlflow.parentRunId` = '{run.info.run_id}'",
        output_format="list",
    )
    return {child.info.run_name: child for child in children}


def mae(run) -> float:
    return run.data.metrics["mae_solar_GW"] + run.data.metrics["mae_wind_GW"]


def address(run) -> str:
    (model,) = run.outputs.model_outputs
    return f"models:/{model.model_id}"


def errors(actuals: pd.DataFrame, power: np.ndarray) -> dict[str, float]:
    """Return what a run of the chapter keeps as metrics, reckoned apart from the notebooks."""
    functions = {"rmse": root_mean_squared_error, "mae": mean_absolute_error, "r2": r2_score}
    return {
        f"{name}_{target}": function(actuals[target], power[:, column])
        for column, target in enumerate(TARGETS)
        for name, function in functions.items()
    }


@pytest.fixture(scope="module")
def split(root) -> list[pd.DataFrame]:
    """Return the rows to learn from and the rows to test on."""
    table = pd.read_csv(root / "1_starting_point" / "germany.csv")
    return train_test_split(table, test_size=0.2, random_state=42)


@pytest.fixture(scope="module")
def models(execute) -> dict[str, dict[str, str]]:
    """Run the three notebooks that train a model, and return what they show."""
    return {name: execute(notebook) for name, notebook in MODELS.items()}


@pytest.fixture(scope="module")
def execute_elsewhere(other_servers) -> Iterator[Callable[..., dict[str, str]]]:
    """Do the same beside servers that know nothing of the chapter's runs; MLflow stays with those it has spoken to."""
    with started() as kernel:

        def execute(name: str) -> dict[str, str]:
            with pytest.MonkeyPatch.context() as environment:
                environment.setenv("MLFLOW_TRACKING_URI", other_servers.tracking_uri)
                return shown(kernel.run(CHAPTER / f"{name}.ipynb"))

        yield execute


def test_a_notebook_is_kept_as_it_is_before_its_first_run_and_names_what_it_needs():
    for name in (*MODELS.values(), "compare_runs", "get_prod_model"):
        assert_pristine(CHAPTER / f"{name}.ipynb", "**Needed:** the two servers")


def test_every_line_with_mlflow_is_marked_as_new():
    for name in MODELS.values():
        for cell in code_cells(CHAPTER / f"{name}.ipynb"):
            if not cell.source.startswith("# MLflow"):
                unmarked = [line for line in cell.source.splitlines() if "mlflow" in line and "  # MLflow" not in line]
                assert unmarked == [], name


def test_without_its_servers_a_notebook_stops_with_one_sentence(execute, free_port, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(CellExecutionError) as stopped:
        execute("model_linreg")
    assert stopped.value.ename == "SystemExit"
    assert "does not answer" in stopped.value.evalue
    assert "python workshop.py servers" in stopped.value.evalue


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_a_run_keeps_its_picture_and_the_errors_of_its_model(models, split, name):
    run, rows = newest(name), split[1]
    assert run.info.status == "FINISHED"
    assert "scatter.png" in [file.path for file in mlflow.artifacts.list_artifacts(run_id=run.info.run_id)]
    model = mlflow.pyfunc.load_model(address(run))
    found = errors(rows, model.predict(rows[FEATURES].astype("float32" if name == "keras" else float)))
    assert {key: run.data.metrics[key] for key in found} == pytest.approx(found, rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["linreg", "rf-64"])
def test_a_model_has_a_signature_with_names_and_the_requirements_that_were_named(models, name):
    model = mlflow.pyfunc.load_model(address(newest(name)))
    assert model.metadata.signature.inputs.input_names() == FEATURES
    assert model.metadata.signature.outputs.input_names() == TARGETS
    listed = Path(mlflow.pyfunc.get_model_dependencies(address(newest(name)))).read_text().split()
    assert {line.split("==")[0] for line in listed} == {"mlflow", "numpy", "pandas", "scikit-learn", "skops"}


@pytest.mark.slow
def test_the_linear_regression_shows_what_a_signature_refuses_and_that_runs_addresses_load(models):
    said = models["linreg"]
    assert "Both addresses give the same model: True" in said["runs-address"]
    assert "Columns in another order, the same power: True" in said["signature"]
    refused = re.findall("^Refused: (.*)$", said["signature"], re.MULTILINE)
    assert len(refused) == 3
    assert refused[0] == "Model is missing inputs ['windspeed']."
    assert said["array"].startswith("array(")


@pytest.mark.slow
def test_the_forest_keeps_its_parameters_and_says_why_it_is_saved_in_another_way(models):
    run = newest("rf-64")
    assert run.data.params == {"n_estimators": "64", "max_depth": "10"}
    assert "['sklearn.tree._tree.Tree']" in models["rf-64"]["refused"]
    assert "model.skops" in [file.path for file in mlflow.artifacts.list_artifacts(address(run))]


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> dict[str, Path]:
    """Return models of each kind that the chapters have: with skops, with cloudpickle, and one that brings its code."""
    folder, forest = tmp_path_factory.mktemp("saved"), RandomForestRegressor(n_estimators=2).fit([[0], [1]], [0, 1])
    quick = {"pip_requirements": ["scikit-learn"]}
    trusted = {"skops_trusted_types": ["sklearn.tree._tree.Tree"]}
    mlflow.sklearn.save_model(forest, folder / "skops", **trusted, **quick)
    mlflow.sklearn.save_model(forest, folder / "cloudpickle", serialization_format="cloudpickle", **quick)
    code = CHAPTER.parent / "3_projects" / "lr" / "model.py"
    joblib.dump(forest, folder / "estimator.joblib")
    artifacts = {"estimator": str(folder / "estimator.joblib")}
    mlflow.pyfunc.save_model(folder / "code", python_model=str(code), artifacts=artifacts, **quick)
    return {kind: folder / kind for kind in ("skops", "cloudpickle", "code")}


def test_a_team_can_refuse_the_models_of_this_chapter_whatever_their_format(saved, monkeypatch):
    for path in saved.values():
        mlflow.pyfunc.load_model(str(path))
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    mlflow.pyfunc.load_model(str(saved["code"]))
    for kind in ("skops", "cloudpickle"):
        with pytest.raises(MlflowException, match="can execute arbitrary code"):
            mlflow.pyfunc.load_model(str(saved[kind]))


@pytest.mark.slow
def test_each_try_of_the_search_is_a_child_run_and_the_best_one_has_a_model(models):
    parent = newest("rf-64")
    children = children_of(parent)
    assert set(children) == {f"rf-{trees}-depth-{depth}" for trees in (16, 64) for depth in (5, 10, 12)}
    for name, child in children.items():
        assert child.info.status == "FINISHED"
        assert child.data.tags["chapter"] == "2"
        assert name == f"rf-{child.data.params['n_estimators']}-depth-{child.data.params['max_depth']}"
    assert children["rf-64-depth-10"].data.metrics == pytest.approx(parent.data.metrics, rel=1e-12)
    with_model = [name for name, child in children.items() if child.outputs.model_outputs]
    assert with_model == [min(children, key=lambda name: mae(children[name]))]


@pytest.mark.slow
def test_autolog_keeps_the_parameters_of_the_network_and_its_loss_for_every_epoch(models):
    run = newest("keras")
    assert run.data.params["epochs"] == "10"
    assert run.data.params["optimizer_name"] == "adam"
    for metric in ("loss", "val_loss"):
        history = MlflowClient().get_metric_history(run.info.run_id, metric)
        assert [point.step for point in history] == list(range(10))
    assert mlflow.models.get_model_info(address(run)).signature.inputs.has_input_names() is False


@pytest.mark.slow
def test_the_notebook_shows_what_autolog_would_have_done_for_the_other_two(models):
    regression, forest = newest("linreg-autolog"), newest("rf-8-autolog")
    assert "fit_intercept" in regression.data.params
    assert all(metric.startswith("training_") for metric in (regression.data.metrics | forest.data.metrics))
    assert not regression.outputs.model_outputs
    assert "model.pkl" in [file.path for file in mlflow.artifacts.list_artifacts(address(forest))]
    assert "model.pkl" in models["keras"]["others"]


@pytest.mark.slow
def test_runs_are_compared(models, execute):
    said = execute("compare_runs")
    best = min(children_of(newest("rf-64")).values(), key=mae)
    assert f"{mae(best):.3f}" in said["table"]
    assert {"linreg", "rf-64", "rf-16-depth-5", "keras"} <= set(said["table"].split())
    assert "autolog" not in said["table"]
    assert "There is no" not in "".join(said.values())
    assert "parcoords" in said["parallel"]
    assert "n_estimators" in said["parallel"]
    assert "val_loss: on hours set aside" in said["curves"]


def test_comparing_says_which_notebooks_to_run_first(execute_elsewhere):
    said = execute_elsewhere("compare_runs")
    assert said["search"].endswith("0 runs\n")
    for name, notebook in MODELS.items():
        assert f"There is no run {name} yet. Run {notebook}.ipynb first" in said["table"]
    assert said["parallel"] == "There is no forest to show yet. Run model_rf.ipynb first.\n"
    assert said["curves"] == "There is no network to show yet. Run model_keras.ipynb first.\n"


@pytest.fixture(scope="module")
def put_into_production(models, execute) -> dict[str, str]:
    """Run the notebook that registers a model, and return what it shows."""
    return execute("get_prod_model")


@pytest.mark.slow
def test_the_best_model_that_knows_its_columns_goes_into_production_and_the_chapter_is_done(put_into_production, split):
    said = put_into_production
    version = MlflowClient().get_model_version_by_alias(REGISTERED, "production")
    best = min([newest("linreg"), newest("rf-64"), *children_of(newest("rf-64")).values()], key=mae)
    assert version.run_id == best.info.run_id
    rows = split[1].head(5)
    power = mlflow.pyfunc.load_model(f"models:/{REGISTERED}@production").predict(rows[FEATURES])
    status, body = re.search(r"^(\d+) (\{\"predictions\": .*\})$", said["serve"], re.MULTILINE).groups()
    assert status == "200"
    assert np.array(json.loads(body)["predictions"]) == pytest.approx(power, abs=1e-9)
    assert "400 INVALID_PARAMETER_VALUE Model is missing inputs ['windspeed']" in said["serve"]
    assert "The model server is stopped: True" in said["same"]
    assert f"{best.data.metrics['mae_wind_GW']:.6f} GW here" in said["predict"]
    found = [check.look(step, MlflowClient()) for step in check.load("2")]
    assert [one.status for one in found] == ["done"] * 7, found


@pytest.mark.slow
def test_a_model_without_column_names_is_passed_over_and_each_time_makes_a_version(put_into_production, execute):
    before = MlflowClient().get_model_version_by_alias(REGISTERED, "production")
    network, client = newest("keras"), MlflowClient()
    kept = network.data.metrics["mae_wind_GW"]
    client.log_metric(network.info.run_id, "mae_wind_GW", 0.001)  # as if the network were the best of all
    try:
        said = execute("get_prod_model", until="alias")
    finally:
        client.log_metric(network.info.run_id, "mae_wind_GW", kept)
    assert f"keras: {network.data.metrics['mae_solar_GW'] + 0.001:.3f} GW, but no column names" in said["best"]
    after = client.get_model_version_by_alias(REGISTERED, "production")
    assert int(after.version) == int(before.version) + 1
    assert after.run_id == before.run_id


def test_without_a_run_there_is_nothing_to_put_into_production(execute_elsewhere):
    with pytest.raises(CellExecutionError) as stopped:
        execute_elsewhere("get_prod_model")
    assert stopped.value.ename == "SystemExit"
    assert "Run model_linreg.ipynb first" in stopped.value.evalue
