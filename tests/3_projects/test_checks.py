"""Leave behind what chapter 3 leaves, with and without the usual mistakes, and read the hints."""

import json
import os
import re
import subprocess
import sys

import check
import mlflow
import pytest
from learner import Learner
from processes import process
from servers import get


@pytest.fixture
def learner(tmp_path, monkeypatch, free_port) -> Learner:
    monkeypatch.setenv("DASHBOARD_PORT", str(free_port()))
    return Learner(tmp_path)


@pytest.fixture
def look(learner):
    """Return a function that says how a step stands."""
    steps = {step.look.__name__: step for step in check.load("3")}
    return lambda name: check.look(steps[name], learner.client)


def test_before_the_first_run_every_step_names_its_command(look, root):
    project, end = "mlflow run 3_projects/", "--experiment-name predicting_wind_solar"
    commands = {
        "table": f"{project}data --env-manager local {end}",
        "regression": f"{project}lr --env-manager local {end}",
        "forest": f"{project}rf --env-manager local -P n_estimators=64 {end}",
        "network": f"{project}keras --env-manager local -P epochs=30 {end}",
        "boosting": f"{project}boosting --env-manager local -P trials=5 {end}",
        "judged": f"{project}registry -e promote --env-manager local {end}",
        "production": f"{project}registry -e promote --env-manager local {end}",
        "scored": f"{project}scoring --env-manager local {end}",
        "report": "python report/create_report.py",
        "dashboard": f"python dashboard/app.py --port {os.environ['DASHBOARD_PORT']}",
    }
    if (root / "3_projects" / "stock").is_dir():
        commands["shares"] = f"{project}stock --env-manager local -P symbol=MSFT --experiment-name stock"
    for name, command in commands.items():
        found = look(name)
        assert found.status == "not yet"
        assert not found.wrong, found.text
        assert found.line == command


def test_a_run_that_failed_is_told_from_none_in_its_own_words(learner, look):
    learner.run("data", tags={"step": "data", "error": "germany.csv: column 'wind_GW' is missing"}, status="FAILED")
    found = look("table")
    assert found.wrong
    assert found.text == "The run of `data` is FAILED: germany.csv: column 'wind_GW' is missing"
    learner.run("data", tags={"step": "data", "source": "Simulated sample"})
    assert look("table").status == "done"
    assert look("table").text == "Simulated sample"


def test_a_training_without_a_model_is_not_done(learner, look):
    learner.run("rf", tags={"step": "rf"})
    assert "has no model" in look("forest").text
    learner.run("rf", tags={"step": "rf"}, model="model")
    assert look("forest").status == "done"


def test_what_the_gate_said_is_told(learner, look):
    learner.run("promote", tags={"step": "promote", "error": "nothing passes: persistence is as good"}, status="FAILED")
    for step in ("judged", "production"):
        assert look(step).wrong
        assert look(step).text == "The run of `promote` is FAILED: nothing passes: persistence is as good"
    learner.run("promote", tags={"step": "promote", "verdict": "version 1 waits for approval"})
    assert look("judged").text == "version 1 waits for approval"
    assert "waits for your word" in look("production").text
    assert "-e approve" in look("production").line


def test_the_gate_of_another_registered_model_does_not_count(learner, look):
    run_id = learner.run("promote", tags={"step": "promote", "verdict": "no share is better"})
    learner.client.log_param(run_id, "registered_model", "stock_price")
    assert look("judged").status == "not yet"


def test_who_approved_is_told_from_an_alias_that_was_moved_by_hand(learner, look):
    for _ in range(2):
        version = learner.version("wind_solar", learner.run("lr", tags={"step": "lr"}, model="model"), "production")
    entry = {"action": "approve", "to": version, "by": "Ada", "reason": "it is better"}
    assert "the ledger does not know why" in look("production").text
    assert "-e ledger" in look("production").line
    learner.client.set_registered_model_tag("wind_solar", "ledger.000001", json.dumps(entry))
    learner.client.set_registered_model_tag("wind_solar", "ledger.000002", json.dumps(entry | {"action": "reject"}))
    assert look("production").text == "version 2, by Ada: it is better"
    learner.client.set_registered_model_alias("wind_solar", "production", "1")
    assert look("production").wrong


def test_an_alias_of_another_spelling_is_told_from_none(learner, look):
    learner.version("wind_solar", learner.run("lr", tags={"step": "lr"}, model="model"), "Production")
    assert "Version 1 has the alias `Production`; its name should be `production`" in look("production").text


def test_a_report_without_a_page_does_not_count(learner, look):
    run_id = learner.run("2016-W51", experiment="weekly_report", tags={"model_version": "1"})
    assert look("report").status == "not yet"
    learner.client.log_text(run_id, "<html>", "2016-W51.html")
    assert look("report").text == "2016-W51.html, with version 1 of the model"


@pytest.mark.parametrize(
    ("health", "words"),
    [
        ("hello", "but not the dashboard"),
        (
            '{"version": "1", "mlflow": "http://127.0.0.1:1", "problem": null}',
            "reads another MLflow server, http://127",
        ),
        ('{"version": "1", "mlflow": "SERVER", "problem": "No table."}', "version 2 is in production. No table."),
    ],
)
def test_a_dashboard_that_shows_something_else_is_told_from_none(health, words, learner, look, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    folder = learner.folder / "www"
    folder.mkdir()
    (folder / "health").write_text(health.replace("SERVER", "http://localhost:5000"))
    for _ in range(2):
        learner.version("wind_solar", learner.run("lr", tags={"step": "lr"}, model="model"), "production")
    port = os.environ["DASHBOARD_PORT"]
    server = [sys.executable, "-m", "http.server", port, "--bind", "127.0.0.1", "--directory", folder]
    with process("The server", server, learner.folder / "log") as child:
        child.wait_until(lambda: get(f"http://127.0.0.1:{port}/health") is not None, 20)
        found = look("dashboard")
    assert found.wrong
    assert words in found.text


@pytest.mark.slow
def test_the_chapter_passes_on_what_the_projects_the_report_and_the_dashboard_really_leave(
    workflow, mlflow_run, root, tmp_path, free_port
):
    port = str(free_port())
    env = os.environ | {"DASHBOARD_PORT": port}
    report = [sys.executable, root / "report" / "create_report.py", "--output", tmp_path]
    subprocess.run(report, check=True, capture_output=True, timeout=120)
    assert mlflow_run("3_projects/scoring", output=tmp_path / "scored.parquet").returncode == 0
    with mlflow.start_run():  # as the second case study does, see stock/test_stock_run.py, in minutes
        mlflow.set_tag("step", "stock.register")
    version = mlflow.MlflowClient().get_model_version_by_alias("wind_solar", "production").version
    with process("The dashboard", [sys.executable, root / "dashboard" / "app.py"], tmp_path / "log", env=env) as child:
        shown = f'"version":"{version}"'
        child.wait_until(lambda: shown in (get(f"http://127.0.0.1:{port}/health") or "").replace(" ", ""), 60)
        command = [sys.executable, root / "server" / "check.py", "3"]
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\b(\d+) of \1 steps are done\.", done.stdout)
