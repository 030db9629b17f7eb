"""Make the usual mistakes, and read the hints."""

import contextlib
import json
import re
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import joblib
import mlflow
import pytest
from learner import Learner, type_in
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import accuracy_score

from server import check

# What a learner writes for each task that leaves something on the servers.
TASKS = {
    1: 'mlflow.set_experiment("Tracking-Exercise"); run = mlflow.start_run(run_name="mine")',
    2: 'mlflow.set_tag("notebook-type", "exercise")',
    3: 'mlflow.log_artifact(folder / "iris.csv", artifact_path="input_data")',
    4: 'mlflow.log_param("num_trees", n_estimators)',
    5: 'mlflow.log_artifact(folder / "predictions.csv", artifact_path="output_data")',
    6: (
        'model = mlflow.sklearn.log_model(forest, name="model", serialization_format="cloudpickle", '
        "signature=mlflow.models.infer_signature(X_train, predictions), **quick)"
    ),
    7: 'mlflow.log_metric("accuracy", accuracy_score(y_test, predictions)); mlflow.end_run()',
    8: 'version = mlflow.register_model(model.model_uri, "IrisModel")',
    9: 'mlflow.MlflowClient().set_registered_model_alias("IrisModel", "staging", version.version)',
    11: 'mlflow.log_metric("spark_identical", share, run_id=run.info.run_id)',
}
SERVE = 10


@pytest.fixture
def client(tmp_path, monkeypatch) -> Iterator[mlflow.MlflowClient]:
    """Return a client of an empty store of the test's own, where the notebook's runs and models go too."""
    learner = Learner(tmp_path)
    monkeypatch.chdir(tmp_path)  # where MLflow puts the artifacts of such a store
    monkeypatch.setenv("MLFLOW_TRACKING_URI", learner.uri)
    monkeypatch.setattr("mlflow.tracking.fluent._active_experiment_id", None)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "")  # set by MLflow too, and given back after the test
    monkeypatch.delenv("MLFLOW_EXPERIMENT_ID")
    yield learner.client
    while mlflow.active_run():
        mlflow.end_run()


@pytest.fixture
def notebook(client, tmp_path) -> dict:
    """Return the variables that the notebook has."""
    (tmp_path / "iris.csv").write_text("sepal_length,species\n6.0,1\n")
    (tmp_path / "predictions.csv").write_text("sepal_length,species\n6.0,1\n")
    data, species = load_iris(return_X_y=True, as_frame=True)
    forest = RandomForestClassifier(n_estimators=2, random_state=0).fit(data, species)
    joblib.dump(forest, tmp_path / "forest.joblib")
    # Finding out the requirements would take seconds in each test.
    return {
        "mlflow": mlflow,
        "folder": tmp_path,
        "forest": forest,
        "n_estimators": 2,
        "X_train": data,
        "y_test": species,
        "predictions": forest.predict(data),
        "share": 1.0,
        "accuracy_score": accuracy_score,
        "quick": {"pip_requirements": ["scikit-learn"]},
    }


@pytest.fixture
def do(notebook):
    """Return a function that does the tasks up to a number, with other code for some of them."""

    def run(upto: int = 11, **instead: str) -> None:
        for number, code in TASKS.items():
            if number <= upto:
                exec(instead.get(f"task_{number}", code), notebook)

    return run


@pytest.fixture
def look(client):
    """Return a function that says how a task stands; the number of a task is that of its step."""
    steps = check.load("exercise")
    return lambda number: check.look(steps[number - 1], client)


@pytest.fixture
def type_lines(notebook):
    """Return a function that types what a hint says: a command into a terminal, lines of Python into the notebook."""

    def type_them(lines: str) -> None:
        if lines.startswith("mlflow ") and "\n" not in lines:
            type_in(lines)
        else:
            # Spark takes half a minute; test_exercise.py types these lines as they are.
            spark = r"(?m)^ *(import os|from pyspark|os\.|spark|score|by_).*\n"
            lines = re.sub(spark, "", lines).replace("(by_spark.to_numpy() == by_model).mean()", "1.0")
            exec(lines.replace("(forest, ", "(forest, **quick, "), notebook)

    return type_them


