"""The model in production behind HTTP: a right answer, or a 400 that names the fault."""

import json
import os
import re
import sys

import mlflow
import numpy as np
import pandas as pd
import pytest
import requests
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import scoring_server
from processes import process

KINDS = ["lr", "rf", "keras", "boosting"]
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def runs(workflow) -> dict:
    """Return the run of each step of the small workflow."""
    said = dict(re.findall(r"^workflow: (\w+): run (\w+) in", workflow, re.MULTILINE))
    return {step: mlflow.get_run(said[step]) for step in ["data", *KINDS]}


@pytest.fixture(scope="module")
def table(runs) -> pd.DataFrame:
    path = mlflow.artifacts.download_artifacts(run_id=runs["data"].info.run_id, artifact_path="table.parquet")
    return pd.read_parquet(path)


@pytest.fixture(scope="module", params=KINDS)
def kind(runs, request):
    """Return the model of each kind, as anybody loads it."""
    return mlflow.pyfunc.load_model(f"models:/{runs[request.param].outputs.model_outputs[0].model_id}")


@pytest.fixture(scope="module")
def model(workflow):
    return mlflow.pyfunc.load_model("models:/wind_solar@production")


@pytest.fixture(scope="module")
def columns(model) -> list[str]:
    return model.metadata.get_input_schema().input_names()


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
    """Return a function that sends a body, as JSON if it is no text, and returns status and answer."""

    def send(body, headers=JSON):
        content = body if isinstance(body, str | bytes | None) else json.dumps(body)
        answer = requests.post(address, data=content, headers=headers, timeout=60)
        return answer.status_code, answer.json()

    return send


@pytest.fixture
def row(table, columns) -> dict[str, float]:
    """Return the weather of a summer's noon."""
    return table.loc["2013-06-21 11:00+00:00", columns].astype(float).to_dict()


def split(rows: list[dict]) -> dict:
    return {"dataframe_split": {"columns": list(rows[0]), "data": [list(row.values()) for row in rows]}}


def the_right_answer(model, rows: list[dict]) -> list:
    predicted = model.predict(pd.DataFrame(rows)).astype(float).to_dict("records")
    # A network predicts batches of another size with other roundings in float32.
    return [{name: pytest.approx(value, rel=1e-5, abs=1e-5) for name, value in row.items()} for row in predicted]


def test_one_row_gets_its_power(ask, model, row):
    status, answer = ask(split([row]))
    assert status == 200
    assert answer["predictions"] == the_right_answer(model, [row])


@pytest.mark.parametrize(
    "wrap",
    [
        split,
        lambda rows: {"dataframe_records": rows},
        lambda rows: {"inputs": rows},
        lambda rows: {"instances": rows},
        lambda rows: {"inputs": {name: [row[name] for row in rows] for name in rows[0]}},
    ],
    ids=["dataframe_split", "dataframe_records", "inputs", "instances", "inputs by column"],
)
def test_many_rows_get_their_power_in_their_order(ask, model, table, columns, wrap):
    rows = table[columns].astype(float).tail(300).to_dict("records")
    status, answer = ask(wrap(rows))
    assert status == 200
    assert answer["predictions"] == the_right_answer(model, rows)


def test_the_order_of_the_columns_does_not_matter_and_a_further_one_is_ignored(ask, model, row):
    status, answer = ask(split([{"further": "x", **dict(reversed(row.items()))}]))
    assert status == 200
    assert answer["predictions"] == the_right_answer(model, [row])


