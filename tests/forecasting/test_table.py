"""What a model has learnt from: the one answer for gate, report and dashboard."""

from types import SimpleNamespace

import mlflow
import numpy as np
import pandas as pd
import pytest

from forecasting.errors import UserError
from forecasting.table import HourlyTable, newest_run
from forecasting.tracking import project_of


def frame(start: str) -> pd.DataFrame:
    index = pd.date_range(start, periods=300, freq="h", tz="UTC")
    split = np.repeat(["train", "validation", "holdout"], 100)
    columns = [{"name": "load_MW", "role": "target", "title": "Load", "unit": "MW"}]
    table = pd.DataFrame({"load_MW": 1.0, "repaired": np.arange(300) == 7, "split": split}, index)
    table.attrs["subject"] = {"title": "A town", "columns": columns, "place": "", "time_zone": "UTC"}
    return table


def log(frame: pd.DataFrame, folder, digest: str) -> str:
    frame.to_parquet(folder / "table.parquet")
    with mlflow.start_run() as run:
        mlflow.set_tags({"project": "data", "table_sha256": digest, "used_at": digest})
        mlflow.log_artifact(str(folder / "table.parquet"))
    return run.info.run_id


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """An older and a newer table that overlap, on a database of their own."""
    folder = tmp_path_factory.mktemp("tables")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlruns.db")
        patch.chdir(folder)
        patch.setenv("MLFLOW_EXPERIMENT_NAME", "town")
        older, newer = (
            log(frame(start), folder, digest) for start, digest in (("2015-01-01", "1"), ("2015-01-05", "2"))
        )
        yield older, newer


def training(**tags: str) -> SimpleNamespace:
    return SimpleNamespace(data=SimpleNamespace(tags=tags))


def test_the_newest_table_is_the_one_used_last_and_knows_its_subject(tables):
    table = HourlyTable.newest()
    assert (table.run_id, table.digest, table.title, table.targets) == (tables[1], "2", "A town", ["load_MW"])
    assert table.subject.unit("load_MW") == "MW"
    assert table.actuals()["load_MW"].isna().sum() == 1
    assert table.holdout().sum() == 100


def test_a_model_has_seen_the_parts_that_it_was_fitted_on(tables):
    table = HourlyTable.read(tables[1])
    of = table.frame["split"]
    assert (table.seen_by(training(data_run=tables[1], fitted_on="train")) == (of == "train")).all()
    assert (table.seen_by(training(data_run=tables[1], fitted_on="train,validation")) == (of != "holdout")).all()


def test_a_model_of_another_table_has_seen_the_parts_of_that_one(tables):
    table = HourlyTable.read(tables[1])
    older = pd.date_range("2015-01-01", periods=100, freq="h", tz="UTC")
    seen = table.seen_by(training(data_run=tables[0], fitted_on="train"))
    assert (seen == table.frame.index.isin(older)).all()
    assert 0 < seen.sum() < 100


@pytest.mark.parametrize("run", [None, training(), training(data_run="gone")], ids=["no run", "no tag", "no table"])
def test_of_whom_nothing_is_known_everything_but_the_holdout_counts_as_seen(tables, run):
    table = HourlyTable.read(tables[1])
    assert (table.seen_by(run) == ~table.holdout()).all()


def test_a_run_without_a_table_is_named_with_the_next_command(tables):
    with pytest.raises(UserError, match=r"gone is not a run .* make one with: mlflow run 3_projects/data"):
        HourlyTable.read("gone")


def test_a_table_of_an_earlier_version_says_how_to_make_it_again(tables, tmp_path):
    table = frame("2015-01-01")
    table.attrs = {"source": "A town"}
    experiment = mlflow.get_experiment_by_name("town").experiment_id
    with pytest.raises(UserError, match=r"make a new one with: mlflow run 3_projects/data .* --experiment-name town"):
        HourlyTable(table, "", "", experiment).subject  # noqa: B018


def test_what_an_earlier_version_has_called_a_step_is_a_project(tables):
    client = mlflow.MlflowClient()
    client.set_tag(tables[0], "step", "old")
    assert project_of(client.get_run(tables[0])) == "data"
    client.delete_tag(tables[0], "project")
    assert project_of(client.get_run(tables[0])) == "old"
    client.set_tag(tables[0], "project", "data")


def test_the_tables_of_other_projects_are_left_alone(tables):
    with mlflow.start_run() as run:
        mlflow.set_tags({"project": "stock.transform", "table_sha256": "3", "used_at": "3"})
    assert HourlyTable.newest().run_id == tables[1]
    assert newest_run(project="stock.transform").info.run_id == run.info.run_id
    mlflow.delete_run(run.info.run_id)
