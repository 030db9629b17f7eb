"""A lesson stands alone: one folder, copied elsewhere, runs there against the servers."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient
from mlflow.utils import string_utils
from windows import through_cmd

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = [ROOT / "3_projects" / name for name in ("data", "lr", "rf", "keras", "boosting")]


def environment(**variables: str) -> dict[str, str]:
    """Return the environment of a terminal in which no experiment is chosen, as an earlier test may have done."""
    return {name: value for name, value in os.environ.items() if name != "MLFLOW_EXPERIMENT_ID"} | variables


@pytest.fixture(scope="module")
def copies(tmp_path_factory, small_csv) -> Path:
    """Copy each lesson, and a small CSV to a folder whose name a shell would take apart."""
    top = tmp_path_factory.mktemp("copies")
    for folder in FOLDERS:
        shutil.copytree(folder, top / folder.name, ignore=shutil.ignore_patterns("__pycache__", "output"))
    shutil.copytree(small_csv.parent, top / "my $(data)")
    return top


@pytest.fixture(scope="module")
def run(running_servers, copies):
    """Return a function that runs a copy, in an experiment of all of them, and returns the run."""

    def run_copy(project: str, entry_point: str = "main", **parameters):
        done = mlflow.projects.run(
            str(copies / project), entry_point, parameters=parameters, experiment_name=str(copies), env_manager="local"
        )
        return mlflow.get_run(done.run_id)

    return run_copy


@pytest.fixture(scope="module")
def data(run, copies):
    return run("data", csv=str(copies / "my $(data)" / "germany.csv"), holdout_days=30)


def check_tags(made, lesson: str, fitted_on: str, data) -> None:
    """Check that a lesson's run says which table it has used, and which part of it the model has learnt from."""
    expected = {"project": lesson, "data_run": data.info.run_id, "fitted_on": fitted_on}
    expected["data_title"] = data.data.tags["data_title"]
    assert expected.items() <= made.data.tags.items()
    assert "imulated" in expected["data_title"]
    assert made.outputs.model_outputs


@pytest.mark.slow
@pytest.mark.parametrize(
    ("lesson", "parameters", "fitted_on"),
    [("lr", {}, "train"), ("rf", {"n_estimators": 4}, "train"), ("keras", {"epochs": 1}, "train,validation")],
    ids=["lr", "rf", "keras"],
)
def test_a_copy_of_a_lesson_trains_on_the_newest_table(run, data, lesson, parameters, fitted_on):
    check_tags(run(lesson, **parameters), lesson, fitted_on, data)


@pytest.mark.slow
def test_a_copy_of_boosting_goes_on_after_kill_9_with_the_trials_that_were_finished(run, data, copies):
    command = [sys.executable, "-m", "mlflow", "run", "boosting", "--env-manager", "local", "-P", "trials=3"]
    command += ["--experiment-name", str(copies)]
    output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    said = []
    with subprocess.Popen(command, cwd=copies, env=environment(), start_new_session=True, **output) as typed:
        for line in typed.stdout:
            said.append(line)
            if "trial 2 of" in line:
                os.killpg(typed.pid, signal.SIGKILL)
                break
    assert typed.returncode == -signal.SIGKILL, "".join(said)
    resumed = run("boosting", trials=3)
    assert resumed.data.metrics["kept_trials"] == 2
    check_tags(resumed, "boosting", "train,validation", data)


@pytest.mark.slow
def test_a_copy_of_the_data_lesson_writes_the_features_of_weather_into_its_own_folder(run, copies):
    made = run("data", "features", csv=str(copies / "my $(data)" / "germany.csv"))
    assert (copies / "data" / "output" / "features.csv").read_text().startswith("utc_timestamp,windspeed,")
    assert made.data.tags["project"] == "features"


