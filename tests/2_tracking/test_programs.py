"""The two programs of chapter 2: what they leave on the server, and that what they print can be copied."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow import MlflowClient

FOLDER = Path(__file__).resolve().parents[2] / "2_tracking"
PROGRAMS = ["experiments_management.py", "rest_api.py"]


def run(program: str) -> subprocess.CompletedProcess:
    command = [sys.executable, FOLDER / program]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def managed(running_servers) -> str:
    """Run the program with MLflow's client once, and return what it says."""
    done = run("experiments_management.py")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def requested(running_servers) -> str:
    """Run the program without MLflow once, and return what it says."""
    done = run("rest_api.py")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_an_experiment_is_tagged_renamed_filled_and_deleted(managed):
    number, name = re.search(
        r"^ *(\d+)  (my notes of .*?)  \(deleted\)  \{'owner': 'me'", managed, re.MULTILINE
    ).groups()
    assert f">>> client.rename_experiment('{number}', '{name}')" in managed
    assert "a first try {'depth': '3'} {'error': 0.5}" in managed
    assert MlflowClient().get_experiment(number).lifecycle_stage == "deleted"


def test_each_printed_call_works_when_it_is_copied_in_the_same_order(managed):
    client, ids = MlflowClient(), {}
    experiment = re.search(r"set_experiment_tag\(('\d+')", managed)[1]
    run_id = re.search(r"set_terminated\('(\w+)'", managed)[1]
    for call in re.findall("^>>> (.*)$", managed, re.MULTILINE):
        for printed, mine in ids.items():
            call = call.replace(printed, mine)
        answer = eval(call.replace("notes of", "a copy of the notes of"), {"client": client})
        if "create_experiment" in call:
            ids[experiment] = repr(answer)
        if "create_run" in call:
            ids[run_id] = answer.info.run_id
    assert len(ids) == 2


def test_a_run_is_created_filled_tagged_and_finished_over_http(requested):
    run_id, found = re.search(r"The run (\w+) is finished; the search found (\w+)\.", requested).groups()
    assert run_id == found
    made = MlflowClient().get_run(run_id)
    assert made.info.status == "FINISHED"
    assert made.data.params == {"max_depth": "10", "n_estimators": "64"}
    assert made.data.metrics == {"mae": 2.2, "rmse": 3.0, "r2": 0.8}
    assert made.data.tags["written_by"] == "rest_api"
    assert 0 <= made.info.end_time - made.info.start_time < 60_000
    history = MlflowClient().get_metric_history(run_id, "mae")
    assert [(point.step, point.value) for point in history] == [(0, 3.1), (1, 2.4), (2, 2.2)]
    assert f"/#/experiments/{made.info.experiment_id}/runs/{run_id}" in requested


def test_each_printed_request_works_when_it_is_copied_into_a_terminal(requested):
    if not (shutil.which("curl") and shutil.which("bash")):
        reason = "curl and bash are not on the PATH"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    for command in re.findall("^curl .*$", requested, re.MULTILINE):
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        expected = "RESOURCE_ALREADY_EXISTS" if "experiments/create" in command else None
        assert json.loads(done.stdout).get("error_code") == expected
        if "runs/create" in command:  # or it would count as running for ever
            MlflowClient().set_terminated(json.loads(done.stdout)["run"]["info"]["run_id"])


def test_the_program_without_mlflow_needs_neither_mlflow_nor_this_project():
    imported = set()
    for node in ast.walk(ast.parse((FOLDER / "rest_api.py").read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module)
    assert imported - set(sys.stdlib_module_names) == {"requests"}


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_server_that_is_away_or_not_named_ends_in_a_sentence(program, monkeypatch, free_port):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{free_port()}")
    away = run(program)
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    nowhere = run(program)
    for done, words in ((away, "does not answer"), (nowhere, "http://127.0.0.1:5000")):
        assert done.returncode == 1
        assert done.stderr.startswith(program.removesuffix(".py"))
        assert words in done.stderr
        assert done.stderr.count("\n") == 1
