"""What the small workflow has made, as the tests of the lessons need it."""

import re

import mlflow
import pandas as pd
import pytest


@pytest.fixture(scope="session")
def runs(workflow) -> dict:
    """Return the run of each step of the small workflow."""
    printed = dict(re.findall(r"^workflow: (\w+): run (\w+) in", workflow, re.MULTILINE))
    return {step: mlflow.get_run(printed[step]) for step in ("data", "lr", "rf", "keras", "boosting")}


@pytest.fixture(scope="session")
def table(runs) -> pd.DataFrame:
    path = mlflow.artifacts.download_artifacts(run_id=runs["data"].info.run_id, artifact_path="table.parquet")
    return pd.read_parquet(path)
