"""A learner's place on the running servers, which is empty before and after each test."""

from collections.abc import Iterator

import mlflow
import pytest
from mlflow import MlflowClient


@pytest.fixture
def client(running_servers, monkeypatch) -> Iterator[MlflowClient]:
    """Return a client; the runs, experiments and registered models that a test makes are gone after it."""
    monkeypatch.setattr("mlflow.tracking.fluent._active_experiment_id", None)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "")  # set by MLflow too, and given back after the test
    monkeypatch.delenv("MLFLOW_EXPERIMENT_ID")
    client = MlflowClient()
    experiments = {experiment.experiment_id for experiment in client.search_experiments()}
    models = {model.name for model in client.search_registered_models()}
    in_default = {run.info.run_id for run in client.search_runs(["0"])}
    yield client
    while mlflow.active_run():
        mlflow.end_run()
    for run in client.search_runs(["0"]):
        if run.info.run_id not in in_default:
            client.delete_run(run.info.run_id)
    for experiment in client.search_experiments():
        if experiment.experiment_id not in experiments:
            # A deleted experiment keeps its name, which the next test needs.
            client.rename_experiment(experiment.experiment_id, f"test {experiment.experiment_id}")
            client.delete_experiment(experiment.experiment_id)
    for model in client.search_registered_models():
        if model.name not in models:
            client.delete_registered_model(model.name)
