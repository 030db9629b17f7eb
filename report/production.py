"""What is in production: the model behind the alias, and the newest hourly table. The report and the dashboard read it.

``MLFLOW_TRACKING_URI`` says where. No list of features here: the model's signature names the columns that it takes.
"""

import re
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import mlflow
import pandas as pd
from mlflow.exceptions import MlflowException

NAME, ALIAS = "wind_solar", "production"
TARGETS = ["solar_GW", "wind_GW"]
RANGES = [f"{target}_{side}" for target in TARGETS for side in ("q10", "q90")]


class NotThere(Exception):
    """Something is not on the tracking server yet; the message says what, and the command that makes it."""


@dataclass(frozen=True)
class Production:
    """The model in production and where it comes from."""

    version: str
    run_id: str
    experiment_id: str
    kind: str
    trained_at: datetime
    trained_on: str
    holdout: dict[str, float]  # errors in GW on the hours that judged_on names, by 3_projects/registry
    judged_on: str
    model: mlflow.pyfunc.PyFuncModel
    data_run: str = ""  # run of 3_projects/data whose table it was trained on
    commit: str = ""  # git commit of the code that trained it, where MLflow knew it
    packages: tuple[str, ...] = ()  # what the model needs, such as "scikit-learn==1.9.1"

    @property
    def columns(self) -> list[str]:
        """Return the names of the columns that the model takes."""
        return self.model.metadata.get_input_schema().input_names()

    @property
    def run_url(self) -> str:
        """Return where the MLflow pages show the run that trained it, without any password."""
        return f"{server_address()}/#/experiments/{self.experiment_id}/runs/{self.run_id}"

    def predict(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return ``solar_GW`` and ``wind_GW`` in GW for the rows of the table, on the same UTC index."""
        return self.predict_range(table)[TARGETS]

    def predict_range(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return what ``predict`` does, and ``solar_GW_q10``, ``solar_GW_q90`` and so on if the model knows them."""
        power = self.model.predict(table[self.columns])
        return power[[*TARGETS, *(name for name in RANGES if name in power.columns)]]


def server_address() -> str:
    """Return the address of the tracking server without user and password."""
    address = urlsplit(mlflow.get_tracking_uri())
    return address._replace(netloc=address.netloc.rpartition("@")[2]).geturl().rstrip("/")


def without_password(text: str) -> str:
    """Return the text with user and password taken out of each address in it."""
    return re.sub(r"(?<=://)[^\s/]*@", "", text)


def production_version() -> str:
    """Return the number of the version behind the alias; raises NotThere."""
    try:
        return mlflow.MlflowClient().get_model_version_by_alias(NAME, ALIAS).version
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise NotThere(
                f"No version of {NAME} has the alias {ALIAS} on {server_address()}. Make one with: "
                "mlflow run 3_projects/workflow --env-manager local"
            ) from None
        raise


def load(version: str) -> Production:
    """Return a version of the registered model, loaded."""
    client = mlflow.MlflowClient()
    about = client.get_model_version(NAME, version)
    run = client.get_run(about.run_id)
    with tempfile.TemporaryDirectory() as folder:  # the model reads all that it needs when it is loaded
        model = mlflow.pyfunc.load_model(f"models:/{NAME}/{version}", dst_path=folder)
        listed = sorted(Path(folder).rglob("requirements.txt"))[:1]
        packages = tuple(line for path in listed for line in path.read_text(encoding="utf-8").split("\n") if line)
    return Production(
        version=about.version,
        run_id=about.run_id,
        experiment_id=run.info.experiment_id,
        kind=run.data.tags.get("step", "unknown"),
        trained_at=datetime.fromtimestamp(run.info.start_time / 1000, UTC),
        trained_on=run.data.tags.get("source", "unknown"),
        holdout={target: float(about.tags.get(f"holdout_mae_{target}", "nan")) for target in TARGETS},
        judged_on=about.tags.get("judged_on", "unknown"),
        model=model,
        data_run=run.data.tags.get("data_run", ""),
        commit=run.data.tags.get("mlflow.source.git.commit", ""),
        packages=packages,
    )


def newest_table_run() -> str:
    """Return the run of 3_projects/data whose table was made or used last; raises NotThere."""
    runs = mlflow.search_runs(
        search_all_experiments=True,
        filter_string="tags.step = 'data' and attributes.status = 'FINISHED'",
        order_by=["tags.used_at DESC"],
        max_results=1,
        output_format="list",
    )
    if not runs:
        raise NotThere(
            f"No table is on {server_address()}. Make one with: mlflow run 3_projects/data --env-manager local"
        )
    return runs[0].info.run_id


def read_table(run_id: str) -> pd.DataFrame:
    """Return the hourly table of a run of 3_projects/data (UTC index); its ``attrs["source"]`` says what it is."""
    with tempfile.TemporaryDirectory() as folder:
        path = mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path="table.parquet", dst_path=folder)
        return pd.read_parquet(path)
