import ast
import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import uuid
from pathlib import Path

import pytest
from mlflow import MlflowClient

PROGRAM = Path(__file__).resolve().parents[2] / "2_tracking" / "rest_api.py"


def run(*arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, PROGRAM, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture(scope="module")
def name(running_servers) -> str:
    """Return a name that no experiment has before this module's first run."""
    return f"rest_api-{uuid.uuid4().hex}"


@pytest.fixture(scope="module")
def said(name) -> str:
    """Run the program once, and return what it says."""
    done = run("--experiment", name, "--run-name", "first")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def only_run(said, name):
    client = MlflowClient()
    experiment = client.get_experiment_by_name(name).experiment_id
    (found,) = client.search_runs([experiment], "attributes.run_name = 'first'")
    return found


def test_a_run_is_created_filled_tagged_and_finished(only_run):
    assert only_run.info.status == "FINISHED"
    assert only_run.data.params == {"max_depth": "10", "n_estimators": "64"}
    assert only_run.data.metrics == {"mae": 2.2, "rmse": 3.0, "r2": 0.8}
    assert only_run.data.tags["written_by"] == "rest_api"
    assert 0 <= only_run.info.end_time - only_run.info.start_time < 60_000
    history = MlflowClient().get_metric_history(only_run.info.run_id, "mae")
    assert [(point.step, point.value) for point in history] == [(0, 3.1), (1, 2.4), (2, 2.2)]


def test_the_search_finds_the_run_and_the_page_is_named(said, only_run):
    assert f"the search found {only_run.info.run_id}." in said
    assert f"/#/experiments/{only_run.info.experiment_id}/runs/{only_run.info.run_id}" in said


def test_each_printed_request_works_when_copied_into_a_terminal(said, name):
    if not (shutil.which("curl") and shutil.which("bash")):
        reason = "curl and bash are not on the PATH"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    commands = re.findall("^curl .*$", said, re.MULTILINE)
    asked = [re.search(r"/mlflow/([\w-]+/[\w-]+)", command)[1] for command in commands]
    assert set(asked) == {
        *("experiments/get-by-name", "experiments/create"),
        *("runs/create", "runs/log-parameter", "runs/log-metric", "runs/log-batch", "runs/set-tag"),
        *("runs/search", "metrics/get-history", "runs/update"),
    }
    for path, command in zip(asked, commands, strict=True):
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        answer = json.loads(done.stdout)
        assert answer.get("error_code") == ("RESOURCE_ALREADY_EXISTS" if path == "experiments/create" else None), answer
    experiment = MlflowClient().get_experiment_by_name(name).experiment_id
    assert len(MlflowClient().search_runs([experiment], "attributes.run_name = 'first'")) == 2
    (extra,) = MlflowClient().search_runs([experiment], "attributes.status = 'RUNNING'")
    MlflowClient().delete_run(extra.info.run_id)


def test_a_second_run_goes_to_the_same_experiment(said, name):
    done = run("--experiment", name, "--run-name", "second")
    assert done.returncode == 0, done.stderr
    assert "experiments/create" not in done.stdout
    experiment = MlflowClient().get_experiment_by_name(name).experiment_id
    assert len(MlflowClient().search_runs([experiment], "attributes.run_name = 'second'")) == 1


def test_it_needs_neither_mlflow_nor_this_project():
    imported = set()
    for node in ast.walk(ast.parse(PROGRAM.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module)
    assert imported - set(sys.stdlib_module_names) == {"requests"}


def test_what_the_server_refuses_is_told_in_a_sentence(running_servers):
    done = run("--experiment", "x" * 501)
    assert done.returncode == 1
    assert done.stderr.startswith("rest_api: ")
    assert "500" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_run_that_is_not_filled_to_its_end_is_left_as_failed():
    """Between the program and the server stands one that answers a tag with an error."""

    class Refuse(http.server.BaseHTTPRequestHandler):
        asked: list = []  # noqa: RUF012

        def do_GET(self):
            self.answer(200, {"experiment": {"experiment_id": "1"}})

        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.asked.append((self.path.rpartition("/")[2], body.get("status")))
            if self.path.endswith("set-tag"):
                self.answer(400, {"error_code": "INVALID_PARAMETER_VALUE", "message": "No tags today."})
            else:
                self.answer(200, {"run": {"info": {"run_id": "a"}}})

        def answer(self, status, content):
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(content).encode())

        def log_message(self, *arguments):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Refuse) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            done = run("--server", f"http://127.0.0.1:{server.server_port}")
        finally:
            server.shutdown()
            thread.join()
    assert done.returncode == 1
    assert done.stderr == "rest_api: No tags today.\n"
    assert Refuse.asked[-1] == ("update", "FAILED")


@pytest.mark.parametrize("address", ["", "sqlite:///mlruns.db"])
def test_without_an_address_it_asks_for_one(monkeypatch, address):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    done = run()
    assert done.returncode == 1
    assert f"Expected the server's address, such as http://127.0.0.1:5000, found {address!r}" in done.stderr


def test_a_server_that_is_away_is_named(free_port):
    address = f"http://127.0.0.1:{free_port()}"
    done = run("--server", address)
    assert done.returncode == 1
    assert f"rest_api: {address} does not answer" in done.stderr
    assert "python workshop.py servers" in done.stderr
    assert "Traceback" not in done.stderr


def test_help_says_what_it_does():
    done = run("--help")
    assert done.returncode == 0
    assert "MLFLOW_TRACKING_URI" in done.stdout
