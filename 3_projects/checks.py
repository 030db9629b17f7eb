"""Chapter 3: what the learner typed, apart from what `python workshop.py run` has made."""

from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Run

from forecasting import ledger
from forecasting.errors import UserError
from forecasting.tracking import data_title_of, project_of
from server.steps import NotYet, Wrong, models_of, runs_in

EXPERIMENT, REGISTERED = "chapter_3", "mine"
MINE = f"-P registered_model={REGISTERED} "


def command(project: str, parameters: str = "") -> str:
    """Return the line that runs a project; ``parameters`` end with a blank."""
    return f"mlflow run 3_projects/{project} --env-manager local {parameters}--experiment-name {EXPERIMENT}"


VALIDATE = command("registry -e validate", MINE)


def newest_run(client: MlflowClient, project: str, line: str, experiment: str = EXPERIMENT) -> Run:
    """Return the newest finished run of a project; raises NotYet, or Wrong with the run's own words if it failed."""
    runs = [run for run in runs_in(client, experiment) if project_of(run) == project]
    finished = [run for run in runs if run.info.status == "FINISHED"]
    own = [run for run in finished if run.data.params.get("registered_model") in (None, REGISTERED)]
    if own:
        return own[0]
    if finished:
        name = finished[0].data.params["registered_model"]
        raise Wrong(f"`{project}` has run for the registered model `{name}`, not for `{REGISTERED}`.", line)
    if runs:
        why = runs[0].data.tags.get("error", "What it printed says why.")
        raise Wrong(f"The run of `{project}` is {runs[0].info.status}: {why}", line)
    raise NotYet(f"`{project}` has not run in the experiment `{experiment}`.", line)


def check_model(client: MlflowClient, project: str, parameters: str = "") -> str:
    """Return the run that trained a model; raises NotYet, or Wrong if it has no model."""
    line = command(project, parameters)
    run = newest_run(client, project, line)
    if not any(model.status == "READY" for model in models_of(client, run)):
        raise Wrong(f"The run `{run.info.run_name}` of `{project}` has no model. Run it again.", line)
    return f"run `{run.info.run_name}`"


def read_ledger(client: MlflowClient) -> ledger.Ledger:
    """Return the ledger of the registered model; raises Wrong if an entry was overwritten by hand."""
    models = client.search_registered_models(f"name = '{REGISTERED}'")
    try:
        return ledger.from_model(models[0]) if models else ledger.Ledger(REGISTERED)
    except UserError as error:
        raise Wrong(f"{str(error).capitalize()}.") from None


def next_approval(client: MlflowClient, reason: str) -> NotYet:
    """Make the hint for the next approval; raises NotYet if nothing was ever judged."""
    newest_run(client, "validate", VALIDATE)
    if candidate := read_ledger(client).candidate:
        line = command("registry -e approve", f'{MINE}-P by=Ada -P reason="{reason}" ')
        return NotYet(f"Version {candidate} of `{REGISTERED}` waits for your word.", line)
    return NotYet(f"No version of `{REGISTERED}` waits for your word. Let the gate judge the models.", VALIDATE)


def table(client: MlflowClient) -> str:
    """Make the hourly table."""
    return data_title_of(newest_run(client, "data", command("data")))


def regression(client: MlflowClient) -> str:
    """Train the linear regression."""
    return check_model(client, "lr")


def forest(client: MlflowClient) -> str:
    """Train the random forest."""
    return check_model(client, "rf", "-P n_estimators=64 ")


def judged(client: MlflowClient) -> str:
    """Let the gate judge the models."""
    return newest_run(client, "validate", VALIDATE).data.tags.get("verdict", "its verdict is not given")


def approved(client: MlflowClient) -> str:
    """Approve a version of `mine`, with your name and a reason."""
    for entry in reversed(read_ledger(client).entries):
        if entry.action == "approve" and not entry.auto:
            return f"version {entry.to_version}, by {entry.by}: {entry.reason}"
    raise next_approval(client, "the first one")


def network(client: MlflowClient) -> str:
    """Train the neural network."""
    return check_model(client, "keras", "-P epochs=30 ")


def boosting(client: MlflowClient) -> str:
    """Train the gradient boosting."""
    return check_model(client, "boosting", "-P trials=5 ")


def rolled_back(client: MlflowClient) -> str:
    """Bring a better version into production, and take it back."""
    entries = read_ledger(client).entries
    for entry in reversed(entries):
        if entry.action == "rollback":
            return f"from version {entry.from_version} to version {entry.to_version}, by {entry.by}: {entry.reason}"
    if len({entry.to_version for entry in entries if entry.to_version}) < 2:
        raise next_approval(client, "better in every season")
    line = command("registry -e rollback", f'{MINE}-P by=Ada -P reason="wrong since Monday" ')
    raise NotYet(f"Nobody has taken a version of `{REGISTERED}` back.", line)


def scored(client: MlflowClient) -> str:
    """Score many rows with it."""
    run = newest_run(client, "scoring", command("scoring", MINE))
    return f"{run.data.metrics.get('rows', 0):.0f} rows"


def shares(client: MlflowClient) -> str:
    """Take the share prices as far as the gate lets them."""
    line = command("stock", "-P symbol=MSFT ").replace(EXPERIMENT, "stock")
    run = newest_run(client, "stock.register", line, "stock")
    return f"{run.data.tags.get('symbol', 'its symbol is not given')}, {data_title_of(run)}"


STEPS = [table, regression, forest, judged, approved, network, boosting, rolled_back, scored]
if (Path(__file__).parent / "stock").is_dir():
    STEPS.append(shares)
