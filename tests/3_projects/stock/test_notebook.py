"""Chapter 1's notebook about share prices: what it shows, and that project and served model predict the same."""

import asyncio
import re
import shutil

import httpx
import mlflow
import numpy as np
import pandas as pd
import pytest
from bokeh_sampledata.stocks import MSFT
from mlflow.pyfunc import scoring_server
from notebooks import assert_pristine, outputs, printed, started
from sklearn.linear_model import LinearRegression
from stock_series import run_step
from stock_versions import INPUTS, ROOT

NOTEBOOK = ROOT / "1_starting_point" / "stock_market_analysis.ipynb"
NAMES = ["moving average", "linear regression", "k nearest neighbours", "LSTM"]
# In the project, and in the notebook, which trains the network in another way.
MODELS = {"linear": "linear_regression", "knn": "nearest_neighbours", "moving_average": "moving_average"}
SAME = 1e-9  # relative; the regression is computed in two ways
# What the functions of the notebook say about each of its windows, by the last day of the window.
SAVE = """
saved = pd.DataFrame(X_test, test.index[13:-1].tz_localize("UTC"), [f"close_{{day}}" for day in range(1, 15)])
for function in (linear_regression, nearest_neighbours, moving_average):
    saved[function.__name__] = function(X_test)
saved.to_parquet({!r})
"""


@pytest.fixture(scope="module")
def ran_and_saved(tmp_path_factory):
    """Return the notebook as it is after its run in a folder of its own, which it leaves as it is, and its windows."""
    folder, saved = tmp_path_factory.mktemp("chapter"), tmp_path_factory.mktemp("saved") / "windows.parquet"
    shutil.copy(NOTEBOOK, folder)
    with started() as kernel:
        notebook = kernel.run(folder / NOTEBOOK.name)
        assert [path.name for path in folder.iterdir()] == [NOTEBOOK.name]
        kernel.type_in(SAVE.format(str(saved)))
    return notebook, pd.read_parquet(saved)


@pytest.fixture(scope="module")
def ran(ran_and_saved):
    return ran_and_saved[0]


@pytest.fixture(scope="module")
def step(running_servers):
    """Return a function that runs a step of the project; no other test takes what it has made for the newest."""

    def run(name, **options):
        made = run_step(name, "same prediction", **options)
        mlflow.MlflowClient().set_tag(made.info.run_id, "used_at", "2000-01-01")
        return made

    return run


@pytest.fixture(scope="module")
def table_run(step):
    return step("transform", prices_run=step("ingest").info.run_id).info.run_id


@pytest.fixture(scope="module")
def rows(table_run):
    """Return the rows that no training step sees, by the last day of their window."""
    table = pd.read_parquet(mlflow.artifacts.download_artifacts(run_id=table_run, artifact_path="table.parquet"))
    return table[table["split"] == "holdout"]


@pytest.fixture(scope="module")
def trained(step, table_run):
    """Return the address of each model that the project has trained."""
    runs = {model: step("train", model=model, table_run=table_run) for model in MODELS}
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


def test_it_is_kept_without_output_and_says_what_it_is():
    assert_pristine(NOTEBOOK, "**the chaos on purpose**", "**What you need:**")


@pytest.mark.slow
def test_it_runs_learns_and_draws_one_chart_for_each_model(ran):
    assert not [output.text for output in outputs(ran) if output.get("name") == "stderr"]
    drawn = [cell for cell in ran.cells if any("image/png" in each.get("data", {}) for each in cell.get("outputs", []))]
    titles = [re.findall(r'plt\.title\("Microsoft: (.*)"\)', cell.source) for cell in drawn]
    assert titles == [[name] for name in NAMES]
    assert re.findall(r"^(.*): RMSE", printed(ran), re.MULTILINE) == NAMES
    losses = [float(loss) for loss in re.findall(r" - loss: ([\d.]+)", printed(ran))]
    assert len(losses) == 5
    assert losses[-1] < losses[0] / 5  # the network learns


@pytest.mark.slow
def test_its_errors_are_right_and_no_better_than_the_last_price(ran):
    """Made apart from it; and the numbers that the chapter's README and the notebook quote are these."""
    price = pd.Series(MSFT["adj_close"], pd.to_datetime(MSFT["date"]))
    parts = price[:"2008-12-16"], price["2008-12-17":]
    (windows, after), (asked, truth) = (
        (np.lib.stride_tricks.sliding_window_view(part, 14)[:-1], part.to_numpy()[14:]) for part in parts
    )

    def rmse(predicted):
        return ((predicted - truth) ** 2).mean() ** 0.5

    fitted = LinearRegression().fit(windows / windows[:, -1:], after / windows[:, -1])
    linear, naive = rmse(asked[:, -1] * fitted.predict(asked / asked[:, -1:])), rmse(asked[:, -1])
    text = printed(ran)
    assert f"{len(windows)} windows to learn from, {len(asked)} to test on\n" in text
    assert f"moving average: RMSE {rmse(asked.mean(axis=1)):.2f}\n" in text
    assert f"linear regression: RMSE {linear:.2f}, nearly perfect!\n" in text
    found = {name: float(number) for name, number in re.findall(r"^(.*): RMSE ([\d.]+)", text, re.MULTILINE)}
    assert min(found.values()) >= round(naive, 2)
    assert naive < linear
    source = NOTEBOOK.read_text(encoding="utf-8")
    assert f"25 neighbours {found['k nearest neighbours']:.2f}" in source
    readme = " ".join((NOTEBOOK.parent / "README.md").read_text(encoding="utf-8").split())
    assert f"an RMSE of {naive:.3f} dollars where the regression has {linear:.3f}" in readme


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
def test_notebook_project_and_served_model_predict_the_same_for_the_same_windows(ran_and_saved, rows, trained, model):
    holdout, saved = rows[INPUTS], ran_and_saved[1].loc[rows.index]
    assert len(holdout) > 400
    np.testing.assert_allclose(saved[INPUTS], holdout, rtol=SAME)
    typed = saved[MODELS[model]]
    project = mlflow.pyfunc.load_model(trained[model]).predict(holdout)["next_close"]
    np.testing.assert_allclose(project, typed, rtol=SAME)
    np.testing.assert_allclose(served(trained[model], holdout), typed, rtol=SAME)
    # And it is a prediction: neither the last price nor, for those that learn, the mean.
    last, mean = (np.isclose(typed, naive, rtol=1e-6).any() for naive in (holdout["close_14"], holdout.mean(axis=1)))
    assert (last, mean) == (False, model == "moving_average")


@pytest.mark.slow
def test_the_figures_of_the_chapter_are_those_of_the_project(rows, trained):
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    predicted = mlflow.pyfunc.load_model(trained["linear"]).predict(rows[INPUTS])["next_close"]
    model, last = (100 * (prices - rows["next_close"]).abs().mean() for prices in (predicted, rows["last_close"]))
    assert f'is wrong by {model:.2f} cents a day, and "tomorrow as today" by {last:.2f}.' in readme
    right = (rows["majority"] == rows["up"]).mean()
    assert (rows["majority"] == 0).all()
    assert f'right on {right:.0%} of the days, and so is who always says "no rise"'.replace("%", " %") in readme
