"""The exercise of chapter 2: a run with all that belongs to it, its model registered, served, and used by Spark."""

import json
import os
import shutil
import urllib.error
import urllib.request

import mlflow
from mlflow import MlflowClient
from mlflow.entities import LoggedModel, Run
from servers import HOST, listens, opener
from steps import (
    NotYet,
    Skipped,
    Wrong,
    find_experiment,
    logged_model,
    recorded,
    registered,
    similar,
    version_with_alias,
    within,
)

EXPERIMENT, REGISTERED, ALIAS = "Tracking-Exercise", "IrisModel", "staging"
ENDING = "The exercise is solved. One way to do it is in 2_tracking/exercise/solution.ipynb."
FLOWERS = [[6.0, 2.2, 5.0, 1.5], [5.7, 2.9, 4.2, 1.3]]
COLUMNS = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
LOG_MODEL = 'model = mlflow.sklearn.log_model(forest, name="model", serialization_format="cloudpickle")'
SPARK = 'mlflow.log_metric("spark_identical", share)'


def port() -> int:
    """Return where the model is to be served: 5050, if the environment names no other port."""
    return int(os.environ.get("EXERCISE_PORT", "5050"))


def runs(client: MlflowClient) -> list[Run]:
    """Return the runs of the experiment, the newest first; raises NotYet if there is none."""
    start = f'mlflow.set_experiment("{EXPERIMENT}")'
    try:
        experiment = find_experiment(client, EXPERIMENT, start)
        found = client.search_runs([experiment.experiment_id])
    except Wrong:
        raise
    except NotYet:
        found = []
    if found:
        return found
    everywhere = [experiment.experiment_id for experiment in client.search_experiments()]
    in_notebook = "tags.mlflow.source.name LIKE '%ipykernel%' and attributes.status = 'RUNNING'"
    tagged = client.search_runs(everywhere, "tags.`notebook-type` = 'exercise'")
    if strays := client.search_runs(["0"], in_notebook) or tagged:
        name = client.get_experiment(strays[0].info.experiment_id).name
        raise Wrong(
            f"Run `{strays[0].info.run_name}` went to the experiment `{name}`. End it, and name yours before you start "
            "another.",
            f"mlflow.end_run()\n{start}\nrun = mlflow.start_run()",
        )
    raise NotYet(f"The experiment `{EXPERIMENT}` has no run. Do task 1.", f"{start}\nrun = mlflow.start_run()")


def the_run(client: MlflowClient) -> Run:
    """Return the run that counts: the newest one with a model, as long as there is none the newest one."""
    found = runs(client)
    return next((run for run in found if run.outputs.model_outputs), found[0])


def noted(client: MlflowClient, kind: str, name: str, line: str, also: tuple[str, ...] = ()) -> str | float:
    """Return what the run has noted; raises NotYet, or Wrong if another run of the experiment has it."""
    run = the_run(client)
    try:
        return recorded(run, kind, name, line, also)
    except NotYet:
        others = [other for other in runs(client) if other.info.run_id != run.info.run_id]
        for other in others:
            kinds = {"tag": other.data.tags, "parameter": other.data.params, "metric": other.data.metrics}
            if name in kinds[kind] and other.info.start_time > run.info.start_time:
                raise Wrong(
                    f"`{name}` is in a run of its own, `{other.info.run_name}`. Log it in `{run.info.run_name}`, which "
                    "has the model.",
                    within(run, line),
                ) from None
        raise


def files(client: MlflowClient, run: Run, folder: str | None = None) -> list[str]:
    """Return the paths of all artifacts of a run."""
    paths = []
    for entry in client.list_artifacts(run.info.run_id, folder):
        paths += files(client, run, entry.path) if entry.is_dir else [entry.path]
    return paths


def check_folder(client: MlflowClient, name: str, file: str) -> str:
    """Return the first file that the run has in a folder; raises NotYet, or Wrong if its ``file`` is elsewhere."""
    line = f'mlflow.log_artifact(folder / "{file}", artifact_path="{name}")'
    run = the_run(client)
    paths = files(client, run)
    if inside := [path for path in paths if path.startswith(f"{name}/")]:
        return inside[0]
    title, line = run.info.run_name, within(run, line)
    if found := similar(name, (path.split("/")[0] for path in paths if "/" in path)):
        raise Wrong(f"Run `{title}` has the folder `{found}`; its name should be `{name}`.", line)
    if file in paths:
        raise Wrong(f"Run `{title}` has `{file}` in no folder; log it under `{name}`.", line)
    raise NotYet(f"Run `{title}` has no artifact under `{name}`.", line)


def the_model(client: MlflowClient) -> LoggedModel:
    """Return the model of the run; raises NotYet, or Wrong if it was logged as a mere file."""
    run = the_run(client)
    if not run.outputs.model_outputs:
        pickles = [path for path in files(client, run) if path.endswith((".pkl", ".pickle", ".joblib", ".skops"))]
        if pickles:
            raise Wrong(
                f"Run `{run.info.run_name}` has `{pickles[0]}` as a mere file; log it as a model.",
                within(run, LOG_MODEL),
            )
    return logged_model(client, run, "model", LOG_MODEL)


def experiment(client: MlflowClient) -> str:
    """Start a run in the experiment `Tracking-Exercise`."""
    return f"`{the_run(client).info.run_name}`"