@pytest.fixture
def answering(free_port, monkeypatch):
    """Return a context in which something answers on the port of the exercise, with a status and a body."""
    port = free_port()
    monkeypatch.setenv("EXERCISE_PORT", str(port))

    @contextlib.contextmanager
    def serve(status: int, body: str) -> Iterator[list[dict]]:
        asked = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(status)
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_):
                pass

        with HTTPServer(("127.0.0.1", port), Handler) as server:
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
            try:
                yield asked
            finally:
                server.shutdown()

    return serve


def test_all_tasks_done_is_done(do, look, answering):
    do()
    with answering(200, '{"predictions": [2, 1]}') as asked:
        found = [look(number) for number in range(1, 12)]
    assert [one.status for one in found] == ["done"] * 11, found
    assert asked[0]["dataframe_split"]["data"] == [[6.0, 2.2, 5.0, 1.5], [5.7, 2.9, 4.2, 1.3]]


def test_nothing_done_is_nowhere_done(look, answering):
    found = [look(number) for number in range(1, 12)]
    assert {one.status for one in found} == {"not yet"}
    assert not any(one.wrong for one in found)
    assert found[0].text == "The experiment `Tracking-Exercise` has no run. Do task 1."


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5, 6, 7, 8, 9, 11])
def test_a_task_left_out_is_missing_and_not_wrong_and_the_line_of_the_hint_does_it(number, do, look, type_lines):
    # What a later task needs of the one that is left out.
    needed = {6: "model = None", 7: "mlflow.end_run()", 8: "version = None"}
    later = {6: {"task_8": "", "task_9": ""}, 8: {"task_9": ""}, 1: dict.fromkeys(map("task_{}".format, TASKS), "")}
    do(**{f"task_{number}": needed.get(number, "")} | later.get(number, {}))
    found = look(number)
    assert found.status == "not yet"
    assert not found.wrong, found.text
    type_lines(found.line)
    assert look(number).status == "done"
    if number != 1:
        assert mlflow.active_run() is None


# task: what is written instead; what the hint says is wrong
MISTAKES = [
    (1, TASKS[1].replace("Tracking-Exercise", "tracking-exercise"), "an experiment `tracking-exercise`; its name "),
    (1, 'run = mlflow.start_run(run_name="mine")', "Run `mine` went to the experiment `Default`"),
    (1, "open_in_default()", "Run `lost` went to the experiment `Default`"),
    (2, 'mlflow.set_tag("notebook_type", "exercise")', "has the tag `notebook_type`; log a tag and name it `notebook"),
    (2, 'mlflow.set_tag("notebook-type", "Exercise")', "has the value `Exercise`; it should be `exercise`"),
    (3, 'mlflow.log_artifact(folder / "iris.csv")', "`iris.csv` in no folder; log it under `input_data`"),
    (3, "mlflow.log_input(mlflow.data.from_numpy(forest.classes_))", "as a dataset; log the file as an artifact"),
    (4, 'mlflow.log_param("n_estimators", n_estimators)', "parameter `n_estimators`; log a parameter and name it `num"),
    (4, 'mlflow.log_param("num_trees", "n_estimators")', "is `n_estimators`; it should be the number of trees"),
    (6, 'mlflow.log_artifact(folder / "forest.joblib")', "`forest.joblib` as a mere file; log it as a model"),
    (6, TASKS[6].replace('"model"', '"forest"'), "has logged its model as `forest`; name it `model`"),
    (6, "log_without_format()", "began to log its model and failed"),
    (6, re.sub("signature=[^)]*[)], ", "", TASKS[6]), "has no signature that names its columns"),
    (6, "log_as_function()", "not logged as a scikit-learn model"),
    (
        7,
        'mlflow.log_metric("acc", 0.97); mlflow.end_run()',
        "has the metric `acc`; log a metric and name it `accuracy`",
    ),
    (7, 'mlflow.log_metric("accuracy", 97); mlflow.end_run()', "is 97; `accuracy_score` gives a share from 0 to 1"),
    (
        7,
        'mlflow.end_run(); mlflow.start_run(run_name="other"); ' + TASKS[7],
        "`accuracy` is in a run of its own, `o",
    ),
    (
        7,
        'mlflow.end_run(); mlflow.set_experiment("mine"); mlflow.log_metric("acc", 0.97)',
        None,
    ),
    (8, TASKS[8].replace("IrisModel", "irismodel"), "registered as `irismodel`; register it as `IrisModel`"),
    (8, "register_another()", "Version 1 of `IrisModel` holds another model; register this one"),
    (9, TASKS[9].replace("staging", "Staging"), "Version 1 has the alias `Staging`; its name should be `staging`"),
    (9, "give_another()", "is on version 2, another model; give it to version 1"),
    (11, 'mlflow.log_metric("spark_identical", 0.5, run_id=run.info.run_id)', "is 0.5; log a share from 0.85 to 1"),
    (11, 'mlflow.log_metric("spark_identical", 1)', "`spark_identical` is in a run of its own"),
    (11, TASKS[11].replace("spark_identical", "identical_spark"), None),
]


