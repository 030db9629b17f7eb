"""The project from its command line: a model with a range, from a search that outlives kill -9."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import mlflow
import pandas as pd
import pytest

pytestmark = pytest.mark.slow
COLUMNS = ["solar_GW", "wind_GW", "solar_GW_q10", "solar_GW_q90", "wind_GW_q10", "wind_GW_q90"]


@pytest.fixture(scope="module")
def data(mlflow_run, small_csv) -> str:
    """Return the id of a run of 3_projects/data on the small CSV."""
    done = mlflow_run("3_projects/data", experiment="boosting", csv=small_csv, holdout_days=30)
    assert done.returncode == 0, done.stderr
    return re.search(r"Run \(ID '(\w+)'\) succeeded", done.stderr)[1]


@pytest.fixture(scope="module")
def killed(mlflow_run, data, root) -> tuple[str, subprocess.CompletedProcess]:
    """Kill the project with SIGKILL after its second trial, run it again, and return what both said."""
    command = [sys.executable, "-m", "mlflow", "run", "3_projects/boosting", "--env-manager", "local"]
    command += ["--experiment-name", "boosting", "-P", "trials=3", "-P", f"data_run={data}"]
    said = []
    with subprocess.Popen(
        command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    ) as project:
        for line in project.stdout:
            said.append(line)
            if "trial 2 of" in line:
                os.killpg(project.pid, signal.SIGKILL)
                break
    assert project.returncode == -signal.SIGKILL, "".join(said)
    return "".join(said), mlflow_run("3_projects/boosting", experiment="boosting", trials=3, data_run=data)


@pytest.fixture(scope="module")
def run(killed):
    """Return the run of the project that came to its end."""
    assert killed[1].returncode == 0, killed[1].stdout + killed[1].stderr
    return mlflow.get_run(re.search(r"Run \(ID '(\w+)'\) succeeded", killed[1].stderr)[1])


@pytest.fixture(scope="module")
def model(run):
    (output,) = run.outputs.model_outputs
    return mlflow.pyfunc.load_model(f"models:/{output.model_id}")


@pytest.fixture(scope="module")
def rows(model, data) -> pd.DataFrame:
    table = pd.read_parquet(mlflow.artifacts.download_artifacts(run_id=data, artifact_path="table.parquet"))
    return table.loc[table["split"] == "holdout", model.metadata.get_input_schema().input_names()]


def test_the_search_goes_on_after_kill_9(killed, run):
    assert "trial 3 of" not in killed[0]
    kept = int(re.search(r"(\d) of 3 trials are copied", killed[1].stdout)[1])
    assert kept == 2
    assert "trial 2 of 3" not in killed[1].stdout
    assert "trial 3 of 3" in killed[1].stdout
    assert run.data.metrics["kept_trials"] == 2


def test_how_often_the_range_holds_is_kept_as_table_and_plot(run):
    names = {file.path for file in mlflow.MlflowClient().list_artifacts(run.info.run_id)}
    assert {"coverage.json", "weeks.png", "trials_wind_GW.json"} <= names
    path = mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="coverage.json")
    content = json.loads(Path(path).read_text(encoding="utf-8"))
    coverage = pd.DataFrame(content["data"], columns=content["columns"])
    assert set(coverage["target"]) == {"solar_GW", "wind_GW"}
    assert {"day", "night", "summer"} <= set(coverage["hours of"])
    assert "coverage_wind_GW_day" in run.data.metrics


def test_the_two_targets_come_first_and_the_range_around_them_after_them(model, rows):
    power = model.predict(rows)
    assert list(power.columns) == COLUMNS == model.metadata.get_output_schema().input_names()
    for target in ("solar_GW", "wind_GW"):
        assert (power[f"{target}_q10"] <= power[target]).all()
        assert (power[target] <= power[f"{target}_q90"]).all()


def test_few_rows_and_many_give_the_same_numbers_in_any_order_of_columns(model, rows):
    many = pd.concat([rows] * 15)  # more than are predicted in one thread
    power = model.predict(rows)
    pd.testing.assert_frame_equal(model.predict(many).iloc[: len(rows)], power, check_exact=True)
    pd.testing.assert_frame_equal(model.predict(rows[rows.columns[::-1]]), power, check_exact=True)
    pd.testing.assert_frame_equal(model.predict(rows.iloc[[7]]), power.iloc[[7]], check_exact=True)
