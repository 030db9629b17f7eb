"""The exercise of chapter 2: a run with all that belongs to it, its model registered, served, and used by Spark."""

import os
import shutil
import textwrap

import httpx
import mlflow
from mlflow import MlflowClient
from mlflow.entities import LoggedModel, Run
from mlflow.entities.model_registry import ModelVersion

from server.servers import HOST, http, listens
from server.steps import NotYet, Skipped, Wrong, kept, logged_model, recorded, runs_in, similar, version_with_alias

EXPERIMENT, REGISTERED, ALIAS = "Tracking-Exercise", "IrisModel", "staging"
ENDING = "The exercise is solved. One way to do it is in 2_tracking/exercise/solution.ipynb."
FLOWERS = [[6.0, 2.2, 5.0, 1.5], [5.7, 2.9, 4.2, 1.3]]
COLUMNS = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
# Whatever run or experiment the notebook is in, these lines lead to a run that counts.
START = f'mlflow.end_run()\nmlflow.set_experiment("{EXPERIMENT}")\nrun = mlflow.start_run()'
LOG_MODEL = """\
signature = mlflow.models.infer_signature(X_train, predictions)
model = mlflow.sklearn.log_model(forest, name="model", signature=signature, serialization_format="cloudpickle")"""
SPARK = f"""\
import os, sys
from pyspark.sql import SparkSession
os.environ["PYSPARK_PYTHON"] = sys.executable
spark = SparkSession.builder.master("local[1]").config("spark.driver.host", "127.0.0.1").getOrCreate()
score = mlflow.pyfunc.spark_udf(spark, "models:/{REGISTERED}@{ALIAS}", env_manager="local", result_type="long")
by_spark = spark.createDataFrame(X_test).select(score(*X_test.columns).alias("species")).toPandas()["species"]
by_model = mlflow.pyfunc.load_model("models:/{REGISTERED}@{ALIAS}").predict(X_test)
mlflow.log_metric("spark_identical", (by_spark.to_numpy() == by_model).mean())"""


def port() -> int:
    """Return where the model is to be served: 5050, if the environment names no other port."""
    return int(os.environ.get("EXERCISE_PORT", "5050"))


def runs(client: MlflowClient) -> list[Run]:
    """Return the runs of the experiment, the newest first; raises NotYet if there is none."""
    if found := runs_in(client, EXPERIMENT):
        return found
    everywhere = [experiment.experiment_id for experiment in client.search_experiments()]
    in_notebook = "tags.mlflow.source.name LIKE '%ipykernel%' and attributes.status = 'RUNNING'"
    tagged = client.search_runs(everywhere, "tags.`notebook-type` = 'exercise'")
    if strays := client.search_runs(["0"], in_notebook) or tagged:
        name = client.get_experiment(strays[0].info.experiment_id).name
        raise Wrong(
            f"Run `{strays[0].info.run_name}` went to the experiment `{name}`. End it, and name yours before you start "
            "another.",
            START,
        )
    raise NotYet(f"The experiment `{EXPERIMENT}` has no run. Do task 1.", START)


def within(run: Run, line: str, anew: bool = False) -> str:
    """Return the lines of Python that log into a run; one that has ended or was left is entered ``anew``."""
    if run.info.status == "RUNNING" and not anew:
        return line
    enter = START.replace("run = mlflow.start_run()", f'with mlflow.start_run(run_id="{run.info.run_id}"):')
    return f"{enter}\n{textwrap.indent(line, '    ')}"


def the_run(client: MlflowClient) -> Run:
    """Return the run that counts: the newest one with a model, as long as there is none the newest one."""
    newest_first = runs(client)
    return next((run for run in newest_first if run.outputs.model_outputs), newest_first[0])


