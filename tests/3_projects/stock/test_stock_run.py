"""The project as it is run, on a made series from which something can be learnt: from the prices to production."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import boto3
import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException
from stock_series import STOCK, load, rows, run_step, there_and_back

from forecasting import ledger

MODELS = ["lstm", "linear", "knn", "moving_average", "random_forest", "xgboost"]
STEPS = ["ingest", "transform", *MODELS, "evaluate", "register", "deploy"]
CLOSES = [f"close_{number}" for number in range(1, 15)]
SMALL = {"symbol": "TEST", "holdout_years": "0.5", "lstm_units": "4", "epochs": "2"}
SAME = "same code, parameters and input"
ALWAYS = "it checks that the copy in the bucket is still complete"
BUCKET, EXPERIMENT = "shares", "stock tests"
pytestmark = pytest.mark.slow


def said(output: str) -> dict[str, str]:
    """Return the last word on each step."""
    return dict(re.findall(r"^workflow: (\w+): (.*)$", output, re.MULTILINE))


@pytest.fixture(scope="module")
def csv(tmp_path_factory):
    path = tmp_path_factory.mktemp("prices") / "prices.csv"
    rows(600, there_and_back(600)).to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def s3(endpoint, aws_keys):
    """Return a client of an S3 server with an empty bucket."""
    client = boto3.client("s3", endpoint_url=endpoint)
    client.create_bucket(Bucket=BUCKET)
    yield client
    client.close()


@pytest.fixture(scope="module")
def given(csv, endpoint) -> dict:
    """Return the parameters of a run of the whole project, with the copy at its end."""
    return SMALL | {"source": csv, "bucket": BUCKET, "endpoint": endpoint}


@pytest.fixture(scope="module")
def main(mlflow_run, given, s3) -> str:
    """Run the whole project once and return what it printed."""
    done = mlflow_run("3_projects/stock", experiment=EXPERIMENT, **given)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def runs(main) -> dict:
    """Return the run of each step."""
    return {step: mlflow.get_run(line.split()[1]) for step, line in said(main).items()}


@pytest.fixture(scope="module")
def table(runs) -> pd.DataFrame:
    path = mlflow.artifacts.download_artifacts(run_id=runs["transform"].info.run_id, artifact_path="table.parquet")
    return pd.read_parquet(path)


@pytest.fixture(scope="module")
def models(runs) -> dict:
    """Return the stored model of each training."""
    return {name: mlflow.pyfunc.load_model(uri(runs[name])) for name in MODELS}


def uri(run) -> str:
    return f"models:/{run.outputs.model_outputs[0].model_id}"


def report(run, name: str) -> dict:
    """Return the measures of each forecast in a report of evaluate."""
    path = mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path=name)
    return json.loads(Path(path).read_text(encoding="utf-8"))["forecasts"]


def script(path: str, **options: object) -> str:
    """Run a script as its MLproject does, without MLflow around it, and return what it printed."""
    env = os.environ | {"MLFLOW_EXPERIMENT_NAME": EXPERIMENT}
    command = [sys.executable, path, *(f"--{name.replace('_', '-')}={value}" for name, value in options.items())]
    done = subprocess.run(command, cwd=STOCK, env=env, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def again(**options: object) -> dict[str, str]:
    """Return what another run of the whole project says of each step."""
    return said(script("../workflow/run.py", steps="steps.py", **options))


def test_main_runs_every_step_as_a_child_of_one_run_and_in_order(main, runs):
    assert set(said(main)) == set(STEPS)
    (parent,) = {run.data.tags["mlflow.parentRunId"] for run in runs.values()}
    assert mlflow.get_run(parent).info.status == "FINISHED"
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    pairs = [("ingest", "transform"), *(("transform", name) for name in MODELS)]
    pairs += [*((name, "evaluate") for name in MODELS), ("evaluate", "register"), ("register", "deploy")]
    assert all(runs[before].info.end_time <= runs[after].info.start_time for before, after in pairs)
    (of_table,) = {runs[name].inputs.dataset_inputs[0].dataset.digest for name in ("transform", *MODELS)}
    assert of_table
    assert {run.data.tags["project"] for run in runs.values()} == {f"stock.{step}" for step in STEPS}


def test_only_the_copy_is_looked_at_again_with_the_same_code_parameters_and_input(main, runs, given, s3):
    key = f"models/stock_direction/{runs['deploy'].data.tags['model_version']}/MLmodel"
    s3.delete_object(Bucket=BUCKET, Key=key)
    lines = again(**given)
    assert lines.pop("deploy").endswith(f"s: {ALWAYS}")
    assert lines == {step: f"reused run {run.info.run_id}: {SAME}" for step, run in runs.items() if step != "deploy"}
    assert s3.head_object(Bucket=BUCKET, Key=key)["ContentLength"]


def test_what_came_into_production_is_in_the_bucket_and_scores_the_holdout(main, runs, models, table, s3, tmp_path):
    version = mlflow.MlflowClient().get_model_version_by_alias("stock_direction", "production")
    key = f"models/stock_direction/{version.version}/manifest.json"
    copied = json.load(s3.get_object(Bucket=BUCKET, Key=key)["Body"])
    logged = json.loads(mlflow.artifacts.load_text(f"runs:/{runs['deploy'].info.run_id}/manifest.json"))
    when = {"deployed_at": ""}  # the copy may have been made again since
    assert copied | when == logged | when
    assert runs["deploy"].data.tags["model_version"] == version.version
    output = tmp_path / "scored.parquet"
    script("../scoring/score.py", output=output, registered_model="stock_direction")
    (name,) = (model for model in MODELS if runs[model].info.run_id == version.run_id)
    rows = table.loc[table["split"] == "holdout", CLOSES]
    predicted = models[name].predict(rows)["up_probability"].to_numpy()
    assert pd.read_parquet(output)["up_probability"].to_numpy() == pytest.approx(predicted)


def test_another_network_is_trained_and_judged_without_training_the_other_models(main, given):
    lines = again(**given | {"lstm_units": "5"}, dry_run="true")
    would_run = {step: line for step, line in lines.items() if line.startswith("would run")}
    assert would_run == {
        "lstm": "would run: lstm_units changed from 4 to 5",
        "evaluate": "would run: its input may change: lstm would run",
        "register": "would run: its input may change: evaluate, lstm would run",
        "deploy": "would run: it checks that the copy in the bucket is still complete",
    }


@pytest.mark.parametrize("name", MODELS)
def test_a_model_takes_raw_closing_prices_by_name_names_what_it_gives_and_refuses_what_is_no_price(models, table, name):
    model, rows = models[name], table[table["split"] == "holdout"]
    assert model.metadata.get_input_schema().input_names() == CLOSES
    predicted = model.predict(rows[CLOSES])
    direction = name in ("random_forest", "xgboost")
    assert list(predicted.columns) == (["up", "up_probability"] if direction else ["next_close"])
    assert model.metadata.get_output_schema().input_names() == list(predicted.columns)
    pd.testing.assert_index_equal(predicted.index, rows.index)
    assert np.isfinite(predicted).all(axis=None)
    shuffled = model.predict(rows[CLOSES[::-1]].assign(further=1.0))
    pd.testing.assert_frame_equal(predicted, shuffled)
    if direction:
        assert (predicted["up"] == (predicted["up_probability"] > 0.5)).all()
        assert predicted["up_probability"].between(0, 1).all()
    dearer = model.predict(rows[CLOSES] * 10) / (1 if direction else 10)
    pd.testing.assert_frame_equal(predicted, dearer, rtol=1e-4)
    for price in (float("nan"), 0.0, -1.0, float("inf")):
        window = table[CLOSES].tail(3).copy()
        window.iloc[1, 4] = price
        sentence = r"expected a price above 0 in every input column, found .+ in close_5 \(row 2 of 3\)"
        with pytest.raises(MlflowException, match=sentence):
            model.predict(window)
    with pytest.raises(MlflowException, match="expected at least one row"):
        model.predict(rows[CLOSES].head(0))


def test_the_scaler_inside_a_model_was_fitted_on_the_training_part_only(models, table):
    train = table.loc[table["split"] == "train", CLOSES].to_numpy()
    windows = train[:, :-1] / train[:, -1:] - 1
    for name in ("linear", "knn"):
        scaler = models[name].unwrap_python_model().estimator[0]
        assert scaler.n_samples_seen_ == len(train), name
        assert scaler.mean_ == pytest.approx(windows.mean(axis=0))
        assert scaler.scale_ == pytest.approx(windows.std(axis=0))


def test_the_network_has_two_layers_of_the_units_that_were_asked_for_and_logs_each_epoch(runs, models):
    network = models["lstm"].unwrap_python_model().network
    assert [layer.units for layer in network.layers if type(layer).__name__ == "LSTM"] == [4, 4]
    history = mlflow.MlflowClient().get_metric_history(runs["lstm"].info.run_id, "val_loss")
    assert len(history) == 2


def test_a_training_that_is_done_again_gives_the_same_model(runs, models, table):
    done = run_step("train", "stock again", model="random_forest", table_run=runs["transform"].info.run_id)
    predicted = mlflow.pyfunc.load_model(uri(done)).predict(table[CLOSES])
    pd.testing.assert_frame_equal(predicted, models["random_forest"].predict(table[CLOSES]))


def test_the_reports_have_the_scores_of_the_stored_models_and_of_naive_forecasts_on_the_holdout(runs, models, table):
    prices, directions = (report(runs["evaluate"], f"{name}.json") for name in ("regression", "classification"))
    rows = table[table["split"] == "holdout"]
    assert set(prices) == {"lstm", "linear", "knn", "moving_average", "last_close"}
    for name, values in prices.items():
        predicted = rows["last_close"] if name == "last_close" else models[name].predict(rows[CLOSES])["next_close"]
        assert values["mae"] == pytest.approx((predicted - rows["next_close"]).abs().mean(), rel=1e-4)
    assert prices["linear"]["mae"] < prices["last_close"]["mae"]
    assert set(directions) == {"random_forest", "xgboost", "majority", "same_as_yesterday"}
    assert all(sum(values["confusion"].values()) == len(rows) for values in directions.values())
    right = models["xgboost"].predict(rows[CLOSES])["up"] == rows["up"]
    assert directions["xgboost"]["accuracy"] == pytest.approx(right.mean())
    assert directions["xgboost"]["accuracy"] > directions["majority"]["accuracy"]
    for name in ("prices.png", "confusion.png"):
        path = mlflow.artifacts.download_artifacts(run_id=runs["evaluate"].info.run_id, artifact_path=name)
        assert Path(path).read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


def test_what_beats_the_naive_forecasts_is_in_production_and_the_ledger_says_that_nobody_was_asked(runs):
    for name in ("stock_price", "stock_direction"):
        version = mlflow.MlflowClient().get_model_version_by_alias(name, "production")
        assert version.run_id in [runs[model].info.run_id for model in MODELS]
        assert version.tags["gate"] == "passed"
        assert version.tags["project"] == "stock.linear" or name == "stock_direction"
        assert "with 95 % confidence" in version.tags["gate.naive"]
        (entry,) = ledger.read(name).entries
        assert (entry.action, entry.to_version, entry.auto) == ("approve", version.version, True)
        assert "is in production now" in runs["register"].data.tags[f"verdict.{name}"]


@pytest.fixture
def walk(other_servers, tmp_path, monkeypatch) -> str:
    """Return the run of a table of a random walk, on servers where nothing is in production; no training day rises."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", other_servers.tracking_uri)
    closes = 40 * np.exp(np.cumsum(np.random.default_rng(2).normal(scale=0.01, size=600)))
    frame = rows(600, closes)
    prices = frame.set_index(pd.DatetimeIndex(pd.to_datetime(frame["date"], utc=True)))
    path = tmp_path / "table.parquet"
    table = load("windows").make_table(prices, 14, 0.5)
    table.loc[table["split"] == "train", "up"] = 0.0
    table.attrs = {"source": "made by a test"}
    table.to_parquet(path)
    client = mlflow.MlflowClient()
    tags = {"project": "stock.transform", "table_sha256": "a walk", "symbol": "WALK", "data_title": "a walk"}
    tags |= {"used_at": "2000-01-01"}
    run = client.create_run(client.create_experiment("stock walk"), tags=tags)
    client.log_artifact(run.info.run_id, str(path))
    client.set_terminated(run.info.run_id)
    return run.info.run_id


def test_a_gate_that_lets_nothing_through_is_a_result_and_no_error(walk, capsys):
    with pytest.raises(SystemExit, match=r"stock.train: expected rises and other days in the training part of"):
        run_step("train", "stock walk", model="xgboost", table_run=walk)
    run_step("train", "stock walk", model="moving_average", table_run=walk)
    with pytest.raises(SystemExit, match=r"stock.register: expected by= and reason= together, or neither, found one"):
        run_step("register", "stock walk", table_run=walk, by="Ada")
    run = run_step("register", "stock walk", table_run=walk)
    said = capsys.readouterr().out
    reason = "stock_price version 1 (stock.moving_average) is refused by naive: not better than column:last_close"
    assert f"register: stock_price: {reason}" in said
    assert "register: stock_direction: there is no model to judge." in said
    assert run.info.status == "FINISHED"
    assert run.data.tags["verdict.stock_price"].startswith(reason)
    assert mlflow.MlflowClient().get_registered_model("stock_price").aliases == {}
