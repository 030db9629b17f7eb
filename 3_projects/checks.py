"""Chapter 3: what the projects leave behind, up to the model in production."""

from mlflow import MlflowClient
from mlflow.entities import Run
from steps import NotYet, Wrong, version_with_alias

EXPERIMENT = "predicting_wind_solar"


def newest_run(client: MlflowClient, step: str, parameters: str = "") -> Run:
    """Return the newest finished run of a project; raises NotYet, or Wrong with its own words if it only failed."""
    command = f"mlflow run 3_projects/{step} --env-manager local {parameters}--experiment-name {EXPERIMENT}"
    everywhere = [experiment.experiment_id for experiment in client.search_experiments()]
    found = client.search_runs(everywhere, f"tags.step = '{step}'")
    finished = [run for run in found if run.info.status == "FINISHED"]
    if finished:
        return finished[0]
    if found:
        why = found[0].data.tags.get("error", "What it printed says why.")
        raise Wrong(f"The run of 3_projects/{step} is {found[0].info.status}: {why}", command)
    raise NotYet(f"3_projects/{step} has not run.", command)


def check_model(client: MlflowClient, step: str, parameters: str = "") -> str:
    """Return the run that trained a model; raises NotYet."""
    run = newest_run(client, step, parameters)
    models = [client.get_logged_model(output.model_id) for output in run.outputs.model_outputs]
    if not any(model.status == "READY" for model in models):
        raise Wrong(
            f"The run `{run.info.run_name}` of 3_projects/{step} has no model. Run it again.",
            f"mlflow run 3_projects/{step} --env-manager local {parameters}--experiment-name {EXPERIMENT}",
        )
    return f"run `{run.info.run_name}`"


def table(client: MlflowClient) -> str:
    """Make the hourly table."""
    return newest_run(client, "data").data.tags.get("source", "its source is not stated")


def regression(client: MlflowClient) -> str:
    """Train the linear regression."""
    return check_model(client, "lr")


def forest(client: MlflowClient) -> str:
    """Train the random forest."""
    return check_model(client, "rf", "-P n_estimators=64 ")


def network(client: MlflowClient) -> str:
    """Train the neural network."""
    return check_model(client, "keras", "-P epochs=30 ")


def production(client: MlflowClient) -> str:
    """Bring a version of `wind_solar` into production."""
    line = f"mlflow run 3_projects/registry --env-manager local --experiment-name {EXPERIMENT}"
    try:
        return f"version {version_with_alias(client, 'wind_solar', 'production', line).version}"
    except Wrong:
        raise
    except NotYet:
        judge = newest_run(client, "registry")  # says so if it has not run, or why it failed
        verdict = judge.data.tags.get("verdict", "not given.")
        raise NotYet(
            f"Nothing is in production, though the judge's last verdict was: {verdict} Ask it again.", line
        ) from None


STEPS = [table, regression, forest, network, production]