@pytest.fixture
def mistakes(notebook):
    """Give the notebook the mistakes that take more than a line."""

    def other_run():
        with mlflow.start_run(experiment_id="0"):
            return mlflow.sklearn.log_model(
                notebook["forest"], name="model", serialization_format="cloudpickle", **notebook["quick"]
            ).model_uri

    def log_without_format():
        with pytest.raises(mlflow.MlflowException, match="untrusted types"):
            mlflow.sklearn.log_model(notebook["forest"], name="model", **notebook["quick"])

    def log_as_function():
        def predict(model_input: list[str]) -> list[str]:
            return model_input

        mlflow.pyfunc.log_model(name="model", python_model=predict, **notebook["quick"])

    def open_in_default():
        tags = {"mlflow.source.name": "/usr/lib/python3/site-packages/ipykernel_launcher.py"}
        mlflow.MlflowClient().create_run("0", run_name="lost", tags=tags)

    def register_another():
        mlflow.register_model(other_run(), "IrisModel")

    def give_another():
        register_another()
        mlflow.MlflowClient().set_registered_model_alias("IrisModel", "staging", 2)

    notebook |= {key: value for key, value in locals().items() if callable(value)}


@pytest.mark.parametrize(("number", "code", "words"), MISTAKES)
def test_a_mistake_is_told_from_a_missing_task_and_the_lines_of_the_hints_lead_out(
    number, code, words, do, look, mistakes, type_lines
):
    do(upto=max(number, 2), **{f"task_{number}": code})
    found = look(number)
    assert found.status == "not yet"
    if words is None:
        assert not found.wrong
    else:
        assert words in found.text
        assert found.wrong
    typed = []
    while (found := look(number)).status != "done":
        assert len(typed) < 5, typed
        typed.append(found.line)
        type_lines(found.line)


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (400, "{}", "but not the iris model. It says 400 Bad Request"),
        (200, "hello", "but not the iris model. It gives no predictions"),
        (200, '{"predictions": [1]}', "but not the iris model."),
    ],
)
def test_another_program_on_the_port_is_not_taken_for_the_model(status, body, words, look, answering):
    with answering(status, body):
        found = look(SERVE)
    assert found.wrong
    assert words in found.text


def test_a_model_that_was_served_once_counts_and_says_when_after_its_server_was_stopped(do, look, answering):
    found = look(SERVE)
    assert "Nothing listens on port" in found.text
    assert found.line.startswith('mlflow models serve -m "models:/IrisModel@staging" --port ')
    do(upto=1)
    with answering(200, '{"predictions": [2, 1]}'):
        assert look(SERVE).text == "two flowers are of the species 2 and 1"
    found = look(SERVE)
    assert found.status == "done"
    assert re.fullmatch(r"two flowers are of the species 2 and 1, seen on \d{4}-\d\d-\d\d \d\d:\d\d UTC", found.text)


def test_without_java_the_spark_task_is_skipped_and_says_why(do, look, monkeypatch):
    do(task_11="")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert look(11).status == "skipped"
    assert "Java 17" in look(11).text


def test_the_newest_run_with_a_model_is_the_one_that_counts(do, look):
    do(task_2='mlflow.set_tag("notebook-type", "try")', task_8="", task_9="")
    do()
    assert look(2).status == "done"
    mlflow.start_run()
    assert look(2).status == "done", "a run that has just begun does not hide it"
    mlflow.end_run()
    do(task_4="")
    assert look(4).status == "not yet"


def test_a_deleted_experiment_is_brought_back_by_the_command_of_the_hint(do, look, client):
    do()
    client.delete_experiment(client.get_experiment_by_name("Tracking-Exercise").experiment_id)
    type_in(look(1).line)
    assert look(1).status == "done"
