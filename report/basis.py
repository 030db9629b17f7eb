"""What all reports of one model and one table share: read once from MLflow, computed once for every hour.

All frames have the table's hourly UTC index without gaps; power is in GW.
"""

from dataclasses import dataclass

import mlflow
import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException

from report import verdict
from report.drift import Training, make_training
from report.production import TARGETS, Production, read_table
from report.week import WEEK, monday

DECIMALS = 6  # a forest adds its trees up in any order, so the digits after these differ from run to run
FULL = 160  # recorded hours of a week whose mean may be a record


@dataclass(frozen=True)
class Source:
    """What a report is made from; ``seen`` says which hours are of the time that the model was trained on."""

    production: Production
    table: pd.DataFrame
    table_run: str
    digest: str
    experiment_id: str
    seen: np.ndarray


@dataclass(frozen=True)
class Basis:
    """What is computed for every hour and every week, before any week is chosen."""

    source: Source
    recorded: pd.DataFrame  # NaN where the hour was filled in
    predicted: pd.DataFrame  # with q10 and q90 if the model knows them
    naive: dict[str, pd.DataFrame]
    weekly: pd.DataFrame  # means of the recorded hours and their number ``hours``, by the first hour of the ISO week
    references: dict[str, verdict.Reference]
    training: Training


def read_source(production: Production, table: pd.DataFrame, table_run: str) -> Source:
    """Return what a report is made from, with what the tracking server knows of the table and of the training."""
    run = mlflow.MlflowClient().get_run(table_run)
    digest = run.data.tags.get("table_sha256", "unknown")
    seen = trained_hours(production, table, table_run, digest)
    return Source(production, table, table_run, digest, run.info.experiment_id, seen)


def trained_hours(production: Production, table: pd.DataFrame, table_run: str, digest: str) -> np.ndarray:
    """Return which hours of the table are of the time that the model was trained on, not of its holdout.

    The table may be newer than the model's own. If that one is gone, the split of this one has to do.
    """
    trained_on = table
    if production.data_run and production.data_run != table_run:
        try:
            tags = mlflow.MlflowClient().get_run(production.data_run).data.tags
            if tags.get("table_sha256") != digest:
                trained_on = read_table(production.data_run)
        except (MlflowException, OSError):
            pass
    return table.index.isin(trained_on.index[trained_on["split"] != "holdout"])


def persistence(table: pd.DataFrame) -> pd.DataFrame:
    """Return the power of the same hour of the day before; the first day has none."""
    return table[TARGETS].shift(24)


def climatology(table: pd.DataFrame) -> pd.DataFrame:
    """Return the mean power of that month and hour in the training, or of the hour if the month is not in it."""
    past = table.loc[table["split"] != "holdout", TARGETS]
    by_hour = past.groupby(past.index.hour).mean().reindex(table.index.hour).set_axis(table.index)
    means = past.groupby([past.index.month, past.index.hour]).mean()
    return (
        means.reindex(pd.MultiIndex.from_arrays([table.index.month, table.index.hour]))
        .set_axis(table.index)
        .fillna(by_hour)
    )


def prepare(source: Source) -> Basis:
    """Return what is computed for every hour; raises KeyError if the table lacks a column that the model takes."""
    table = source.table
    predicted = source.production.predict_range(table).set_axis(table.index).astype(float).round(DECIMALS)
    recorded = table[TARGETS].where(~table["repaired"])
    first = monday(table.index[0])
    starts = pd.Series(first + (table.index - first) // WEEK * WEEK, table.index)
    weekly = recorded.groupby(starts).mean().assign(hours=recorded[TARGETS[0]].groupby(starts).count())
    unseen = pd.Series(~source.seen, table.index)
    errors = (predicted[TARGETS] - recorded).abs()
    return Basis(
        source=source,
        recorded=recorded,
        predicted=predicted,
        naive={"persistence": persistence(table), "climatology": climatology(table)},
        weekly=weekly,
        references={
            target: verdict.make_reference(predicted[target], errors[target], unseen, starts) for target in TARGETS
        },
        training=make_training(table, source.production.columns, source.seen),
    )


def full_weeks(basis: Basis, start: pd.Timestamp) -> pd.DataFrame:
    """Return the weeks up to the one that begins at ``start`` of which so much is recorded that they can be ranked."""
    weeks = basis.weekly[:start]
    return weeks[weeks["hours"] >= FULL]
