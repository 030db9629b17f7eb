"""Leave behind what chapter 3 leaves, with and without the usual mistakes, and read the hints."""

import json
import os
import re
import sys

import mlflow
import pytest
from learner import Learner

from server import check
from server.processes import process
from server.servers import get


@pytest.fixture
def learner(tmp_path, monkeypatch, free_port) -> Learner:
    monkeypatch.setenv("DASHBOARD_PORT", str(free_port()))
    return Learner(tmp_path)


@pytest.fixture
def look(learner):
    """Return a function that says how a step stands."""
    steps = {step.look.__name__: step for step in check.load("3")}
    return lambda name: check.look(steps[name], learner.client)


@pytest.fixture
def ran(learner):
    """Return a function that leaves a run of a project for the learner's own registered model."""

    def leave(project: str, tags: dict | None = None, **more) -> str:
        return learner.run(
            project, "chapter_3", {"project": project} | (tags or {}), {"registered_model": "mine"}, **more
        )

    return leave


@pytest.fixture
def typed(root) -> set[str]:
    """Return the lines that the README lets a learner type."""
    return {
        line.strip() for line in (root / "README.md").read_text(encoding="utf-8").splitlines() if line[:4] == " " * 4
    }


def test_before_the_first_run_every_step_names_a_command_of_the_readme(learner, look, typed):
    dashboard = f"python dashboard/app.py --port {os.environ['DASHBOARD_PORT']}"
    for step in check.load("3"):
        found = look(step.look.__name__)
        assert found.status == "not yet"
        assert not found.wrong, found.text
        assert found.line in typed | {dashboard}
    for step in ("report", "dashboard"):
        assert look(step).line == "mlflow run 3_projects/workflow --env-manager local --experiment-name wind_solar"
    learner.version("wind_solar", learner.run("lr"), "production")
    assert look("report").line == "python report/create_report.py"
    assert look("dashboard").line == dashboard


def test_what_the_first_command_has_made_is_not_taken_for_the_learners(learner, look):
    for project in ("data", "lr", "rf", "keras", "boosting", "validate"):
        for experiment in ("wind_solar", "predicting_wind_solar"):
            learner.run(project, experiment, {"project": project}, model="model")
    learner.version("wind_solar", learner.run("lr"), "production")
    learner.decide("wind_solar", "approve", by=None, auto=True)
    made = learner.run("2016-W51", "weekly_report", {"model_version": "1", "made_by": "workshop.py run"})
    learner.client.log_text(made, "<html>", "2016-W51.html")
    assert [step.title for step in check.load("3") if check.look(step, learner.client).status != "not yet"] == []


def test_a_run_that_failed_is_told_from_none_in_its_own_words(ran, look):
    ran("data", {"error": "germany.csv: column 'wind_GW' is missing"}, status="FAILED")
    assert look("table").wrong
    assert look("table").text == "The run of `data` is FAILED: germany.csv: column 'wind_GW' is missing"
    ran("data", {"data_title": "Simulated sample"})
    assert (look("table").status, look("table").text) == ("done", "Simulated sample")
    ran("rf")
    assert "has no model" in look("forest").text
    ran("rf", model="model")
    assert look("forest").status == "done"


def test_what_the_gate_said_is_told(learner, ran, look, typed):
    learner.run("validate", "chapter_3", {"project": "validate"}, {"registered_model": "wind_solar"})
    assert look("judged").wrong
    assert look("judged").text == "`validate` has run for the registered model `wind_solar`, not for `mine`."
    ran("validate", {"error": "nothing passes: persistence is as good"}, status="FAILED")
    ran("validate", {"verdict": "version 1 waits for approval"})
    assert look("judged").text == "version 1 waits for approval"
    assert "No version of `mine` waits for your word" in look("approved").text
    assert "-e validate" in look("approved").line
    learner.version("mine", learner.run("lr"), "candidate")
    assert "Version 1 of `mine` waits for your word" in look("approved").text
    assert "-e approve" in look("approved").line
    assert look("approved").line in typed


def test_an_approval_is_that_of_a_person_and_stays_one_after_a_rollback(learner, ran, look, typed):
    ran("validate")
    for number in "12":
        learner.version("mine", learner.run("lr"), "production")
        learner.decide("mine", "approve", number, from_version="1" if number == "2" else None, by=None, auto=True)
    learner.decide("mine", "reject", None, from_version="3")
    assert look("approved").status == look("rolled_back").status == "not yet"
    assert "-e rollback" in look("rolled_back").line
    assert look("rolled_back").line in typed
    learner.decide("mine", "rollback", "1", from_version="2", by="Bob", reason="too high")
    assert look("approved").status == "not yet"
    assert look("rolled_back").text == "from version 2 to version 1, by Bob: too high"
    learner.decide("mine", "approve", "2", from_version="1", reason="it is better")
    assert look("approved").text == "version 2, by Ada: it is better"
    assert look("rolled_back").status == "done"


