"""What learners leave behind, in a tracking store of a test's own: quicker than to run the chapters."""

import functools
import tempfile
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import LoggedModelOutput

ERRORS = [f"{error}_{target}" for target in ("solar_GW", "wind_GW") for error in ("rmse", "mae", "r2")]


@functools.cache
def empty_database() -> bytes:
    """Return a database without any runs; making one takes seconds."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mlflow.db"
        MlflowClient(f"sqlite:///{path}").search_experiments()
        return path.read_bytes()


class Learner:
    """Leaves runs, models and versions behind."""

    def __init__(self, folder: Path):
        """Begin with an empty store in that folder."""
        self.folder = folder
        (folder / "mlflow.db").write_bytes(empty_database())
        self.uri = f"sqlite:///{folder / 'mlflow.db'}"
        self.client = MlflowClient(self.uri)

    def experiment(self, name: str) -> str:
        """Return the id of an experiment, made if it is not there."""
        found = self.client.get_experiment_by_name(name)
        return found.experiment_id if found else self.client.create_experiment(name, str(self.folder / name))

    def run(
        self,
        name: str,
        experiment: str = "predicting_wind_solar",
        tags: dict | None = None,
        params: dict | None = None,
        metrics: dict | None = None,
        model: str | None = None,
        status: str = "FINISHED",
    ) -> str:
        """Return the id of a new run with all that."""
        experiment_id = self.experiment(experiment)
        run_id = self.client.create_run(experiment_id, run_name=name, tags=tags).info.run_id
        for key, value in (params or {}).items():
            self.client.log_param(run_id, key, value)
        for key, value in (metrics or {}).items():
            self.client.log_metric(run_id, key, value)
        if model:
            logged = self.client.create_logged_model(experiment_id, name=model, source_run_id=run_id)
            self.client.finalize_logged_model(logged.model_id, "READY")
            self.client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
        self.client.set_terminated(run_id, status)
        return run_id

    def version(self, name: str, run_id: str, alias: str | None = None) -> str:
        """Return the number of a new version of a registered model."""
        if not any(model.name == name for model in self.client.search_registered_models()):
            self.client.create_registered_model(name)
        version = self.client.create_model_version(name, str(self.folder), run_id).version
        if alias:
            self.client.set_registered_model_alias(name, alias, version)
        return version
