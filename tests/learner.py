"""What learners leave behind, in a tracking store of a test's own: quicker than to run the chapters."""

import functools
import shlex
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from click.testing import CliRunner
from mlflow import MlflowClient
from mlflow.cli import cli
from mlflow.entities import LoggedModelOutput

from forecasting.ledger import PREFIX, Entry

ERRORS = [f"{error}_{target}" for target in ("solar_GW", "wind_GW") for error in ("rmse", "mae", "r2")]

LINREG = {"tags": {"chapter": "2"}, "metrics": dict.fromkeys(ERRORS, 0.5), "model": "model"}
FOREST = LINREG | {"params": {"n_estimators": 64, "max_depth": 10}}
KERAS = LINREG | {"params": {"epochs": 10}}


@functools.cache
def empty_database() -> bytes:
    """Return a database without any runs; making one takes seconds."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mlflow.db"
        MlflowClient(f"sqlite:///{path}").search_experiments()
        return path.read_bytes()


def type_in(command: str) -> None:
    """Type a command that begins with mlflow, without the seconds that another process takes."""
    name, *arguments = shlex.split(command)
    assert name == "mlflow"
    typed = CliRunner().invoke(cli, arguments)
    assert typed.exit_code == 0, typed.output


class Learner:
    """Leaves runs, models and versions behind."""

    def __init__(self, folder: Path, uri: str | None = None):
        """Begin on the server of that address, else with an empty store in that folder."""
        self.folder = folder
        self.decided_at = datetime(2026, 1, 1, tzinfo=UTC)
        if uri is None:
            (folder / "mlflow.db").write_bytes(empty_database())
        self.uri = uri or f"sqlite:///{folder / 'mlflow.db'}"
        self.client = MlflowClient(self.uri)

    def experiment(self, name: str) -> str:
        """Return the id of an experiment, made if it is not there."""
        experiment = self.client.get_experiment_by_name(name)
        return experiment.experiment_id if experiment else self.client.create_experiment(name, str(self.folder / name))

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
        source = self.client.get_run(run_id).info.artifact_uri
        version = self.client.create_model_version(name, source, run_id).version
        if alias:
            self.client.set_registered_model_alias(name, alias, version)
        return version

    def do_chapter_2(self) -> None:
        """Leave what its notebooks leave."""
        run_id = self.run("linreg", **LINREG)
        parent = self.run("rf-64", **FOREST)
        self.run("rf-64-depth-10", tags={"chapter": "2", "mlflow.parentRunId": parent})
        self.run("keras", **KERAS)
        self.version("wind_solar_chapter_2", run_id, "production")

    def decide(self, name: str, action: str, to: str | None = "1", **more) -> None:
        """Leave an entry in the ledger of a registered model, of a person if nothing else is said."""
        known = {"from_version": None, "by": "Ada", "reason": "better", "auto": False, "moved": True} | more
        self.decided_at += timedelta(seconds=1)
        entry = Entry(action=action, to_version=to, when=self.decided_at, **known)
        self.client.set_registered_model_tag(name, f"{PREFIX}{entry.when:%Y%m%dT%H%M%S}", entry.to_json())

    def do_chapter_3(self) -> None:
        """Leave what its commands leave, the report's and those of the second case study too."""
        for project in ("data", "lr", "rf", "validate", "keras", "boosting", "scoring"):
            self.run(project, "chapter_3", {"project": project}, model="model")
        self.run("register", "stock", {"project": "stock.register"})
        for name in ("wind_solar", "mine", "mine"):
            self.version(name, self.run("lr"), "production")
        self.decide("wind_solar", "approve", by=None, auto=True)
        self.decide("mine", "approve")
        self.decide("mine", "rollback", from_version="2")
        self.client.log_text(self.run("2016-W50", "weekly_report"), "<html>", "2016-W50.html")