def tag(client: MlflowClient) -> None:
    """Give the run the tag `notebook-type` with the value `exercise`."""
    line = 'mlflow.set_tag("notebook-type", "exercise")'
    value = noted(client, "tag", "notebook-type", line)
    if value != "exercise":
        raise Wrong(
            f"The tag `notebook-type` has the value `{value}`; it should be `exercise`.", within(the_run(client), line)
        )


def input_data(client: MlflowClient) -> str:
    """Log the input data as an artifact under `input_data`."""
    line = 'mlflow.log_artifact(folder / "iris.csv", artifact_path="input_data")'
    try:
        return check_folder(client, "input_data", "iris.csv")
    except Wrong:
        raise
    except NotYet:
        if (run := the_run(client)).inputs.dataset_inputs:
            raise Wrong(
                f"Run `{run.info.run_name}` has the input data as a dataset; log the file as an artifact.",
                within(run, line),
            ) from None
        raise


def parameter(client: MlflowClient) -> str:
    """Log `n_estimators` as the parameter `num_trees`."""
    line = 'mlflow.log_param("num_trees", n_estimators)'
    value = noted(client, "parameter", "num_trees", line, also=("n_estimators", "trees"))
    if not value.isdecimal():
        raise Wrong(
            f"The parameter `num_trees` is `{value}`; it should be the number of trees. A run keeps its parameters, so "
            "begin again with task 1.",
            line,
        )
    return value


def output_data(client: MlflowClient) -> str:
    """Log the predictions as an artifact under `output_data`."""
    return check_folder(client, "output_data", "predictions.csv")


def model(client: MlflowClient) -> None:
    """Log the scikit-learn model as `model`."""
    if "sklearn" not in mlflow.models.get_model_info(the_model(client).model_uri).flavors:
        raise Wrong("The model is not logged as a scikit-learn model.", within(the_run(client), LOG_MODEL))


def accuracy(client: MlflowClient) -> str:
    """Log `accuracy_score` as the metric `accuracy`."""
    line = 'mlflow.log_metric("accuracy", accuracy_score(y_test, predictions))'
    value = noted(
        client, "metric", "accuracy", line, also=("acc", "accuracy_score", "training_accuracy_score", "score")
    )
    if not 0 <= value <= 1:
        raise Wrong(
            f"The metric `accuracy` is {value:g}; `accuracy_score` gives a share from 0 to 1.",
            within(the_run(client), line),
        )
    return f"{value:.3f}"


def registered_model(client: MlflowClient) -> str:
    """Register the model as `IrisModel`."""
    line = f'version = mlflow.register_model(model.model_uri, "{REGISTERED}")'
    return f"version {registered(client, the_run(client).info.run_id, REGISTERED, line)[0].version}"


def alias(client: MlflowClient) -> str:
    """Give this version the alias `staging`."""
    own = registered(client, the_run(client).info.run_id, REGISTERED, "")
    line = f'mlflow.MlflowClient().set_registered_model_alias("{REGISTERED}", "{ALIAS}", {own[0].version})'
    version = version_with_alias(client, REGISTERED, ALIAS, line)
    if version.version not in [one.version for one in own]:
        raise Wrong(
            f"The alias `{ALIAS}` is on version {version.version}, the model of another run; give it to version "
            f"{own[0].version}.",
            line,
        )
    return f"version {version.version}"


def served(client: MlflowClient) -> str:
    """Serve the model, so that it answers at `/invocations`."""
    line = f'mlflow models serve -m "models:/{REGISTERED}@{ALIAS}" --port {port()} --env-manager local'
    if not listens(port()):
        raise NotYet(f"Nothing listens on port {port()}. Serve the model from a terminal of its own.", line)
    answer = ""
    # The second form is for a model without the names of its columns.
    for body in ({"dataframe_split": {"columns": COLUMNS, "data": FLOWERS}}, {"inputs": FLOWERS}):
        request = urllib.request.Request(
            f"http://{HOST}:{port()}/invocations", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        try:
            with opener.open(request, timeout=10) as response:
                predictions = json.load(response)["predictions"]
        except urllib.error.HTTPError as error:
            answer = f" It says {error.code} {error.reason}."
        except (OSError, ValueError, LookupError, TypeError):
            answer = " It gives no predictions."
        else:
            if len(predictions) == len(FLOWERS):
                return f"two flowers are of the species {predictions[0]} and {predictions[1]}"
    raise Wrong(f"Something answers on port {port()}, but not the iris model.{answer} Stop it, and serve yours.", line)


def spark(client: MlflowClient) -> str:
    """Score with Spark, and compare with the loaded model."""
    try:
        share = noted(client, "metric", "spark_identical", SPARK)
    except NotYet as error:
        if not isinstance(error, Wrong) and shutil.which("java") is None:
            raise Skipped("Spark needs Java 17 or newer, and there is no `java` on the PATH") from None
        raise
    if share > 1:
        raise Wrong(f"`spark_identical` is {share:g}; log a share from 0 to 1.", within(the_run(client), SPARK))
    if share < 0.85:
        raise Wrong(
            f"`spark_identical` is {share:.2f}; at least 0.85 is asked for, and 1.00 is to be had. Do both score the "
            "same rows in the same order?",
            within(the_run(client), SPARK),
        )
    return f"{share:.0%} identical"


STEPS = [
    experiment,
    tag,
    input_data,
    parameter,
    output_data,
    model,
    accuracy,
    registered_model,
    alias,
    served,
    spark,
]