def without(row: dict, name: str) -> dict:
    return {key: value for key, value in row.items() if key != name}


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (lambda row: split([without(row, "windspeed")]), "Model is missing inputs ['windspeed']"),
        (
            lambda row: split([{**without(row, "windspeed"), "windsped": 5.0}]),
            "Model is missing inputs ['windspeed']. Note that there were extra inputs: ['windsped']",
        ),
        (lambda row: split([row | {"windspeed": "strong"}]), "could not convert string to float: 'strong'"),
        (lambda row: split([row, row | {"windspeed": None}]), "found none in windspeed (row 2 of 2)"),
        (lambda row: {"dataframe_records": [row, without(row, "windspeed")]}, "found none in windspeed (row 2 of 2)"),
        (lambda row: split([row | {"windspeed": float("nan")}]), "found none in windspeed (row 1 of 1)"),
        (lambda row: split([row | {"windspeed": "nan"}]), "found none in windspeed (row 1 of 1)"),
        (lambda row: split([row | {"windspeed": float("inf")}]), "found inf in windspeed (row 1 of 1)"),
        (lambda row: split([row | {"windspeed": 1e308}]), "found 1e+308 in windspeed (row 1 of 1)"),
        (lambda row: split([row | {"windspeed": 10**400}]), "int too large to convert to float"),
        (lambda row: split([row | {"windspeed": [5.0, 6.0]}]), "Failed to convert column windspeed"),
        (lambda row: {"dataframe_split": {"columns": list(row), "data": []}}, "expected at least one row, found none"),
        (
            lambda row: {"dataframe_split": {"columns": list(row), "data": [list(row.values()), [1.0]]}},
            "found none in ",
        ),
        (lambda row: {"dataframe_split": {"columns": list(row), "data": [[1.0]]}}, "passed data had 1 columns"),
        (lambda row: {"rows": [row]}, "exactly one of the input fields"),
        (lambda row: [row], "Received a list"),
        (lambda row: {}, "exactly one of the input fields"),
        (lambda row: "", "Ensure that input is a valid JSON"),
        (lambda row: None, "Ensure that input is a valid JSON"),
        (lambda row: '{"dataframe_split": ', "Ensure that input is a valid JSON"),
        (lambda row: b"\xff\xfe{", "Ensure that input is a valid JSON"),
        (lambda row: "[" * 100_000, "found what can't be read (RecursionError)"),
    ],
    ids=[
        *("a missing column", "a wrong column", "text for a number", "a null", "a row without the column"),
        *("the token NaN", "text that says nan", "the token Infinity", "a huge number", "a huge integer", "a list"),
        *("no row", "a row that is too short", "only a row that is too short"),
        *("an unknown format", "a list of rows", "an empty object"),
        *("an empty body", "no body", "half a body", "another encoding", "nested without end"),
    ],
)
def test_a_fault_is_named_with_status_400(ask, row, spoil, named):
    status, answer = ask(spoil(row))
    assert status == 400
    assert named in answer["message"]


@pytest.mark.parametrize("has_body", [False, True])
def test_a_request_without_a_content_type_is_told_so(ask, row, has_body):
    status, answer = ask(json.dumps(split([row])).encode() if has_body else None, headers={"Content-Type": None})
    assert status == 400
    assert "found no content type" in answer["message"]


def test_csv_is_understood_as_well_and_an_empty_cell_in_it_named(ask, model, row):
    csv = {"Content-Type": "text/csv"}
    status, answer = ask(pd.DataFrame([row]).to_csv(index=False), csv)
    assert (status, answer["predictions"]) == (200, the_right_answer(model, [row]))
    status, answer = ask(pd.DataFrame([row | {"windspeed": None}]).to_csv(index=False), csv)
    assert status == 400
    assert "found none in windspeed (row 1 of 1)" in answer["message"]


def test_a_content_type_that_mlflow_does_not_know_gets_its_own_status(address, row):
    answer = requests.post(address, data=json.dumps(split([row])), headers={"Content-Type": "text/plain"}, timeout=60)
    assert answer.status_code == 415
    assert "Got 'text/plain'" in answer.text


@pytest.mark.parametrize("value", [None, np.nan, np.inf, -np.inf, 1e300])
def test_each_kind_of_model_refuses_a_row_without_a_number(kind, table, value):
    rows = table[kind.metadata.get_input_schema().input_names()].tail(10).astype(float)
    name = rows.columns[0]
    rows.iloc[2, 0] = value
    found = "none" if pd.isna(value) else f"{value}"
    with pytest.raises(MlflowException, match=f"input column, found {found.replace('+', '.')} in {name} .row 3 of 10."):
        kind.predict(rows)


def test_each_kind_of_model_says_that_there_are_no_rows(kind, table):
    rows = table[kind.metadata.get_input_schema().input_names()].head(0)
    with pytest.raises(MlflowException, match="expected at least one row, found none"):
        kind.predict(rows)


def test_the_same_rows_get_the_same_numbers_every_time(runs, table):
    """A forest adds up its trees in one order, whatever the machine."""
    forest = mlflow.pyfunc.load_model(f"models:/{runs['rf'].outputs.model_outputs[0].model_id}")
    rows = table[forest.metadata.get_input_schema().input_names()]
    whole = forest.predict(rows)
    for _ in range(5):
        pd.testing.assert_frame_equal(forest.predict(rows.iloc[:500]), whole.iloc[:500], check_exact=True)


def test_a_model_leaves_the_servers_code_alone_where_nothing_is_served(kind):
    assert scoring_server.invocations.__module__ == scoring_server.__name__
