"""The notebook of chapter 1, the project and the served model give the same prediction for the same window."""

import contextlib
import os
import sys

import matplotlib.pyplot as plt
import mlflow
import nbformat
import numpy as np
import pandas as pd
import pytest
import requests
from processes import process
from stock_series import STOCK
from stock_versions import INPUTS, ROOT

NOTEBOOK = ROOT / "1_starting_point" / "stock_market_analysis.ipynb"
# In the project, and in the notebook, which trains the network in another way.
MODELS = {"linear": "linear_regression", "knn": "nearest_neighbours", "moving_average": "moving_average"}
pytestmark = pytest.mark.slow
SAME = 1e-9  # relative; the regression is computed in two ways


@pytest.fixture(scope="module")
def notebook():
    """Return what the notebook has made before it comes to the network, which the project trains in another way."""
    names = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plt, "show", lambda: plt.close("all"))
        for cell in nbformat.read(NOTEBOOK, as_version=4).cells:
            if cell.id == "lstm":
                break
            if cell.cell_type == "code":
                exec(cell.source, names)
    return names


@pytest.fixture(scope="module")
def run(running_servers):
    """Return a function that runs an entry point of the project and returns the run's id.

    No other test takes what it has made for the newest.
    """

    def entry_point(name, **parameters):
        done = mlflow.projects.run(
            str(STOCK), name, parameters=parameters, experiment_name="same prediction", env_manager="local"
        )
        mlflow.MlflowClient().set_tag(done.run_id, "used_at", "2000-01-01")
        return done.run_id

    return entry_point


@pytest.fixture(scope="module")
def table_run(run):
    return run("transform", prices_run=run("ingest"))


@pytest.fixture(scope="module")
def rows(table_run):
    """Return the rows that no training step sees, by the last day of their window."""
    path = mlflow.artifacts.download_artifacts(run_id=table_run, artifact_path="table.parquet")
    table = pd.read_parquet(path)
    return table[table["split"] == "holdout"]


@pytest.fixture(scope="module")
def holdout(rows):
    """Return their windows."""
    return rows[INPUTS]


@pytest.fixture(scope="module")
def trained(run, table_run):
    """Return the address of each model that the project has trained."""
    runs = {model: mlflow.get_run(run("train", model=model, table_run=table_run)) for model in MODELS}
    return {model: f"models:/{run.outputs.model_outputs[0].model_id}" for model, run in runs.items()}


@pytest.fixture(scope="module")
def served(trained, free_port, tmp_path_factory):
    """Serve each model as the README does, and return a function that asks one."""
    ports = {model: free_port() for model in trained}
    with contextlib.ExitStack() as up:
        for model, port in ports.items():
            command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", trained[model]]
            log = tmp_path_factory.mktemp("served") / "log"
            command += ["--env-manager", "local", "-p", port]
            server = up.enter_context(process(f"The served {model}", command, log, env=dict(os.environ)))
            ports[model] = port, server
        for port, server in ports.values():
            server.wait_until(lambda port=port: answers(port), 120)

        def ask(model, windows):
            body = {"dataframe_split": {"columns": list(windows), "data": windows.to_numpy().tolist()}}
            answer = requests.post(f"http://127.0.0.1:{ports[model][0]}/invocations", json=body, timeout=60)
            answer.raise_for_status()
            return np.array([row["next_close"] for row in answer.json()["predictions"]])

        yield ask


def answers(port):
    try:
        return requests.get(f"http://127.0.0.1:{port}/health", timeout=5).ok
    except requests.ConnectionError:
        return False


def windows_of(notebook, days):
    """Return the notebook's windows that end with these days."""
    prices = notebook["test"]
    ends = prices.index.get_indexer(days.tz_localize(None)) + 1
    return np.array([prices.iloc[end - len(INPUTS) : end] for end in ends])


def test_notebook_and_project_cut_the_same_windows_out_of_the_same_prices(notebook, holdout):
    assert len(holdout) > 400
    np.testing.assert_allclose(windows_of(notebook, holdout.index), holdout, rtol=SAME)


@pytest.mark.parametrize("model", MODELS)
def test_notebook_project_and_served_model_predict_the_same(notebook, holdout, trained, served, model):
    typed = notebook[MODELS[model]](windows_of(notebook, holdout.index))
    project = mlflow.pyfunc.load_model(trained[model]).predict(holdout)["next_close"]
    np.testing.assert_allclose(project, typed, rtol=SAME)
    np.testing.assert_allclose(served(model, holdout), typed, rtol=SAME)
    # And it is a prediction: neither the last price nor, for those that learn, the mean.
    last, mean = (np.isclose(typed, naive, rtol=1e-6).any() for naive in (holdout["close_14"], holdout.mean(axis=1)))
    assert (last, mean) == (False, model == "moving_average")


def test_the_figures_of_the_chapter_are_those_of_the_project(rows, holdout, trained):
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    predicted = mlflow.pyfunc.load_model(trained["linear"]).predict(holdout)["next_close"]
    model, last = (100 * (prices - rows["next_close"]).abs().mean() for prices in (predicted, rows["last_close"]))
    assert f'is wrong by {model:.2f} cents a day, and "tomorrow as today" by {last:.2f}.' in readme
    right = (rows["majority"] == rows["up"]).mean()
    assert (rows["majority"] == 0).all()
    assert f'right on {right:.0%} of the days, and so is who always says "no rise"'.replace("%", " %") in readme
