"""Ask how far a learner has come: the list, its hints, --watch, and the same as pytest."""

import contextlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
import warnings
from unittest import mock

import mlflow
import numpy as np
import pandas as pd
import pytest
from learner import Learner
from sklearn.dummy import DummyClassifier
from stores import answering, until

from server import check, servers, steps

SCRIPT = check.__file__
LINE = re.compile(r"^  (done|not yet|skipped) +(\d+)\. ", re.MULTILINE)


def run(*arguments: str, **environment: str) -> tuple[int, str]:
    """Type the command in this process, with some variables set anew; return its exit status and what it says."""
    with (
        mock.patch.dict(os.environ, environment),
        mock.patch("sys.argv", ["check", *arguments]),
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()) as said,
    ):
        status = check.main()
    return status, said.getvalue()


# The servers


def test_all_is_well_where_both_servers_run_and_watch_ends_by_itself_then(running_servers):
    for arguments in (["servers"], ["servers", "--watch"]):
        status, said = run(*arguments, COLUMNS="200")
        assert status == 0, said
        assert "mlflow_ftp handles ftp:// and ftps:// addresses" in said
        assert f"the tracking server {running_servers.tracking_uri} and its" in said
        assert "2 of 2 steps are done." in said
    assert said.splitlines()[-1] == "All steps are done."


def test_a_server_that_is_away_is_the_only_thing_that_is_said_with_the_next_command(free_port):
    status, said = run("exercise", MLFLOW_TRACKING_URI=f"http://127.0.0.1:{free_port()}")
    assert status == 1
    assert LINE.findall(said) == [("done", "1"), ("not yet", "2")]
    assert "does not answer" in said
    assert "python workshop.py servers" in said
    assert "Nothing else can be looked at before that." in said


