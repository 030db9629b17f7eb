"""The hourly table that models are trained and judged on, as 3_projects/data has logged it."""

import contextlib
import tempfile
from dataclasses import dataclass
from functools import cached_property

import mlflow
import numpy as np
import pandas as pd
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from forecasting.errors import UserError
from forecasting.subject import Subject
from forecasting.tracking import find_run, finished_runs, project_of, server_address

EVERYTHING_BUT_HOLDOUT = "train,validation"


@dataclass(frozen=True)
class HourlyTable:
    """A table and where it comes from.

    ``frame`` has an hourly UTC index without gaps, the targets, the inputs, the derived features, ``repaired`` (whether
    a value of that hour was filled in) and ``split`` (train, validation or holdout).
    """

    frame: pd.DataFrame
    run_id: str
    digest: str  # SHA-256 of table.parquet
    experiment_id: str

    @classmethod
    def read(cls, run: Run | str) -> "HourlyTable":
        """Read the table of a run of 3_projects/data; raises UserError if the run has none."""
        about = find_run(run) if isinstance(run, str) else run
        if about is None or "table_sha256" not in about.data.tags:
            what = "is not a run" if about is None else "has no table"
            name = run if isinstance(run, str) else run.info.run_id
            raise UserError(
                f"the data run {name} {what} on {server_address()}; make one with: "
                "mlflow run 3_projects/data --env-manager local"
            )
        with tempfile.TemporaryDirectory() as folder:
            path = mlflow.artifacts.download_artifacts(
                run_id=about.info.run_id, artifact_path="table.parquet", dst_path=folder
            )
            frame = pd.read_parquet(path)
        return cls(frame, about.info.run_id, about.data.tags["table_sha256"], about.info.experiment_id)

    @classmethod
    def newest(cls, experiment_id: str | None = None, project: str = "data") -> "HourlyTable":
        """Read the table that was made or used last in an experiment, by default the active one; raises UserError.

        ``project`` is the one that made it; other projects than ``data`` have tables of their own kind.
        """
        return cls.read(newest_run(experiment_id, project))

    @cached_property
    def subject(self) -> Subject:
        """Return what the table is about; raises UserError if an earlier version of 3_projects/data has made it."""
        if "subject" not in self.frame.attrs:
            experiment = mlflow.MlflowClient().get_experiment(self.experiment_id).name
            raise UserError(
                f"the table of the run {self.run_id} was made by an earlier version and doesn't say what it is about; "
                f"make a new one with: mlflow run 3_projects/data --env-manager local --experiment-name {experiment}"
            )
        return Subject.from_dict(self.frame.attrs["subject"])

    @property
    def targets(self) -> list[str]:
        """Return the names of the columns that are forecast."""
        return self.subject.targets

    @property
    def title(self) -> str:
        """Return the title of the data for a reader."""
        return self.subject.title

    def actuals(self) -> pd.DataFrame:
        """Return the measured targets in their units; NaN in hours whose values were filled in."""
        return self.frame[self.targets].where(~self.frame["repaired"])

    def holdout(self) -> np.ndarray:
        """Return for each hour whether it is kept for judging."""
        return (self.frame["split"] == "holdout").to_numpy()

    def seen_by(self, training: Run | None) -> np.ndarray:
        """Return for each hour of this table whether a model has learnt from it.

        The training run's tag ``fitted_on`` names the parts of its own table that it was fitted on; a run of an earlier
        version has none and counts as fitted on all but the holdout. If the model's own table is gone, or nothing is
        known of the training, the parts of this table are taken.
        """
        tags = training.data.tags if training else {}
        parts = tags.get("fitted_on", EVERYTHING_BUT_HOLDOUT).split(",")
        own = self.frame
        data_run = find_run(tags.get("data_run"))
        if data_run and data_run.data.tags.get("table_sha256", self.digest) != self.digest:
            with contextlib.suppress(MlflowException, OSError):  # it may be gone from the store, though its run is left
                own = HourlyTable.read(data_run).frame
        return self.frame.index.isin(own.index[own["split"].isin(parts)])


def newest_run(experiment_id: str | None = None, project: str = "data") -> Run:
    """Find the run whose table was made or used last in an experiment, by default the active one; raises UserError."""
    with_table = finished_runs(
        "tags.table_sha256 LIKE '%'", [experiment_id] if experiment_id else None, "tags.used_at DESC"
    )
    runs = [run for run in with_table if project_of(run) == project]
    if not runs:
        client = mlflow.MlflowClient()
        active = mlflow.active_run()
        experiment_id = experiment_id or (active.info.experiment_id if active else None)
        name = client.get_experiment(experiment_id).name if experiment_id else ""
        where, option = (f"the experiment {name}", f" --experiment-name {name}") if name else ("this experiment", "")
        raise UserError(
            f"no table is in {where} on {server_address()}; make one with: mlflow run 3_projects/data "
            f"--env-manager local{option}"
        )
    return runs[0]
