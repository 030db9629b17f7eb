"""Chapter 2: the runs that its notebooks leave behind, and the model that one of them registers."""

from mlflow import MlflowClient
from mlflow.entities import Run
from steps import NotYet, Wrong, find_experiment, logged_model, recorded, similar, version_with_alias

EXPERIMENT, REGISTERED = "predicting_wind_solar", "wind_solar_chapter_2"
ERRORS = [f"{error}_{target}" for target in ("solar_GW", "wind_GW") for error in ("rmse", "mae", "r2")]
NOTEBOOKS = "python workshop.py notebook"


def runs(client: MlflowClient) -> list[Run]:
    """Return the runs of the experiment, the newest first; raises NotYet."""
    experiment = find_experiment(client, EXPERIMENT, f'mlflow.set_experiment("{EXPERIMENT}")')
    return client.search_runs([experiment.experiment_id], max_results=1000)


def run_of(client: MlflowClient, name: str, notebook: str) -> Run:
    """Return the newest finished run of that name in chapter 2; raises NotYet, or Wrong if it is called otherwise."""
    try:
        everything = runs(client)
    except NotYet as error:
        if isinstance(error, Wrong):
            raise
        everything = []
    of_chapter = [run for run in everything if run.data.tags.get("chapter") == "2"]
    named = [run for run in of_chapter if run.info.run_name == name]
    finished = [run for run in named if run.info.status == "FINISHED"]
    if finished:
        return finished[0]
    again = f"Run 2_tracking/{notebook} from its first cell to its last."
    if named:
        raise Wrong(f"Run `{name}` is {named[0].info.status}. {again}", NOTEBOOKS)
    start = f'mlflow.start_run(run_name="{name}")'
    if found := similar(name, (run.info.run_name for run in of_chapter)):
        raise Wrong(f"There is a run `{found}`; its name should be `{name}`.", start)
    # What chapter 3's projects leave behind has the tag `step`, and may have the same name.
    if any(run.info.run_name == name for run in everything if "step" not in run.data.tags):
        raise Wrong(f"Run `{name}` has no tag `chapter` with the value 2.", 'mlflow.set_tag("chapter", "2")')
    raise NotYet(f"There is no run `{name}` in the experiment `{EXPERIMENT}`. {again}", NOTEBOOKS)


def check_errors(run: Run) -> None:
    """Return if the run has all its errors as metrics; raises NotYet."""
    for name in ERRORS:
        recorded(run, "metric", name, f'mlflow.log_metric("{name}", ...)')


def linreg_errors(client: MlflowClient) -> None:
    """Log the errors of the run `linreg` as metrics."""
    check_errors(run_of(client, "linreg", "model_linreg.ipynb"))


def linreg_model(client: MlflowClient) -> None:
    """Log the model of `linreg`."""
    logged_model(
        client,
        run_of(client, "linreg", "model_linreg.ipynb"),
        "model",
        'mlflow.sklearn.log_model(model, name="model", pip_requirements=[...])',
    )


def forest_parameters(client: MlflowClient) -> None:
    """Log the parameters of the run `rf-64`."""
    run = run_of(client, "rf-64", "model_rf.ipynb")
    for name in ("n_estimators", "max_depth"):
        recorded(run, "parameter", name, f'mlflow.log_param("{name}", {name})')


def forest_errors_and_model(client: MlflowClient) -> None:
    """Log the errors and the model of `rf-64`."""
    run = run_of(client, "rf-64", "model_rf.ipynb")
    check_errors(run)
    logged_model(client, run, "model", 'mlflow.sklearn.log_model(model, name="model", pip_requirements=[...])')


def search(client: MlflowClient) -> str:
    """Search for better parameters in child runs of `rf-64`."""
    parent = run_of(client, "rf-64", "model_rf.ipynb")
    everything = runs(client)
    children = [run for run in everything if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    if children:
        return f"{len(children)} child runs"
    nested = 'with mlflow.start_run(run_name="rf-64-depth-10", nested=True, parent_run_id=run.info.run_id):'
    beside = [run for run in everything if "mlflow.parentRunId" not in run.data.tags]
    if any(run.info.run_name.startswith("rf-64-") for run in beside):
        raise Wrong("The runs of the search stand beside `rf-64`, not below it. Start them inside it, nested.", nested)
    raise NotYet("Run `rf-64` has no child runs. Run the search in 2_tracking/model_rf.ipynb.", nested)


def network(client: MlflowClient) -> None:
    """Log the epochs, the errors and the model of the run `keras`."""
    run = run_of(client, "keras", "model_keras.ipynb")
    recorded(run, "parameter", "epochs", "mlflow.keras.autolog()")
    check_errors(run)
    logged_model(client, run, "model", "mlflow.keras.autolog()")


def production(client: MlflowClient) -> str:
    """Register `wind_solar_chapter_2`, with the alias `production`."""
    line = f'client.set_registered_model_alias("{REGISTERED}", "production", VERSION)'
    try:
        return f"version {version_with_alias(client, REGISTERED, 'production', line).version}"
    except Wrong:
        raise
    except NotYet as error:
        raise NotYet(f"{error.hint} Run 2_tracking/get_prod_model.ipynb.", error.line or NOTEBOOKS) from None


STEPS = [
    linreg_errors,
    linreg_model,
    forest_parameters,
    forest_errors_and_model,
    search,
    network,
    production,
]