def test_a_plugin_that_does_not_load_is_found_out_though_mlflow_goes_on_without_it(running_servers, tmp_path):
    (tmp_path / "mlflow_ftp").mkdir()
    (tmp_path / "mlflow_ftp" / "__init__.py").write_text("raise ImportError('broken on purpose')")
    env = os.environ | {"PYTHONPATH": str(tmp_path), "COLUMNS": "200"}
    done = subprocess.run([sys.executable, SCRIPT], env=env, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (1, "")
    said = " ".join(done.stdout.split())
    assert "ftp:// addresses are handled by mlflow.store.artifact.ftp_artifact_repo" in said
    assert "broken on purpose" in said
    assert "python -m pip install -e server/mlflow-ftp" in said


# The list


def result(title: str, status: str, text: str = "", line: str = "", **more) -> check.Result:
    step = check.Step(more.pop("chapter", "2"), title, lambda client: None, more.pop("ending", ""))
    return check.Result(step, status, text, line, **more)


def test_a_hint_stands_at_all_that_is_wrong_and_at_the_first_thing_missing():
    texts = check.write(
        [
            result("A", "done", "remark"),
            result("B", "not yet", "first hint", "type this\nand that"),
            result("C", "not yet", "second hint"),
            result("D", "not yet", "third hint", wrong=True),
            result("E", "not yet", "third hint", wrong=True),
            result("F", "not yet", "fourth hint", chapter="3"),
        ]
    )
    assert list(texts.values()) == [
        "  done      1. A: remark",
        "  not yet   2. B\n               first hint\n                   type this\n                   and that",
        "  not yet   3. C",
        "  not yet   4. D\n               third hint",
        "  not yet   5. E",
        "  not yet   1. F\n               fourth hint",
    ]


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_sentences_fit_into_the_terminal_and_commands_stay_whole(columns, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    command = "mlflow run 3_projects/data --env-manager local --experiment-name predicting_wind_solar"
    texts = check.write([result("Title " * 20, "done", "word " * 30), result("B", "not yet", "hint " * 40, command)])
    lines = "\n".join(texts.values()).splitlines()
    assert max(len(line) for line in lines if command not in line) < columns
    assert sum(line.strip() == command for line in lines) == 1


@pytest.mark.parametrize(("first", "last"), [("done", "done"), ("done", "not yet"), ("not yet", "done")])
def test_what_a_chapter_says_at_its_end_is_said_only_when_all_of_it_is_done(first, last):
    texts = check.write([result("A", first), result("B", last, ending="Solved. See solution.ipynb.")])
    assert ("Solved. See solution.ipynb." in "".join(texts.values())) == (first == last == "done")


def test_every_step_of_every_chapter_has_a_title_of_its_own_that_fits_into_a_line():
    titles = [(step.chapter, step.title) for chapter in check.CHAPTERS for step in check.load(chapter)]
    assert len(titles) == len(set(titles)) > 25
    assert max(len(title) for _, title in titles) <= 64


def test_the_list_goes_through_all_chapters_and_gives_a_hint_for_each(running_servers, free_port):
    status, said = run(EXERCISE_PORT=str(free_port()), DASHBOARD_PORT=str(free_port()), COLUMNS="80")
    assert status == 1
    headings = [heading for heading, _ in check.CHAPTERS.values()]
    assert [line for line in said.splitlines() if line in headings] == headings
    assert re.search(r"\d+ of \d+ steps are done", said.splitlines()[-1])


def test_mlflow_that_cannot_be_asked_is_said_in_a_line():
    def fails(client):
        raise mlflow.MlflowException("API request failed\nwith a long story")

    one = check.look(check.Step("2", "A", fails), None)
    assert (one.status, one.text) == ("not yet", "MLflow could not be asked: API request failed")


# What steps share


@pytest.mark.parametrize(
    ("wanted", "name"),
    [
        ("notebook-type", "NotebookType"),
        ("notebook-type", "notebok-type"),
        ("Tracking-Exercise", "tracking exercise"),
        ("num_trees", "numtrees"),
        ("accuracy", "acuracy"),
        ("num_trees", "n_estimators"),
    ],
)
def test_a_name_that_was_meant_is_recognized(wanted, name):
    assert steps.similar(wanted, ["other", name, "more"], also=["n_estimators"]) == name


@pytest.mark.parametrize("name", ["linreg-autolog", "rf-64-depth-10", "chapter_2", "loss", "x"])
def test_a_name_that_was_not_meant_is_left_alone(name):
    for wanted in ("linreg", "rf-64", "rmse_solar_GW", "accuracy", "chapter_3"):
        assert steps.similar(wanted, [name]) is None


# All is done, and stays done


def do_the_exercise() -> None:
    """Do what its eleven tasks ask for, on the servers that the environment names."""
    flowers = pd.DataFrame({"sepal_length": [6.0, 5.7]})
    mlflow.set_experiment("Tracking-Exercise")
    with mlflow.start_run():
        mlflow.set_tag("notebook-type", "exercise")
        mlflow.log_param("num_trees", 50)
        mlflow.log_metrics({"accuracy": 0.9, "spark_identical": 1.0})
        for folder in ("input_data", "output_data"):
            mlflow.log_text("6.0,1", f"{folder}/flowers.csv")
        logged = mlflow.sklearn.log_model(
            DummyClassifier().fit(flowers, [2, 1]),
            name="model",
            signature=mlflow.models.infer_signature(flowers, np.array([2, 1])),
            pip_requirements=["scikit-learn"],
        )
    version = mlflow.register_model(logged.model_uri, "IrisModel").version
    mlflow.MlflowClient().set_registered_model_alias("IrisModel", "staging", version)


@pytest.mark.slow
def test_the_check_ends_0_when_all_is_done_and_after_what_was_looked_at_has_ended(
    tmp_path, login, free_port, monkeypatch
):
    exercise, dashboard, ftp, tracking = (free_port() for _ in range(4))
    address = f"http://127.0.0.1:{tracking}"
    for name, value in (("EXERCISE_PORT", exercise), ("DASHBOARD_PORT", dashboard), ("MLFLOW_TRACKING_URI", address)):
        monkeypatch.setenv(name, str(value))
    monkeypatch.setattr("mlflow.tracking.fluent._active_experiment_id", None)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "")  # set by MLflow too, and given back after the test
    monkeypatch.delenv("MLFLOW_EXPERIMENT_ID")
    with servers.servers(tmp_path, tmp_path / "logs", ftp, tracking):
        learner = Learner(tmp_path, address)
        learner.do_chapter_2()
        learner.do_chapter_3()
        do_the_exercise()
        status, said = run()
        assert status == 1
        assert said.count("not yet") == 2, said  # a served model, and the dashboard
        answers = {exercise: {"predictions": [2, 1]}, dashboard: {"version": "1", "mlflow": address, "problem": None}}
        with contextlib.ExitStack() as programs:
            for port, answer in answers.items():
                programs.enter_context(answering(json.dumps(answer).encode(), port))
            status, said = run()
            assert status == 0, said
            assert "seen on" not in said
        status, said = run()
    assert status == 0, said
    assert said.count("seen on") == 2


# --watch


@pytest.mark.skipif(os.name == "nt", reason="Windows has no signals to send")
def test_watch_prints_a_step_again_only_when_it_changes_and_ctrl_c_is_a_good_end(running_servers, tmp_path, free_port):
    output = tmp_path / "output"
    env = os.environ | {"EXERCISE_PORT": str(free_port())}
    client = mlflow.MlflowClient()

    def says(words: str) -> str:
        until(lambda: words in output.read_text(), 30)
        return output.read_text()

    with output.open("w") as file:
        command = [sys.executable, SCRIPT, "exercise", "--watch"]
        watch = subprocess.Popen(command, env=env, stdout=file, stderr=subprocess.STDOUT)
    try:
        first = says("0 of 11 steps are done.")
        experiment = client.create_experiment("Tracking-Exercise")
        try:
            run_id = client.create_run(experiment, run_name="mine").info.run_id
            says("notebook-type")
            second = says("`mine`")[len(first) :]
            client.set_tag(run_id, "notebook-type", "exercise")
            time.sleep(2 * check.PAUSE)
            third = says("done      2.")[len(first) + len(second) :]
        finally:
            client.rename_experiment(experiment, f"test {experiment}")
            client.delete_experiment(experiment)
        watch.send_signal(signal.SIGINT)
        assert watch.wait(20) == 0
    finally:
        watch.kill()
        watch.wait()
    assert LINE.findall(first) == [("not yet", str(number)) for number in range(1, 12)]
    # A step is printed because it is done now, and the next one because it has the hint now.
    assert LINE.findall(second) == [("done", "1"), ("not yet", "2")]
    assert re.match(r"\n\d\d:\d\d:\d\d\n  done ", second)
    assert LINE.findall(third) == [("done", "2"), ("not yet", "3")]
    assert "Traceback" not in output.read_text()
    assert "\r" not in output.read_text()


# The same as pytest


def test_the_same_checks_are_a_pytest_file(running_servers, root, free_port):
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "server/check_pytest.py", "-k"]
    # Where CI is set, pytest repeats each message in its summary.
    env = {name: value for name, value in os.environ.items() if name != "CI"} | {"EXERCISE_PORT": str(free_port())}
    command.append("servers or exercise")
    done = subprocess.run(command, cwd=root, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert "11 failed, 2 passed" in done.stdout
    assert "The experiment `Tracking-Exercise` has no run. Do task 1." in done.stdout
    assert "Traceback" not in done.stdout
    with mock.patch.dict(os.environ), warnings.catch_warnings():
        from server import check_pytest  # which sets them

    with pytest.raises(pytest.fail.Exception, match=r"The servers come first: python workshop\.py check servers"):
        check_pytest.test_step(check_pytest.STEPS[-1], {})  # as it is where the servers are away