def test_lessons_import_nothing_of_this_project_and_look_into_no_folder_above(root):
    for path in (path for folder in FOLDERS for path in folder.glob("*.py")):
        assert not re.search(r"(import|from) (forecasting|mlflow_ftp|server)\b|\.parents?\[", path.read_text()), path


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_typed_without_mlflow_run_a_lesson_has_the_defaults_of_its_mlproject(folder):
    point = mlflow.projects.load_project(folder).get_entry_point("main")
    (script,) = re.findall(r"python (\w+\.py)", point.command)
    for name, parameter in point.parameters.items():
        option = f"--{name.replace('_', '-')}"
        assert f"{option} {{{name}}}" in point.command
        if parameter.type != "path":
            default = f'"{parameter.default}"' if parameter.type == "string" else f"{parameter.default}"
            declared = rf'add_argument\("{option}",.* default={default}[,)]'
            assert re.search(declared, (folder / script).read_text()), option


@pytest.mark.parametrize("windows", [False, True], ids=["bash", "cmd"])
def test_a_path_with_blanks_arrives_whole(windows, monkeypatch, copies):
    monkeypatch.setattr(string_utils, "is_windows", lambda: windows)
    point = mlflow.projects.load_project(copies / "data").get_entry_point("main")
    path = copies / ("my data" if windows else "so it's $(my) & data") / "nothing.csv"
    command = point.compute_command({"csv": str(path), "holdout_days": "30"}, None)
    words = through_cmd(command, {}) if windows else shlex.split(command)
    env = environment(MLFLOW_TRACKING_URI=f"sqlite:///{copies / 'empty.db'}")
    done = subprocess.run(
        [sys.executable, *words[1:]], cwd=copies / "data", env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    sentence = f"data: {path}: no such file. Give the path of a CSV with a column utc_timestamp."
    assert done.stderr.splitlines()[-1] == sentence


@pytest.fixture
def database(tmp_path, monkeypatch, free_port) -> MlflowClient:
    """Return a tracking database with one table in the active experiment, whose artifact store is away."""
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    away = client.create_experiment("away", f"ftp://127.0.0.1:{free_port()}/artifacts")
    made = client.create_run(away, tags={"project": "data", "table_sha256": "f", "used_at": "2000-01-01"})
    client.set_terminated(made.info.run_id)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", away)
    return client


def sentence_of(command: list[str], folder: str) -> str:
    """Run a program of a lesson that has to end with one sentence, and return that."""
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT / "3_projects" / folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stdout
    assert "Traceback" not in done.stderr
    return done.stderr.splitlines()[-1]


def test_a_server_that_is_away_is_named_before_the_training(database, monkeypatch, free_port):
    unread = r"lr: can't read the table \w+ \("
    assert re.match(unread + r".*\)\. Do both servers run, and let you in\?", sentence_of(["train.py"], "lr"))
    monkeypatch.delenv("MLFLOW_EXPERIMENT_ID")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    assert re.match(unread + ".*Connection refused", sentence_of(["train.py"], "lr"))


def test_without_a_table_in_the_experiment_or_a_trial_nothing_is_trained(database, monkeypatch):
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", database.create_experiment("empty"))
    make = "Make one there with: mlflow run 3_projects/data --env-manager local"
    assert sentence_of(["train.py"], "lr") == f"lr: there is no table in this experiment yet. {make}"
    sentence = "boosting: expected at least 1 trial, found 0. The default is 20."
    assert sentence_of(["train.py", "--trials", "0"], "boosting") == sentence


@pytest.mark.slow
def test_a_typed_program_prints_in_an_old_encoding(small_csv, running_servers, tmp_path):
    command = [sys.executable, "ingest.py", "--csv", small_csv, "--holdout-days", "30"]
    env = environment(MLFLOW_EXPERIMENT_NAME=f"typed {uuid.uuid4()}", PYTHONIOENCODING="cp1252")
    done = subprocess.run(
        command, cwd=ROOT / "3_projects" / "data", env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "? View run" in done.stdout
