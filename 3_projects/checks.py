"""Chapter 3: what the projects leave behind, up to the model in production."""

import json
import re
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Run
from steps import NotYet, Wrong, version_with_alias

EXPERIMENT = "predicting_wind_solar"


def command(project: str, parameters: str = "") -> str:
    """Return the line that runs a project; ``parameters`` end with a blank."""
    return f"mlflow run 3_projects/{project} --env-manager local {parameters}--experiment-name {EXPERIMENT}"


def newest_run(client: MlflowClient, step: str, line: str) -> Run:
    """Return the newest finished run of a step; raises NotYet, or Wrong with its own words if it only failed."""
    everywhere = [experiment.experiment_id for experiment in client.search_experiments()]
    # The gate and the scoring serve the second case study too, with other registered models.
    found = [
        run
        for run in client.search_runs(everywhere, f"tags.step = '{step}'")
        if run.data.params.get("registered_model", "wind_solar") == "wind_solar"
    ]
    finished = [run for run in found if run.info.status == "FINISHED"]
    if finished:
        return finished[0]
    if found:
        why = found[0].data.tags.get("error", "What it printed says why.")
        raise Wrong(f"The run of `{step}` is {found[0].info.status}: {why}", line)
    raise NotYet(f"`{step}` has not run.", line)


def check_model(client: MlflowClient, step: str, parameters: str = "") -> str:
    """Return the run that trained a model; raises NotYet."""
    line = command(step, parameters)
    run = newest_run(client, step, line)
    models = [client.get_logged_model(output.model_id) for output in run.outputs.model_outputs]
    if not any(model.status == "READY" for model in models):
        raise Wrong(f"The run `{run.info.run_name}` of `{step}` has no model. Run it again.", line)
    return f"run `{run.info.run_name}`"


def table(client: MlflowClient) -> str:
    """Make the hourly table."""
    return newest_run(client, "data", command("data")).data.tags.get("source", "its source is not stated")


def regression(client: MlflowClient) -> str:
    """Train the linear regression."""
    return check_model(client, "lr")


def forest(client: MlflowClient) -> str:
    """Train the random forest."""
    return check_model(client, "rf", "-P n_estimators=64 ")


def network(client: MlflowClient) -> str:
    """Train the neural network."""
    return check_model(client, "keras", "-P epochs=30 ")


def boosting(client: MlflowClient) -> str:
    """Train the gradient boosting."""
    return check_model(client, "boosting", "-P trials=5 ")


def judged(client: MlflowClient) -> str:
    """Let the gate judge the models."""
    run = newest_run(client, "promote", command("registry -e promote"))
    return run.data.tags.get("verdict", "its verdict is not given")


def production(client: MlflowClient) -> str:
    """Approve a version of `wind_solar` for production."""
    line = command("registry -e approve", '-P by=Ada -P reason="better in every season" ')
    try:
        version = version_with_alias(client, "wind_solar", "production", line).version
    except Wrong:
        raise
    except NotYet:
        newest_run(client, "promote", command("registry -e promote"))  # says so if the gate comes first
        raise NotYet("Nothing is in production. A version that passed the gate waits for your word.", line) from None
    tags = client.get_registered_model("wind_solar").tags
    entries = [json.loads(tags[key]) for key in sorted(tags) if re.fullmatch(r"ledger\.\d+", key)]
    last = next((entry for entry in reversed(entries) if entry["action"] != "reject"), None)
    if last is None or last["to"] != version:
        raise Wrong(
            f"Version {version} is in production, and the ledger does not know why. This command mends it.",
            command("registry -e ledger"),
        )
    return f"version {version}, by {last['by'] or 'nobody (automatic)'}: {last['reason']}"


def scored(client: MlflowClient) -> str:
    """Score many rows with it."""
    run = newest_run(client, "scoring", command("scoring"))
    return f"{run.data.metrics.get('rows', 0):.0f} rows"


def shares(client: MlflowClient) -> str:
    """Take the share prices as far as the gate lets them."""
    line = command("stock", "-P symbol=MSFT ").replace(EXPERIMENT, "stock")
    tags = newest_run(client, "stock.register", line).data.tags
    return f"{tags.get('symbol', 'its symbol is not given')}, {tags.get('source', 'its source is not given')}"


STEPS = [table, regression, forest, network, boosting, judged, production, scored]
if (Path(__file__).parent / "stock").is_dir():
    STEPS.append(shares)
