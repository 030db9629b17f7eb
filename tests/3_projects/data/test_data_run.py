"""What a run of the project leaves on the server; test_lessons.py types the command."""

import hashlib
import json
import re
import sys
from pathlib import Path

import ingest
import mlflow
import pandas as pd
import pytest
from learner import Learner


@pytest.fixture
def learner(tmp_path, monkeypatch) -> Learner:
    """Return a learner whose database is the tracking store, and has the active experiment."""
    learner = Learner(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", learner.uri)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", learner.experiment("data"))
    return learner


@pytest.fixture
def type_in(monkeypatch):
    """Return a function that runs the program and returns its last words."""

    def run(*typed) -> str | None:
        monkeypatch.setattr(sys, "argv", ["ingest.py", *map(str, typed)])
        try:
            ingest.main()
        except SystemExit as end:
            return end.code
        return None

    return run


def only_run():
    (run,) = mlflow.search_runs(output_format="list")
    return run


def test_a_good_file_becomes_a_table_that_says_what_it_is_about(learner, type_in, frame, write, capsys):
    path = write(frame.drop(frame.index[50]))
    descriptor = {"resources": [{"path": path.name, "title": "Numbers of the tests"}]}
    path.with_name("datapackage.json").write_text(json.dumps(descriptor))
    assert type_in("--csv", path, "--holdout-days", 30) is None
    run = only_run()
    assert run.info.status == "FINISHED"
    assert (run.data.tags["project"], run.data.tags["data_title"]) == ("data", "Numbers of the tests")
    assert "error" not in run.data.tags
    assert (run.data.metrics["hours"], run.data.metrics["hours_filled"]) == (2880, 1)
    said = capsys.readouterr().out
    assert "data: Numbers of the tests" in said
    assert "1 hours filled" in said
    file = mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="table.parquet")
    assert run.data.tags["table_sha256"] == hashlib.sha256(Path(file).read_bytes()).hexdigest()
    table = pd.read_parquet(file)
    assert (table.attrs["subject"]["title"], table.attrs["file"]) == ("Numbers of the tests", "power.csv")
    assert table.attrs["repairs"]["hours filled"] == 1
    assert table.index.equals(frame.index)
    assert set(table["split"]) == {"train", "validation", "holdout"}


def test_a_file_that_cannot_be_used_fails_the_run_with_the_sentence(learner, type_in, frame, write):
    path = write(frame.drop(columns="windspeed"))
    said = type_in("--csv", path)
    run = only_run()
    assert run.info.status == "FAILED"
    assert run.data.tags["error"].startswith(f"{path}: column 'windspeed' is missing in line 1")
    assert said == f"data: {run.data.tags['error']}"


def test_a_server_that_is_away_is_named(learner, type_in, frame, write, monkeypatch, free_port):
    sentence = r"data: the table can't be logged \({}.*\)\. Do both servers run, and let you in\?"
    nowhere = f"127.0.0.1:{free_port()}"
    path = write(frame)
    away = learner.client.create_experiment("away", f"ftp://{nowhere}/artifacts")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", away)
    assert re.fullmatch(sentence.format(""), type_in("--csv", path, "--holdout-days", 30))
    assert only_run().info.status == "FAILED"
    monkeypatch.delenv("MLFLOW_EXPERIMENT_ID")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://{nowhere}")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    assert re.fullmatch(sentence.format(".*Connection refused"), type_in("--csv", path, "--holdout-days", 30))
