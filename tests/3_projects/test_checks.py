"""Leave behind what chapter 3 leaves, with and without the usual mistakes, and read the hints."""

import os
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


def test_before_the_first_run_every_step_names_its_command(look):
    project, end = "mlflow run 3_projects/", "--experiment-name predicting_wind_solar"
    commands = {
        "table": f"{project}data --env-manager local {end}",
        "regression": f"{project}lr --env-manager local {end}",
        "forest": f"{project}rf --env-manager local -P n_estimators=64 {end}",
        "network": f"{project}keras --env-manager local -P epochs=30 {end}",
        "production": f"{project}registry --env-manager local {end}",
        "report": "python report/create_report.py",
        "dashboard": f"python dashboard/app.py --port {os.environ['DASHBOARD_PORT']}",
    }
    for name, command in commands.items():
        found = look(name)
        assert found.status == "not yet"
        assert not found.wrong, found.text
        assert found.line == command


def test_a_run_that_failed_is_told_from_none_in_its_own_words(learner, look):
    learner.run("data", tags={"step": "data", "error": "germany.csv: column 'wind_GW' is missing"}, status="FAILED")
    found = look("table")
    assert found.wrong
    assert found.text == "The run of 3_projects/data is FAILED: germany.csv: column 'wind_GW' is missing"
    learner.run("data", tags={"step": "data", "source": "Simulated sample"})
    assert look("table").status == "done"
    assert look("table").text == "Simulated sample"


def test_a_training_without_a_model_is_not_done(learner, look):
    learner.run("rf", tags={"step": "rf"})
    assert "has no model" in look("forest").text
    learner.run("rf", tags={"step": "rf"}, model="model")
    assert look("forest").status == "done"


def test_a_model_that_the_judge_refused_is_told_with_the_verdict(learner, look):
    learner.version("wind_solar", learner.run("lr", tags={"step": "lr"}, model="model"))
    refused = {"step": "registry", "error": "version 1 is not promoted: persistence is as good."}
    learner.run("registry", tags=refused, status="FAILED")
    assert look("production").wrong
    assert look("production").text == f"The run of 3_projects/registry is FAILED: {refused['error']}"


def test_an_alias_that_was_taken_away_is_told_with_the_last_verdict(learner, look):
    learner.version("wind_solar", learner.run("lr", tags={"step": "lr"}, model="model"))
    learner.run("registry", tags={"step": "registry", "verdict": "Version 1 is in production now."})
    assert look("production").text == (
        "Nothing is in production, though the judge's last verdict was: Version 1 is in production now. Ask it again."
    )


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
    workflow, root, tmp_path, free_port
):
    port = str(free_port())
    env = os.environ | {"DASHBOARD_PORT": port}
    report = [sys.executable, root / "report" / "create_report.py", "--output", tmp_path]
    subprocess.run(report, check=True, capture_output=True, timeout=120)
    version = mlflow.MlflowClient().get_model_version_by_alias("wind_solar", "production").version
    with process("The dashboard", [sys.executable, root / "dashboard" / "app.py"], tmp_path / "log", env=env) as child:
        shown = f'"version":"{version}"'
        child.wait_until(lambda: shown in (get(f"http://127.0.0.1:{port}/health") or "").replace(" ", ""), 60)
        command = [sys.executable, root / "server" / "check.py", "3"]
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "7 of 7 steps are done." in done.stdout
