"""The notebook of chapter 1, the project and the served model give the same prediction for the same window."""

import asyncio

import httpx
import matplotlib.pyplot as plt
import mlflow
import nbformat
import numpy as np
import pandas as pd
import pytest
from mlflow.pyfunc import scoring_server
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


def served(uri, windows):
    """Return what a model answers to windows that are sent to MLflow's scoring server."""
    body = {"dataframe_split": {"columns": list(windows), "data": windows.to_numpy().tolist()}}
    server = httpx.ASGITransport(scoring_server.init(mlflow.pyfunc.load_model(uri)))

    async def ask():
        async with httpx.AsyncClient(transport=server, base_url="http://server") as client:
            return await client.post("/invocations", json=body)

    answer = asyncio.run(ask()).raise_for_status()
    return np.array([row["next_close"] for row in answer.json()["predictions"]])


def windows_of(notebook, days):
    """Return the notebook's windows that end with these days."""
    prices = notebook["test"]
    ends = prices.index.get_indexer(days.tz_localize(None)) + 1
    return np.array([prices.iloc[end - len(INPUTS) : end] for end in ends])


def test_notebook_and_project_cut_the_same_windows_out_of_the_same_prices(notebook, holdout):
    assert len(holdout) > 400
    np.testing.assert_allclose(windows_of(notebook, holdout.index), holdout, rtol=SAME)


@pytest.mark.parametrize("model", MODELS)
def test_notebook_project_and_served_model_predict_the_same(notebook, holdout, trained, model):
    typed = notebook[MODELS[model]](windows_of(notebook, holdout.index))
    project = mlflow.pyfunc.load_model(trained[model]).predict(holdout)["next_close"]
    np.testing.assert_allclose(project, typed, rtol=SAME)
    np.testing.assert_allclose(served(trained[model], holdout), typed, rtol=SAME)
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
