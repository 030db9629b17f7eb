"""The model in production behind HTTP: a right answer, or a 400 that names the fault."""

import json
import os
import sys

import mlflow
import numpy as np
import pandas as pd
import pytest
import requests
from mlflow.exceptions import MlflowException

from server.processes import process


@pytest.fixture(scope="module")
def model(workflow):
    return mlflow.pyfunc.load_model("models:/wind_solar@production")


@pytest.fixture(scope="module")
def address(workflow, free_port, tmp_path_factory) -> str:
    """Serve the model in production with the command of the README, on a free port, and return where."""
    port, folder = free_port(), tmp_path_factory.mktemp("serving")
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", "models:/wind_solar@production"]
    command += ["--env-manager", "local", "-p", port]
    with process("The served model", command, folder / "log", cwd=folder, env=dict(os.environ)) as served:
        served.wait_until(lambda: answers(f"http://127.0.0.1:{port}/health"), 120)
        yield f"http://127.0.0.1:{port}/invocations"
    assert "Traceback" not in (folder / "log").read_text(encoding="utf-8")


def answers(address: str) -> bool:
    try:
        return requests.get(address, timeout=5).ok
    except requests.ConnectionError:
        return False


@pytest.fixture
def ask(address):
    """Return a function that sends a body, as JSON if it is not text, and returns status and answer."""

    def send(body, content_type="application/json"):
        content = body if isinstance(body, str | bytes) else json.dumps(body)
        answer = requests.post(address, data=content, headers={"Content-Type": content_type}, timeout=60)
        return answer.status_code, answer.json()

    return send


@pytest.fixture
def rows(model, table) -> list[dict[str, float]]:
    """Return the weather of 300 hours."""
    return table[model.metadata.get_input_schema().input_names()].astype(float).tail(300).to_dict("records")


def split(rows: list[dict]) -> dict:
    return {"dataframe_split": {"columns": list(rows[0]), "data": [list(row.values()) for row in rows]}}


@pytest.mark.parametrize(
    "wrap",
    [
        split,
        lambda rows: {"dataframe_records": rows},
        lambda rows: {"inputs": {name: [row[name] for row in rows] for name in rows[0]}},
        lambda rows: split([{"further": "x", **dict(reversed(row.items()))} for row in rows]),
        lambda rows: pd.DataFrame(rows).to_csv(index=False),
    ],
    ids=["split", "records", "inputs by column", "another order and a further column", "csv"],
)
def test_rows_in_any_format_get_their_power_in_their_order(ask, model, rows, wrap):
    body = wrap(rows)
    status, answer = ask(body, "text/csv" if isinstance(body, str) else "application/json")
    assert status == 200
    # A network predicts batches of another size with other roundings in float32.
    expected = model.predict(pd.DataFrame(rows)).astype(float)
    np.testing.assert_allclose(pd.DataFrame(answer["predictions"])[expected.columns], expected, rtol=1e-5, atol=1e-5)


def without(row: dict, name: str) -> dict:
    return {key: value for key, value in row.items() if key != name}


MISSING = "Model is missing inputs ['windspeed']"
FAULTS = {
    "a missing column": (lambda row: split([without(row, "windspeed")]), MISSING),
    "a wrong column": (
        lambda row: split([{**without(row, "windspeed"), "windsped": 5.0}]),
        f"{MISSING}. Note that there were extra inputs: ['windsped']",
    ),
    "text for a number": (lambda row: split([row | {"windspeed": "strong"}]), "convert string to float: 'strong'"),
    "a null": (lambda row: split([row, row | {"windspeed": None}]), "found none in windspeed (row 2 of 2)"),
    "a list": (lambda row: split([row | {"windspeed": [5.0, 6.0]}]), "Failed to convert column windspeed"),
    "an unknown format": (lambda row: {"rows": [row]}, "exactly one of the input fields"),
    "half a body": (lambda row: b'{"dataframe_split": ', "Ensure that input is a valid JSON"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named_with_status_400(ask, rows, fault):
    spoil, named = FAULTS[fault]
    status, answer = ask(spoil(rows[-1]))
    assert status == 400
    assert named in answer["message"]


@pytest.mark.parametrize("project", ["lr", "rf", "keras", "boosting"])
def test_each_kind_of_model_refuses_rows_that_it_cannot_use(runs, table, project):
    model = mlflow.pyfunc.load_model(f"models:/{runs[project].outputs.model_outputs[0].model_id}")
    rows = table[model.metadata.get_input_schema().input_names()].tail(10).astype(float)
    for value, shown in ((None, "none"), (np.nan, "none"), (np.inf, "inf"), (-np.inf, "-inf"), (1e300, "1e.300")):
        rows.iloc[2, 0] = value
        with pytest.raises(MlflowException, match=rf"found {shown} in {rows.columns[0]} \(row 3 of 10\)") as refusal:
            model.predict(rows)
        assert refusal.value.get_http_status_code() == 400
    with pytest.raises(MlflowException, match="expected at least one row, found none"):
        model.predict(rows.head(0))
