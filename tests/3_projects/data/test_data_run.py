"""What a run of the project leaves on the server; test_lessons.py types the command."""

import hashlib
import json
import sys
from pathlib import Path

import ingest
import mlflow
import pandas as pd
import pytest
from learner import Learner


@pytest.fixture
def run_of(tmp_path, monkeypatch):
    """Return a function that runs the program in an experiment of its own, and returns the run and its last words."""
    learner = Learner(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", learner.uri)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", learner.experiment("data"))

    def run(*typed):
        monkeypatch.setattr(sys, "argv", ["ingest.py", *map(str, typed)])
        said = None
        try:
            ingest.main()
        except SystemExit as end:
            said = end.code
        (made,) = mlflow.search_runs(output_format="list")
        return made, said

    return run


def test_a_good_file_becomes_a_table_that_says_what_it_is_about(run_of, frame, write, capsys):
    path = write(frame.drop(frame.index[50]))
    descriptor = {"resources": [{"path": path.name, "title": "Numbers of the tests"}]}
    path.with_name("datapackage.json").write_text(json.dumps(descriptor))
    run, _ = run_of("--csv", path, "--holdout-days", 30)
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


def test_a_file_that_cannot_be_used_fails_the_run_with_the_sentence(run_of, frame, write):
    path = write(frame.drop(columns="windspeed"))
    run, said = run_of("--csv", path)
    assert run.info.status == "FAILED"
    assert run.data.tags["error"].startswith(f"{path}: column 'windspeed' is missing in line 1")
    assert said == f"data: {run.data.tags['error']}"
