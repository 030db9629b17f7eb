"""Run chapter 1's notebook about share prices, and look at what it shows."""

import json
import re
import shutil

import nbformat
import numpy as np
import pandas as pd
import pytest
from bokeh_sampledata.stocks import MSFT
from nbclient import NotebookClient
from sklearn.linear_model import LinearRegression
from stock_versions import ROOT

NOTEBOOK = ROOT / "1_starting_point" / "stock_market_analysis.ipynb"
NAMES = ["moving average", "linear regression", "k nearest neighbours", "LSTM"]


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Return the notebook as it is after its run in a folder of its own, which has to stay as it is."""
    folder = tmp_path_factory.mktemp("chapter")
    shutil.copy(NOTEBOOK, folder)
    notebook = nbformat.read(folder / NOTEBOOK.name, as_version=4)
    client = NotebookClient(notebook, kernel_name="python3", resources={"metadata": {"path": str(folder)}})
    client.execute(transport_encryption="auto")
    assert [path.name for path in folder.iterdir()] == [NOTEBOOK.name]
    return notebook


def outputs(notebook):
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


def printed(notebook):
    return "".join(output.text for output in outputs(notebook) if output.get("name") == "stdout")


def test_it_is_kept_without_output_and_says_what_it_is():
    content = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    assert (content["nbformat"], content["nbformat_minor"]) == (4, 5)
    assert content["metadata"]["kernelspec"]["name"] == "python3"
    code = [cell for cell in content["cells"] if cell["cell_type"] == "code"]
    assert not [cell for cell in code if cell["outputs"] or cell["execution_count"] is not None]
    first = "".join(content["cells"][0]["source"])
    assert first.startswith("# ")
    assert "**the chaos on purpose**" in first
    assert "**What you need:**" in first


@pytest.mark.slow
def test_it_runs_from_top_to_bottom_learns_and_draws_one_chart_for_each_model(ran):
    cells = [cell for cell in ran.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert not [output.text for output in outputs(ran) if output.get("name") == "stderr"]
    drawn = [cell for cell in cells if any("image/png" in output.get("data", {}) for output in cell.outputs)]
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
