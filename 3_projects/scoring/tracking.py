"""What the scoring asks of the MLflow server, and what it leaves there."""

from dataclasses import dataclass
from pathlib import Path

import mlflow
import pyarrow as pa
import pyarrow.compute as pc
from mlflow.exceptions import MlflowException
from pyarrow import parquet
from rows import ScoringError

GONE = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")


@dataclass(frozen=True)
class Version:
    """A version of a registered model."""

    name: str
    number: str
    run_id: str  # of the run that trained it

    @property
    def title(self) -> str:
        """Return what people call it."""
        return f"{self.name} version {self.number}"

    @property
    def about(self) -> dict[str, str]:
        """Return what is written into the schema of the output."""
        return {"model": self.name, "model_version": self.number, "model_run": self.run_id}


def find_version(name: str, version: str) -> Version:
    """Return a version by its alias or its number; raises ScoringError if there is none."""
    client = mlflow.MlflowClient()
    try:
        if version.isdecimal():
            found = client.get_model_version(name, version)
        else:
            found = client.get_model_version_by_alias(name, version)
    except MlflowException as error:
        if error.error_code not in GONE:
            raise
        what = f"is version {version}" if version.isdecimal() else f"has the alias {version}"
        raise ScoringError(
            f"no version of {name} {what}. Make one with: mlflow run 3_projects/workflow --env-manager local"
        ) from None
    return Version(name, str(found.version), found.run_id or "")


def fetch(version: Version, folder: str) -> str:
    """Return the folder into which the version's files were downloaded."""
    path = Path(folder) / "model"
    path.mkdir()
    return mlflow.artifacts.download_artifacts(f"models:/{version.name}/{version.number}", dst_path=str(path))


def fetch_holdout(folder: str) -> Path:
    """Return a Parquet file with the holdout of the newest table of 3_projects/data; raises ScoringError."""
    runs = mlflow.search_runs(
        search_all_experiments=True,
        filter_string="tags.step = 'data' and attributes.status = 'FINISHED'",
        order_by=["tags.used_at DESC"],
        max_results=1,
        output_format="list",
    )
    if not runs:
        raise ScoringError(
            "there is no table to score yet. Make it with: mlflow run 3_projects/data --env-manager local, or name a "
            "file: -P input=PATH"
        )
    path = mlflow.artifacts.download_artifacts(
        run_id=runs[0].info.run_id, artifact_path="table.parquet", dst_path=folder
    )
    table = parquet.read_table(path)
    holdout = Path(folder) / "holdout.parquet"
    parquet.write_table(table.filter(pc.equal(table["split"], "holdout")), holdout)
    return holdout


def log_outcome(version: Version, output: str, rows: int, rejected: int, seconds: float, sha256: str = "") -> None:
    """Note on the active run what was scored with what; the output itself stays where it is, as it may be huge."""
    mlflow.log_metrics({"rows": rows, "rejected": rejected, "seconds": seconds})
    mlflow.set_tags({**version.about, "output": output} | ({"output_sha256": sha256} if sha256 else {}))


def schema_of(keys: list[pa.Field], outputs: list[str], version: Version) -> pa.Schema:
    """Return the schema of the output, whose metadata tell the model."""
    run = mlflow.active_run()
    about = version.about | ({"scoring_run": run.info.run_id} if run else {})
    return pa.schema([*keys, *(pa.field(name, pa.float64()) for name in outputs)], metadata=about)