def test_an_entry_of_the_ledger_that_was_overwritten_by_hand_is_named(learner, look):
    learner.version("mine", learner.run("lr"))
    learner.client.set_registered_model_tag("mine", "ledger.000001", '{"action": "approve"}')
    for step in ("approved", "rolled_back"):
        assert look(step).wrong
        assert look(step).text.startswith("The tag ledger.000001 of mine is not an entry of the ledger")


def test_where_there_is_nothing_to_take_back_yet_the_next_version_comes_first(learner, ran, look, typed):
    learner.version("mine", learner.run("lr"), "production")
    learner.decide("mine", "approve")
    assert look("rolled_back").line in typed
    assert "-e validate" in look("rolled_back").line
    ran("validate")
    learner.version("mine", learner.run("lr"), "candidate")
    assert look("rolled_back").line in typed
    assert "-e approve" in look("rolled_back").line


def test_a_report_without_a_page_does_not_count(learner, look):
    run_id = learner.run("2016-W51", experiment="weekly_report", tags={"model_version": "1"})
    assert look("report").status == "not yet"
    learner.client.log_text(run_id, "<html>", "2016-W51.html")
    assert look("report").text == "2016-W51.html, with version 1 of the model"
    learner.run("2016-W52", experiment="weekly_report", tags={"model_version": "2"})
    assert look("report").status == "done"


def test_a_dashboard_that_shows_something_else_is_told_from_none(learner, look, monkeypatch):
    uri, port = "http://127.0.0.1:5000", os.environ["DASHBOARD_PORT"]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    health = learner.folder / "www" / "health"
    health.parent.mkdir()
    health.write_text("hello")
    for _ in range(2):
        learner.version("wind_solar", learner.run("lr"), "production")
    server = [sys.executable, "-m", "http.server", port, "--bind", "127.0.0.1", "--directory", health.parent]
    with process("The server", server, learner.folder / "log") as child:
        child.wait_until(lambda: get(f"http://127.0.0.1:{port}/health") is not None, 20)
        assert look("dashboard").wrong
        assert "but not the dashboard" in look("dashboard").text
        for version, mlflow_server, problem, words in (
            ("1", "http://127.0.0.1:1", None, "reads another MLflow server, http://127"),
            ("1", "http://localhost:5000", "No table.", "version 2 is in production. No table."),
        ):
            health.write_text(json.dumps({"version": version, "mlflow": mlflow_server, "problem": problem}))
            assert look("dashboard").wrong
            assert words in look("dashboard").text
        learner.experiment("chapter_3")
        health.write_text(json.dumps({"version": "2", "mlflow": uri, "problem": None}))
        assert look("dashboard").text == f"version 2, http://127.0.0.1:{port}"
    # The dashboard has ended, and then the model is another one.
    learner.version("wind_solar", learner.run("lr"), "production")
    assert re.search("^version 2, .*, seen on 20", look("dashboard").text)


@pytest.mark.slow
def test_the_steps_are_recognized_by_what_projects_and_dashboard_really_leave(
    workflow, here, root, tmp_path, free_port, monkeypatch
):
    """The workflow leaves in one command what a learner types in many, for another model and in another experiment."""
    monkeypatch.setenv("DASHBOARD_PORT", str(free_port()))
    scoring, output = root / "3_projects" / "scoring" / "score.py", tmp_path / "scored.parquet"
    assert here(scoring, f"--output={output}", MLFLOW_EXPERIMENT_NAME="wind_solar").returncode == 0
    look = {step.look.__name__: lambda step=step: check.look(step, mlflow.MlflowClient()) for step in check.load("3")}
    chapter = check.load("3")[0].look.__globals__
    monkeypatch.setitem(chapter, "EXPERIMENT", "wind_solar")
    monkeypatch.setitem(chapter, "REGISTERED", "wind_solar")
    monkeypatch.setattr(chapter["newest_run"], "__defaults__", ("wind_solar",))
    for name in ("table", "regression", "forest", "judged", "network", "boosting", "scored"):
        assert look[name]().status == "done", look[name]()
    assert look["approved"]().status == "not yet", "nobody has approved it"
    version = mlflow.MlflowClient().get_model_version_by_alias("wind_solar", "production").version
    with process("The dashboard", [sys.executable, root / "dashboard" / "app.py"], tmp_path / "log") as child:
        shown, port = f'"version":"{version}"', os.environ["DASHBOARD_PORT"]
        child.wait_until(lambda: shown in (get(f"http://127.0.0.1:{port}/health") or "").replace(" ", ""), 60)
        assert look["dashboard"]().status == "done"
