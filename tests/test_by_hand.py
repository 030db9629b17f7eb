"""What a person can do by hand in the MLflow pages ends in a sentence with the way back, or changes nothing."""

import contextlib
import sqlite3
import warnings
from collections.abc import Iterator

import mlflow
import pytest
from mlflow import MlflowClient

from dashboard.follower import Follower
from report import create_report

NAME = "wind_solar"


@pytest.fixture
def pages(workflow, store, tmp_path) -> Iterator[MlflowClient]:
    """Stand in for the MLflow pages; afterwards the database is as it was."""
    with (
        contextlib.closing(sqlite3.connect(store.parent / "mlruns.db", timeout=30)) as live,
        contextlib.closing(sqlite3.connect(tmp_path / "before.db")) as before,
    ):
        live.backup(before)
        yield MlflowClient()
        before.backup(live)


def production(client: MlflowClient):
    return client.get_model_version_by_alias(NAME, "production")


def training_run(client: MlflowClient):
    return client.get_run(production(client).run_id)


def table_runs(client: MlflowClient) -> list[str]:
    """All runs with a table where the model was trained; other tests may have made more than one."""
    experiment = training_run(client).info.experiment_id
    return [run.info.run_id for run in client.search_runs([experiment], "tags.table_sha256 LIKE '%'")]


def tables_deleted(client: MlflowClient) -> None:
    for run_id in table_runs(client):
        client.delete_run(run_id)


def tables_without_tag(client: MlflowClient) -> None:
    for run_id in table_runs(client):
        client.delete_tag(run_id, "table_sha256")


def put_into_production(client: MlflowClient, uri: str, run_id: str | None = None) -> None:
    model_id = uri.removeprefix("models:/") if uri.startswith("models:/") else None
    version = client.create_model_version(NAME, uri, run_id, model_id=model_id)
    client.set_registered_model_alias(NAME, "production", version.version)


class Bare(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input


def model_without_signature(client: MlflowClient) -> None:
    experiment = training_run(client).info.experiment_id
    with warnings.catch_warnings(), mlflow.start_run(experiment_id=experiment):
        warnings.simplefilter("ignore")  # MLflow misses the type hints of a signature
        model = mlflow.pyfunc.log_model(name="model", python_model=Bare(), pip_requirements=["mlflow"])
    # With a table to show it on, so that nothing but the signature is missing.
    put_into_production(client, model.model_uri, model.run_id)


def version_without_run(client: MlflowClient) -> None:
    """A version that was moved here from another server."""
    model_id = production(client).source.removeprefix("models:/")
    client.rename_experiment(training_run(client).info.experiment_id, NAME)
    put_into_production(client, client.get_logged_model(model_id).artifact_location)


def table_of_a_colleague(client: MlflowClient) -> None:
    experiment = client.create_experiment("a colleague's")
    run = client.create_run(experiment, tags={"project": "data", "table_sha256": "f" * 64, "used_at": "2999-01-01"})
    client.set_terminated(run.info.run_id)


def someone_elses_step(client: MlflowClient) -> None:
    """A run of the same experiment that has the tag, and made no table."""
    experiment = training_run(client).info.experiment_id
    run = client.create_run(experiment, tags={"project": "data", "used_at": "2999-01-01"})
    client.set_terminated(run.info.run_id)


def reports_deleted(client: MlflowClient) -> None:
    found = client.get_experiment_by_name("weekly_report")
    client.delete_experiment(found.experiment_id if found else client.create_experiment("weekly_report"))


# What is done: what report and dashboard say; None where nothing changes for them.
DEEDS = {
    "the alias is deleted": (
        lambda client: client.delete_registered_model_alias(NAME, "production"),
        "version of wind_solar has the alias production",
    ),
    "the registered model is deleted": (
        lambda client: client.delete_registered_model(NAME),
        "version of wind_solar has the alias production",
    ),
    "the registered model is renamed": (
        lambda client: client.rename_registered_model(NAME, "another"),
        "version of wind_solar has the alias production",
    ),
    "the version is deleted": (
        lambda client: client.delete_model_version(NAME, production(client).version),
        "version of wind_solar has the alias production",
    ),
    "the alias is on a model without a signature": (model_without_signature, "has no signature"),
    "the alias is on a version without a run": (version_without_run, None),
    "the model is deleted": (
        lambda client: client.delete_logged_model(production(client).source.removeprefix("models:/")),
        None,
    ),
    "the training run is deleted": (lambda client: client.delete_run(production(client).run_id), None),
    "the training run is renamed": (lambda client: client.update_run(production(client).run_id, name="x"), None),
    "the training run has lost a tag": (lambda client: client.delete_tag(production(client).run_id, "project"), None),
    "the training run names no table": (lambda client: client.delete_tag(production(client).run_id, "data_run"), None),
    "the experiment is deleted": (
        lambda client: client.delete_experiment(training_run(client).info.experiment_id),
        "mlflow experiments restore",
    ),
    "the experiment is renamed": (
        lambda client: client.rename_experiment(training_run(client).info.experiment_id, "another"),
        None,
    ),
    "the table's run is deleted": (tables_deleted, "3_projects/data"),
    "the table's run has lost a tag": (tables_without_tag, "3_projects/data"),
    "a colleague has a newer table": (table_of_a_colleague, None),
    "another run has the tag of a table": (someone_elses_step, None),
    "an error is overwritten": (
        lambda client: client.set_model_version_tag(NAME, production(client).version, "holdout_mae_wind_GW", "good"),
        None,
    ),
    "an entry of the ledger is overwritten": (
        lambda client: client.set_registered_model_tag(NAME, "ledger.000001", "[]"),
        None,
    ),
    "the experiment of the reports is deleted": (reports_deleted, "mlflow experiments restore"),
}


@pytest.mark.parametrize("deed", DEEDS)
def test_report_and_dashboard_say_what_was_done_by_hand(deed, pages, tmp_path, capsys):
    do, sentence = DEEDS[deed]
    do(pages)
    follower = Follower(1)
    follower.follow()
    try:
        create_report.main(["--output", str(tmp_path)])
        said = None
    except SystemExit as end:
        said = end.code
    if sentence is None:
        assert (said, follower.problem) == (None, None)
        assert follower.view.forecast.notna().all(axis=None)
        assert list(tmp_path.glob("*.html"))
    else:
        assert sentence in said
        assert "\n" not in said
        assert said.startswith("report: ")
        if "reports" not in deed:
            assert sentence in follower.problem


def test_a_registry_that_was_made_anew_shows_the_new_model_under_the_old_number(pages):
    follower = Follower(1)
    follower.follow()
    old = follower.view.production
    trained = "tags.project = 'rf' and attributes.status = 'FINISHED'"
    runs = mlflow.search_runs([old.training.info.experiment_id], trained, output_format="list")
    pages.delete_registered_model(NAME)
    pages.create_registered_model(NAME)
    for _ in range(int(old.version)):
        model_id = runs[0].outputs.model_outputs[0].model_id
        version = pages.create_model_version(NAME, f"models:/{model_id}", runs[0].info.run_id, model_id=model_id)
    pages.set_registered_model_alias(NAME, "production", version.version)
    follower.follow()
    assert (follower.view.production.version, follower.view.production.project) == (old.version, "rf")
    assert follower.view.production.model_uri != old.model_uri