def noted(client: MlflowClient, kind: str, name: str, line: str, also: tuple[str, ...] = ()) -> str | float:
    """Return the value that the run has; raises NotYet, or Wrong if another run of the experiment has it."""
    run = the_run(client)
    try:
        return recorded(run, kind, name, within(run, line), also)
    except NotYet:
        for other in runs(client):
            kinds = {"tag": other.data.tags, "parameter": other.data.params, "metric": other.data.metrics}
            if name in kinds[kind] and other.info.start_time > run.info.start_time:
                raise Wrong(
                    f"`{name}` is in a run of its own, `{other.info.run_name}`. Log it in `{run.info.run_name}`, which "
                    "has the model.",
                    within(run, line, anew=True),
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
    if name == "input_data" and run.inputs.dataset_inputs:
        raise Wrong(f"Run `{title}` has the input data as a dataset; log the file as an artifact.", line)
    raise NotYet(f"Run `{title}` has no artifact under `{name}`.", line)


def the_model(client: MlflowClient) -> LoggedModel:
    """Return the model of the run; raises NotYet, or Wrong if it was logged as a mere file."""
    run = the_run(client)
    line = within(run, LOG_MODEL)
    if not run.outputs.model_outputs:
        pickles = [path for path in files(client, run) if path.endswith((".pkl", ".pickle", ".joblib", ".skops"))]
        if pickles:
            raise Wrong(f"Run `{run.info.run_name}` has `{pickles[0]}` as a mere file; log it as a model.", line)
    return logged_model(client, run, "model", line)


def own_versions(client: MlflowClient) -> list[ModelVersion]:
    """Return the versions of `IrisModel` that hold the run's model.

    Raises NotYet, or Wrong if it is registered under another name, or another model under this one.
    """
    model = the_model(client)
    line = f'version = mlflow.register_model("{model.model_uri}", "{REGISTERED}")'
    versions = client.search_model_versions(f"run_id = '{model.source_run_id}'")
    versions = [version for version in versions if version.source == model.model_uri]
    if own := [version for version in versions if version.name == REGISTERED]:
        return own
    if versions:
        raise Wrong(f"The model is registered as `{versions[0].name}`; register it as `{REGISTERED}`.", line)
    if others := client.search_model_versions(f"name = '{REGISTERED}'"):
        raise Wrong(f"Version {others[0].version} of `{REGISTERED}` holds another model; register this one.", line)
    raise NotYet(f"The model is not registered as `{REGISTERED}`.", line)


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
    return check_folder(client, "input_data", "iris.csv")


def parameter(client: MlflowClient) -> str:
    """Log `n_estimators` as the parameter `num_trees`."""
    line = 'mlflow.log_param("num_trees", n_estimators)'
    value = noted(client, "parameter", "num_trees", line, also=("n_estimators", "trees"))
    if not value.isdecimal():
        raise Wrong(
            f"The parameter `num_trees` is `{value}`; it should be the number of trees. A run keeps its parameters, so "
            "delete it, and begin again with task 1.",
            START.replace("\n", f'\nmlflow.MlflowClient().delete_run("{the_run(client).info.run_id}")\n', 1),
        )
    return value


def output_data(client: MlflowClient) -> str:
    """Log the predictions as an artifact under `output_data`."""
    return check_folder(client, "output_data", "predictions.csv")


def model(client: MlflowClient) -> None:
    """Log the scikit-learn model as `model`, with its signature."""
    info = mlflow.models.get_model_info(the_model(client).model_uri)
    line = within(the_run(client), LOG_MODEL)
    if "sklearn" not in info.flavors:
        raise Wrong("The model is not logged as a scikit-learn model.", line)
    if info.signature is None or not info.signature.inputs.has_input_names():
        raise Wrong("The model has no signature that names its columns, and Spark needs one. Log it again.", line)


def accuracy(client: MlflowClient) -> str:
    """Log `accuracy_score` as the metric `accuracy`."""
    line = 'mlflow.log_metric("accuracy", accuracy_score(y_test, predictions))\nmlflow.end_run()'
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
    return f"version {own_versions(client)[0].version}"


def alias(client: MlflowClient) -> str:
    """Give this version the alias `staging`."""
    own = [version.version for version in own_versions(client)]
    line = f'mlflow.MlflowClient().set_registered_model_alias("{REGISTERED}", "{ALIAS}", {own[0]})'
    version = version_with_alias(client, REGISTERED, ALIAS, line).version
    if version not in own:
        raise Wrong(f"The alias `{ALIAS}` is on version {version}, another model; give it to version {own[0]}.", line)
    return f"version {version}"


@kept(EXPERIMENT)
def served(client: MlflowClient) -> str:
    """Serve the model, so that it answers at `/invocations`."""
    line = f'mlflow models serve -m "models:/{REGISTERED}@{ALIAS}" --port {port()} --env-manager local'
    if not listens(port()):
        raise NotYet(f"Nothing listens on port {port()}. Serve the model from a terminal of its own.", line)
    body = {"dataframe_split": {"columns": COLUMNS, "data": FLOWERS}}
    answer = "It gives no predictions for two flowers."
    try:
        response = http.post(f"http://{HOST}:{port()}/invocations", json=body, timeout=10)
        predictions = response.raise_for_status().json()["predictions"]
        if len(predictions) == len(FLOWERS):
            return f"two flowers are of the species {predictions[0]} and {predictions[1]}"
    except httpx.HTTPStatusError as error:
        answer = f"It says {error.response.status_code} {error.response.reason_phrase}."
    except (httpx.HTTPError, ValueError, LookupError, TypeError):
        pass  # it is another program
    raise Wrong(f"Something answers on port {port()}, but not the iris model. {answer} Stop it, and serve yours.", line)


def spark(client: MlflowClient) -> str:
    """Score with Spark, and compare with the loaded model."""
    try:
        share = noted(client, "metric", "spark_identical", SPARK)
    except NotYet as error:
        if not isinstance(error, Wrong) and shutil.which("java") is None:
            raise Skipped("Spark needs Java 17 or newer, and there is no `java` on the PATH") from None
        raise
    if not 0.85 <= share <= 1:
        raise Wrong(
            f"`spark_identical` is {share:g}; log a share from 0.85 to 1. Do both score the same rows in order?",
            within(the_run(client), SPARK),
        )
    return f"{share:.0%} identical"


STEPS = [experiment, tag, input_data, parameter, output_data, model, accuracy, registered_model, alias, served, spark]
