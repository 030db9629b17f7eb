"""Chapter 2: the runs that its notebooks leave behind, and the model that one of them registers."""

import contextlib
from collections.abc import Iterator

from mlflow import MlflowClient
from mlflow.entities import Run

from forecasting.tracking import project_of
from server.steps import NotYet, Wrong, logged_model, recorded, runs_in, similar, version_with_alias

EXPERIMENT, REGISTERED = "predicting_wind_solar", "wind_solar_chapter_2"
ERRORS = [f"{error}_{target}" for target in ("solar_GW", "wind_GW") for error in ("rmse", "mae", "r2")]
NOTEBOOKS = "python workshop.py notebook"


@contextlib.contextmanager
def made_by(notebook: str) -> Iterator[None]:
    """Let a hint that has no line of its own end with the notebook to run."""
    try:
        yield
    except NotYet as error:
        if error.line:
            raise
        again = f"{error.hint} Run 2_tracking/{notebook} from its first cell to its last."
        raise type(error)(again, NOTEBOOKS) from None


def run_of(client: MlflowClient, name: str) -> Run:
    """Return the newest finished run of that name, if possible with a model; raises NotYet, or Wrong."""
    everything = runs_in(client, EXPERIMENT)
    of_chapter = [run for run in everything if run.data.tags.get("chapter") == "2"]
    named = [run for run in of_chapter if run.info.run_name == name]
    finished = [run for run in named if run.info.status == "FINISHED"]
    if finished:
        return next((run for run in finished if run.outputs.model_outputs), finished[0])
    if named:
        raise Wrong(f"Run `{name}` is {named[0].info.status}.")
    if other := similar(name, (run.info.run_name for run in of_chapter)):
        raise Wrong(f"There is a run `{other}`; its name should be `{name}`.")
    # The runs of chapter 3's projects may have the same name.
    if any(run.info.run_name == name for run in everything if project_of(run) == "unknown"):
        raise Wrong(f"Run `{name}` has no tag `chapter` with the value 2.")
    raise NotYet(f"There is no run `{name}` in the experiment `{EXPERIMENT}`.")


def check_errors(run: Run) -> None:
    """Return if the run has all its errors as metrics; raises NotYet."""
    for name in ERRORS:
        recorded(run, "metric", name)


@made_by("model_linreg.ipynb")
def linreg_errors(client: MlflowClient) -> None:
    """Log the errors of the run `linreg` as metrics."""
    check_errors(run_of(client, "linreg"))


@made_by("model_linreg.ipynb")
def linreg_model(client: MlflowClient) -> None:
    """Log the model of `linreg`."""
    logged_model(client, run_of(client, "linreg"), "model")


@made_by("model_rf.ipynb")
def forest_parameters(client: MlflowClient) -> None:
    """Log the parameters of the run `rf-64`."""
    run = run_of(client, "rf-64")
    for name in ("n_estimators", "max_depth"):
        recorded(run, "parameter", name)


@made_by("model_rf.ipynb")
def forest_errors_and_model(client: MlflowClient) -> None:
    """Log the errors and the model of `rf-64`."""
    run = run_of(client, "rf-64")
    check_errors(run)
    logged_model(client, run, "model")


@made_by("model_rf.ipynb")
def search(client: MlflowClient) -> str:
    """Search for better parameters in child runs of `rf-64`."""
    run_of(client, "rf-64")
    everything = runs_in(client, EXPERIMENT)
    parents = {run.info.run_id for run in everything if run.info.run_name == "rf-64"}
    if children := [run for run in everything if run.data.tags.get("mlflow.parentRunId") in parents]:
        return f"{len(children)} child runs"
    beside = [run for run in everything if "mlflow.parentRunId" not in run.data.tags]
    if any(run.info.run_name.startswith("rf-64-") for run in beside):
        raise Wrong("The runs of the search are beside `rf-64`, not below it.")
    raise NotYet("Run `rf-64` has no child runs.")


@made_by("model_keras.ipynb")
def network(client: MlflowClient) -> None:
    """Log the epochs, the errors and the model of the run `keras`."""
    run = run_of(client, "keras")
    recorded(run, "parameter", "epochs")
    check_errors(run)
    logged_model(client, run, "model")


@made_by("get_prod_model.ipynb")
def production(client: MlflowClient) -> str:
    """Register `wind_solar_chapter_2`, with the alias `production`."""
    return f"version {version_with_alias(client, REGISTERED, 'production').version}"


STEPS = [linreg_errors, linreg_model, forest_parameters, forest_errors_and_model, search, network, production]
