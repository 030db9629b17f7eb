"""Run the three notebooks as a learner would, and ask the check what it makes of them."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import mlflow
import nbformat
import pytest
from nbclient import NotebookClient

from server import check
from server.processes import process
from server.servers import get, listens

SCRIPT = Path(check.__file__)


@pytest.fixture
def folder(root) -> Path:
    return root / "2_tracking" / "exercise"


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


def execute(path: Path, at_the_end=lambda: None) -> tuple[nbformat.NotebookNode, object]:
    """Return a notebook after its run, and what ``at_the_end`` gave while its kernel was still there."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook, kernel_name="python3", timeout=300, resources={"metadata": {"path": str(path.parent)}}
    )
    with client.setup_kernel(transport_encryption="auto"):
        for index, cell in enumerate(notebook.cells):
            client.execute_cell(cell, index)
        return notebook, at_the_end()


def check_exercise() -> subprocess.CompletedProcess:
    """Ask for the exercise in a wide terminal."""
    command = [sys.executable, SCRIPT, "exercise"]
    env = os.environ | {"COLUMNS": "120"}
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)


def shown(notebook: nbformat.NotebookNode, cell_id: str) -> str:
    """Return what a cell has printed, and the value of its last line."""
    outputs = next(cell.outputs for cell in notebook.cells if cell.id == cell_id)
    values = [output.get("text") or output.get("data", {}).get("text/plain", "") for output in outputs]
    return "".join(value for value, output in zip(values, outputs, strict=True) if output.get("name") != "stderr")


def files(client, run_id: str) -> list[str]:
    folders = [entry.path for entry in client.list_artifacts(run_id)]
    return [entry.path for folder in folders for entry in client.list_artifacts(run_id, folder)]


def test_the_untouched_exercise_runs_and_tracks_nothing_and_no_task_is_done(client, folder, ports):
    runs = len(mlflow.search_runs(search_all_experiments=True))
    notebook, _ = execute(folder / "exercise.ipynb")
    assert "of the predictions are right" in shown(notebook, "predict-code")
    assert len(mlflow.search_runs(search_all_experiments=True)) == runs
    assert client.get_experiment_by_name("Tracking-Exercise") is None
    done = check_exercise()
    assert done.returncode == 1
    assert done.stdout.count("\n  not yet ") == 11
    assert "0 of 11 steps are done." in done.stdout
    assert "Do task 1." in done.stdout
    assert "solution" not in done.stdout


@pytest.mark.slow
def test_the_solution_does_all_that_is_asked_for_and_is_named_then(client, folder, ports, java):
    notebook, done = execute(folder / "solution.ipynb", check_exercise)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "11 of 11 steps are done." in done.stdout
    assert "2_tracking/exercise/solution.ipynb" in done.stdout

    # The same without the check.
    experiment = client.get_experiment_by_name("Tracking-Exercise")
    [run] = client.search_runs([experiment.experiment_id])
    assert run.data.tags["notebook-type"] == "exercise"
    assert run.data.params == {"num_trees": "50"}
    assert run.data.metrics["accuracy"] > 0.85
    assert run.data.metrics["spark_identical"] == 1
    assert files(client, run.info.run_id) == ["input_data/iris.csv", "output_data/predictions.csv"]
    [output] = run.outputs.model_outputs
    assert client.get_logged_model(output.model_id).name == "model"
    version = client.get_model_version_by_alias("IrisModel", "staging")
    assert version.source == f"models:/{output.model_id}"
    loaded = mlflow.sklearn.load_model("models:/IrisModel@staging")
    assert loaded.n_estimators == 50
    assert shown(notebook, "task-10-code") == "{'predictions': [2, 1]}"

    # The model server went with the kernel.
    deadline = time.monotonic() + 10
    while listens(int(os.environ["EXERCISE_PORT"])):
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.slow
def test_the_example_does_the_same_with_other_names_which_solve_no_task(client, folder, ports, java):
    notebook, done = execute(folder / "example.ipynb", check_exercise)
    assert done.stdout.count("\n  not yet ") == 11
    assert "predictions" in shown(notebook, "task-10-code")
    assert not listens(int(os.environ["EXAMPLE_PORT"]))
    [run] = client.search_runs([client.get_experiment_by_name("Tracking-Example").experiment_id])
    assert run.data.tags["notebook-type"] == "example"
    assert run.data.params == {"depth": "5"}
    assert set(run.data.metrics) == {"balanced_accuracy", "spark_agrees"}
    assert run.data.metrics["balanced_accuracy"] > 0.85
    assert run.data.metrics["spark_agrees"] == 1
    assert files(client, run.info.run_id) == ["wine_given/wine.csv", "wine_predicted/predictions.csv"]
    assert client.get_model_version_by_alias("WineModel", "candidate").run_id == run.info.run_id


@pytest.mark.slow
def test_who_types_only_what_the_hints_say_reaches_the_end_which_stays(client, folder, ports, java, tmp_path):
    notebook = nbformat.read(folder / "exercise.ipynb", as_version=4)
    kernel = NotebookClient(notebook, kernel_name="python3", timeout=300, resources={"metadata": {"path": str(folder)}})
    steps, typed = check.load("exercise"), []

    def first_to_do() -> check.Result | None:
        return next((result for step in steps if (result := check.look(step, client)).status != "done"), None)

    with kernel.setup_kernel(transport_encryption="auto"), contextlib.ExitStack() as terminals:
        for index, cell in enumerate(list(notebook.cells)):
            kernel.execute_cell(cell, index)
        while found := first_to_do():
            assert found.line not in typed, (found, typed)
            typed.append(found.line)
            if found.line.startswith("mlflow models serve"):
                command = [sys.executable, "-m", *found.line.replace('"', "").split()]
                server = terminals.enter_context(process("The model", command, tmp_path / "serve.log"))
                server.wait_until(lambda: get(f"http://127.0.0.1:{os.environ['EXERCISE_PORT']}/ping") is not None, 120)
            else:
                notebook.cells.append(nbformat.v4.new_code_cell(found.line))
                kernel.execute_cell(notebook.cells[-1], len(notebook.cells) - 1)
    assert len(typed) == len(steps)
    assert not listens(int(os.environ["EXERCISE_PORT"]))
    done = check_exercise()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 and 1, seen on 20" in " ".join(done.stdout.split())


def test_each_task_has_a_text_and_an_empty_cell_and_the_example_and_the_solution_have_it_too(folder):
    cells = {
        name: {cell["id"]: "".join(cell["source"]) for cell in json.loads((folder / name).read_text())["cells"]}
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
