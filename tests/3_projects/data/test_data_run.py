"""The project as it is run: ``mlflow run 3_projects/data`` against the real servers."""

import hashlib
import json
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from mlflow import MlflowClient

EXPERIMENT = "tests of data"


@pytest.fixture
def run_of(other_servers, mlflow_run):
    """Return a function that runs the project on a CSV and returns the run and what was printed."""

    def run(csv: Path, **parameters):
        uri = other_servers.tracking_uri
        done = mlflow_run("3_projects/data", experiment=EXPERIMENT, tracking_uri=uri, csv=csv, **parameters)
        client = MlflowClient(uri)
        experiment = client.get_experiment_by_name(EXPERIMENT)
        (run,) = client.search_runs([experiment.experiment_id], f"params.csv = '{csv}'")
        return run, done

    return run


def test_a_good_file_becomes_a_table_that_says_what_it_is_about(run_of, other_servers, frame, write, tmp_path):
    path = write(frame.drop(frame.index[50]))
    descriptor = {"resources": [{"path": path.name, "title": "Numbers of the tests"}]}
    path.with_name("datapackage.json").write_text(json.dumps(descriptor))
    run, done = run_of(path, holdout_days=30)
    assert done.returncode == 0, done.stderr
    assert run.info.status == "FINISHED"
    assert (run.data.tags["project"], run.data.tags["data_title"]) == ("data", "Numbers of the tests")
    assert "error" not in run.data.tags
    assert (run.data.metrics["hours"], run.data.metrics["hours_filled"]) == (2880, 1)
    assert "data: Numbers of the tests" in done.stdout
    assert "1 hours filled" in done.stdout
    file = mlflow.artifacts.download_artifacts(
        run_id=run.info.run_id,
        artifact_path="table.parquet",
        dst_path=tmp_path,
        tracking_uri=other_servers.tracking_uri,
    )
    assert run.data.tags["table_sha256"] == hashlib.sha256(Path(file).read_bytes()).hexdigest()
    table = pd.read_parquet(file)
    assert (table.attrs["subject"]["title"], table.attrs["file"]) == ("Numbers of the tests", "power.csv")
    assert table.attrs["repairs"]["hours filled"] == 1
    assert table.index.equals(frame.index)
    assert set(table["split"]) == {"train", "validation", "holdout"}


def test_a_file_that_cannot_be_used_fails_the_run_with_the_sentence(run_of, frame, write):
    path = write(frame.drop(columns="windspeed"))
    run, done = run_of(path)
    assert done.returncode != 0
    assert run.info.status == "FAILED"
    assert run.data.tags["error"].startswith(f"{path}: column 'windspeed' is missing in line 1")
    assert f"data: {run.data.tags['error']}\n" in done.stderr
    assert "Traceback" not in done.stderr
