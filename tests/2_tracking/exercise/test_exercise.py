"""Run the three notebooks as a learner would, and ask the check what it makes of them."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient
from notebooks import shown, started
from stores import until

from server import check
from server.processes import process
from server.servers import get, listens

SCRIPT = Path(check.__file__)
FOLDER = Path(__file__).resolve().parents[3] / "2_tracking" / "exercise"


@pytest.fixture
def client(running_servers) -> Iterator[MlflowClient]:
    """Return a client; what the notebooks have left on the servers is gone after a test."""
    client = MlflowClient()
    yield client
    for experiment in map(client.get_experiment_by_name, ("Tracking-Example", "Tracking-Exercise")):
        if experiment:  # a deleted one keeps its name, which the other test needs
            client.rename_experiment(experiment.experiment_id, f"test {experiment.experiment_id}")
            client.delete_experiment(experiment.experiment_id)
    for name in {model.name for model in client.search_registered_models()} & {"IrisModel", "WineModel"}:
        client.delete_registered_model(name)


@pytest.fixture
def ports(free_port, monkeypatch) -> None:
    """Let the models be served on free ports."""
    for name in ("EXERCISE_PORT", "EXAMPLE_PORT"):
        monkeypatch.setenv(name, str(free_port()))


@pytest.fixture
def java() -> None:
    """Ask for the Java that Spark needs; CI has to have it."""
    said = shutil.which("java") and subprocess.run(["java", "-version"], capture_output=True, text=True).stderr
    if not said or int(re.search(r'version "(\d+)', said)[1]) < 17:
        reason = "Spark needs Java 17 or newer on the PATH"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)


def check_exercise() -> subprocess.CompletedProcess:
    """Ask for the exercise in a wide terminal."""
    command = [sys.executable, SCRIPT, "exercise"]
    env = os.environ | {"COLUMNS": "120"}
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)


def statuses(client: MlflowClient) -> list[str]:
    return [check.look(step, client).status for step in check.load("exercise")]


def files(client, run_id: str) -> list[str]:
    folders = [entry.path for entry in client.list_artifacts(run_id)]
    return [entry.path for folder in folders for entry in client.list_artifacts(run_id, folder)]


@pytest.mark.slow
def test_the_example_solves_no_task_and_the_solution_does_all_that_is_asked_for_and_is_named_then(client, ports, java):
    with started() as kernel:
        example = shown(kernel.run(FOLDER / "example.ipynb"))
        assert statuses(client) == ["not yet"] * 11
        assert not listens(int(os.environ["EXAMPLE_PORT"]))
        solution = shown(kernel.run(FOLDER / "solution.ipynb"))
        done = check_exercise()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "11 of 11 steps are done." in done.stdout
    assert "2_tracking/exercise/solution.ipynb" in done.stdout

    assert "predictions" in example["task-10-code"]
    [run] = client.search_runs([client.get_experiment_by_name("Tracking-Example").experiment_id])
    assert run.data.tags["notebook-type"] == "example"
    assert run.data.params == {"depth": "5"}
    assert set(run.data.metrics) == {"balanced_accuracy", "spark_agrees"}
    assert run.data.metrics["balanced_accuracy"] > 0.85
    assert run.data.metrics["spark_agrees"] == 1
    assert files(client, run.info.run_id) == ["wine_given/wine.csv", "wine_predicted/predictions.csv"]
    assert client.get_model_version_by_alias("WineModel", "candidate").run_id == run.info.run_id

    # The same of the solution, without the check.
    [run] = client.search_runs([client.get_experiment_by_name("Tracking-Exercise").experiment_id])
    assert run.data.tags["notebook-type"] == "exercise"
    assert run.data.params == {"num_trees": "50"}
    assert run.data.metrics["accuracy"] > 0.85
    assert run.data.metrics["spark_identical"] == 1
    assert files(client, run.info.run_id) == ["input_data/iris.csv", "output_data/predictions.csv"]
    [output] = run.outputs.model_outputs
    assert client.get_logged_model(output.model_id).name == "model"
    assert client.get_model_version_by_alias("IrisModel", "staging").source == f"models:/{output.model_id}"
    assert mlflow.sklearn.load_model("models:/IrisModel@staging").n_estimators == 50
    assert solution["task-10-code"] == "{'predictions': [2, 1]}"

    # The model server went with the kernel.
    until(lambda: not listens(int(os.environ["EXERCISE_PORT"])), 10)


@pytest.mark.slow
def test_the_untouched_exercise_tracks_nothing_and_who_types_only_what_the_hints_say_reaches_the_end(
    client, ports, java, tmp_path
):
    steps, typed, runs = check.load("exercise"), [], len(mlflow.search_runs(search_all_experiments=True))

    def first_to_do() -> check.Result | None:
        return next((result for step in steps if (result := check.look(step, client)).status != "done"), None)

    with started() as kernel, contextlib.ExitStack() as terminals:
        exercise = shown(kernel.run(FOLDER / "exercise.ipynb"))
        assert "of the predictions are right" in exercise["predict-code"]
        assert len(mlflow.search_runs(search_all_experiments=True)) == runs
        assert client.get_experiment_by_name("Tracking-Exercise") is None
        done = check_exercise()
        assert done.returncode == 1
        assert done.stdout.count("\n  not yet ") == 11
        assert "0 of 11 steps are done." in done.stdout
        assert "Do task 1." in done.stdout
        assert "solution" not in done.stdout
        while found := first_to_do():
            assert found.line not in typed, (found, typed)
            typed.append(found.line)
            if found.line.startswith("mlflow models serve"):
                command = [sys.executable, "-m", *found.line.replace('"', "").split()]
                server = terminals.enter_context(process("The model", command, tmp_path / "serve.log"))
                server.wait_until(lambda: get(f"http://127.0.0.1:{os.environ['EXERCISE_PORT']}/ping") is not None, 120)
            else:
                kernel.type_in(found.line)
    assert len(typed) == len(steps)
    assert not listens(int(os.environ["EXERCISE_PORT"]))
    done = check_exercise()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 and 1, seen on 20" in " ".join(done.stdout.split())


def test_each_task_has_a_text_and_an_empty_cell_and_the_example_and_the_solution_have_it_too():
    cells = {
        name: {cell["id"]: "".join(cell["source"]) for cell in json.loads((FOLDER / name).read_text())["cells"]}
        for name in ("exercise.ipynb", "example.ipynb", "solution.ipynb")
    }
    tasks = [f"task-{number:02d}" for number in range(1, 12)]
    steps = check.load("exercise")
    assert len(steps) == len(tasks)
    for number, task in enumerate(tasks, 1):
        titles = {source[task].splitlines()[0] for source in cells.values()}
        assert len(titles) == 1
        assert titles.pop().startswith(f"## Task {number}: ")
        assert cells["exercise.ipynb"][f"{task}-code"] == "# your code"
        assert "your code" not in cells["example.ipynb"][f"{task}-code"] + cells["solution.ipynb"][f"{task}-code"]
