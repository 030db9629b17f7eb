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
from stock_series import STOCK, load, rows, there_and_back

MODELS = ["lstm", "linear", "knn", "moving_average", "random_forest", "xgboost"]
STEPS = ["ingest", "transform", *MODELS, "evaluate", "register", "deploy", "score"]
CLOSES = [f"close_{number}" for number in range(1, 15)]
SMALL = {"symbol": "TEST", "holdout_years": "0.5", "lstm_units": "4", "epochs": "2"}
SAME = "same code, parameters and input"
ALWAYS = "it looks whether the copy in the bucket is still whole"
BUCKET = "shares"
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
def given(csv, endpoint, tmp_path_factory) -> dict:
    """Return the parameters of a run of the whole project, with all that can be done at its end."""
    output = tmp_path_factory.mktemp("scored") / "scored.csv"
    return SMALL | {"source": csv, "bucket": BUCKET, "endpoint": endpoint, "input": "newest", "output": output}


@pytest.fixture(scope="module")
def main(mlflow_run, given, s3) -> str:
    """Run the whole project once and return what it printed."""
    done = mlflow_run("3_projects/stock", experiment="stock tests", **given)
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


def script(name: str, *options: str, **environment: str) -> subprocess.CompletedProcess:
    """Run a script of the project as its MLproject does, without MLflow around it."""
    env = os.environ | {"MLFLOW_EXPERIMENT_NAME": "stock tests"} | environment
    command = [sys.executable, f"{name}.py", *map(str, options)]
    return subprocess.run(command, cwd=STOCK, env=env, capture_output=True, text=True, timeout=300, check=False)


def test_main_runs_every_step_as_a_child_of_one_run_and_in_order(main, runs):
    assert set(said(main)) == set(STEPS)
    (parent,) = {run.data.tags["mlflow.parentRunId"] for run in runs.values()}
    assert mlflow.get_run(parent).info.status == "FINISHED"
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    ended = {step: run.info.end_time for step, run in runs.items()}
    begun = {step: run.info.start_time for step, run in runs.items()}
    pairs = [("ingest", "transform"), ("evaluate", "register"), ("register", "deploy"), ("register", "score")]
    for before, after in pairs:
        assert ended[before] <= begun[after]
    assert all(ended["transform"] <= begun[name] and ended[name] <= begun["evaluate"] for name in MODELS)
    assert {run.data.tags["step"] for run in runs.values()} == {f"stock.{step}" for step in STEPS}


def test_only_the_copy_is_looked_at_again_with_the_same_code_parameters_and_input(main, runs, mlflow_run, given, s3):
    key = f"models/stock_direction/{runs['deploy'].data.tags['model_version']}/MLmodel"
    s3.delete_object(Bucket=BUCKET, Key=key)
    done = mlflow_run("3_projects/stock", experiment="stock tests", **given)
    assert done.returncode == 0, done.stderr
    lines = said(done.stdout)
    assert lines.pop("deploy").endswith(f"s: {ALWAYS}")
    assert lines == {step: f"reused run {run.info.run_id}: {SAME}" for step, run in runs.items() if step != "deploy"}
    assert s3.head_object(Bucket=BUCKET, Key=key)["ContentLength"]


def test_what_came_into_production_is_in_the_bucket_and_has_scored_the_holdout(main, runs, models, table, given, s3):
    version = mlflow.MlflowClient().get_model_version_by_alias("stock_direction", "production")
    key = f"models/stock_direction/{version.version}/manifest.json"
    copied = json.load(s3.get_object(Bucket=BUCKET, Key=key)["Body"])
    logged = json.loads(mlflow.artifacts.load_text(f"runs:/{runs['deploy'].info.run_id}/manifest.json"))
    assert copied["files"] == logged["files"]
    for step in ("deploy", "score"):
        assert runs[step].data.tags["model_version"] == version.version
    (name,) = (model for model in MODELS if runs[model].info.run_id == version.run_id)
    rows = table.loc[table["split"] == "holdout", CLOSES]
    scored = pd.read_csv(given["output"], index_col="date")
    assert scored["up_probability"].to_numpy() == pytest.approx(models[name].predict(rows)["up_probability"].to_numpy())


def test_another_network_is_trained_and_judged_without_training_the_other_models(main, given):
    options = [f"--{name.replace('_', '-')}={value}" for name, value in (given | {"lstm_units": "5"}).items()]
    done = script("main", "--dry-run", *options)
    assert done.returncode == 0, done.stderr
    would_run = {step: line for step, line in said(done.stdout).items() if line.startswith("would run")}
    assert would_run == {
        "lstm": "would run: lstm_units changed from 4 to 5",
        "evaluate": "would run: its input will change: lstm runs",
        "register": "would run: its input will change: evaluate, lstm run",
        "deploy": f"would run: {ALWAYS}",
        "score": "would run: its input will change: register runs",
    }


@pytest.mark.parametrize("name", MODELS)
def test_a_model_takes_raw_closing_prices_by_name_and_names_what_it_gives(models, table, name):
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


@pytest.mark.parametrize("name", MODELS)
def test_a_share_at_ten_times_the_price_is_predicted_alike(models, table, name):
    window = table[CLOSES].tail(5)
    small, large = models[name].predict(window), models[name].predict(window * 10)
    if "next_close" in small:
        large = large / 10
    pd.testing.assert_frame_equal(small, large, rtol=1e-4)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("price", [float("nan"), 0.0, -1.0, float("inf")])
def test_what_is_no_price_is_refused_with_its_column(models, table, name, price):
    window = table[CLOSES].tail(3).copy()
    window.iloc[1, 4] = price
    with pytest.raises(MlflowException, match=r"expected a price above 0 in every input column, found .+ in close_5"):
        models[name].predict(window)
    with pytest.raises(MlflowException, match="expected at least one row"):
        models[name].predict(window.head(0))


def test_the_moving_average_is_the_mean_of_the_window(models, table):
    window = table[CLOSES].tail(20)
    predicted = models["moving_average"].predict(window)["next_close"]
    assert predicted.to_numpy() == pytest.approx(window.mean(axis=1).to_numpy())


@pytest.mark.parametrize("name", ["linear", "knn"])
def test_the_scaler_inside_a_model_was_fitted_on_the_training_part_only(models, table, name):
    scaler = models[name].unwrap_python_model().estimator[0]
    train = table.loc[table["split"] == "train", CLOSES].to_numpy()
    windows = train[:, :-1] / train[:, -1:] - 1
    assert scaler.n_samples_seen_ == len(train)
    assert scaler.mean_ == pytest.approx(windows.mean(axis=0))
    assert scaler.scale_ == pytest.approx(windows.std(axis=0))


def test_the_network_has_two_layers_of_the_units_that_were_asked_for_and_logs_each_epoch(runs, models):
    network = models["lstm"].unwrap_python_model().network
    assert [layer.units for layer in network.layers if type(layer).__name__ == "LSTM"] == [4, 4]
    history = mlflow.MlflowClient().get_metric_history(runs["lstm"].info.run_id, "val_loss")
    assert len(history) == 2


def test_a_training_that_is_done_again_gives_the_same_model(runs, models, table):
    done = script("train", "--model", "random_forest", "--table-run", runs["transform"].info.run_id)
    assert done.returncode == 0, done.stderr
    again = mlflow.pyfunc.load_model(re.search(r"models:/m-\w+", done.stdout)[0])
    pd.testing.assert_frame_equal(again.predict(table[CLOSES]), models["random_forest"].predict(table[CLOSES]))


def test_the_report_of_the_prices_has_the_errors_of_the_stored_models_on_the_holdout(runs, models, table):
    found, rows = report(runs["evaluate"], "regression.json"), table[table["split"] == "holdout"]
    assert set(found) == {"lstm", "linear", "knn", "moving_average", "last_close"}
    for name, values in found.items():
        predicted = rows["last_close"] if name == "last_close" else models[name].predict(rows[CLOSES])["next_close"]
        error = predicted - rows["next_close"]
        assert values["mae"] == pytest.approx(error.abs().mean(), rel=1e-4)
        assert values["rmse"] == pytest.approx((error**2).mean() ** 0.5, rel=1e-4)
    assert found["linear"]["mae"] < found["last_close"]["mae"]


def test_the_classification_report_has_every_measure_for_models_and_naive_forecasts(runs, models, table):
    found, rows = report(runs["evaluate"], "classification.json"), table[table["split"] == "holdout"]
    assert set(found) == {"random_forest", "xgboost", "majority", "same_as_yesterday"}
    measures = {"accuracy", "precision", "recall", "f1", "roc_auc", "matthews", "log_loss", "confusion"}
    for name, values in found.items():
        assert values.keys() == measures
        assert sum(values["confusion"].values()) == len(rows)
        assert (values["roc_auc"] is None) == (name in ("majority", "same_as_yesterday"))
    right = models["xgboost"].predict(rows[CLOSES])["up"] == rows["up"]
    assert found["xgboost"]["accuracy"] == pytest.approx(right.mean())
    assert found["xgboost"]["accuracy"] > found["majority"]["accuracy"]


@pytest.mark.parametrize("name", ["prices.png", "confusion.png"])
def test_the_pictures_are_kept(runs, name):
    path = mlflow.artifacts.download_artifacts(run_id=runs["evaluate"].info.run_id, artifact_path=name)
    assert Path(path).read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


@pytest.mark.parametrize(("name", "step"), [("stock_price", "stock.linear"), ("stock_direction", None)])
def test_what_beats_the_naive_forecasts_is_in_production_and_the_ledger_says_that_nobody_was_asked(runs, name, step):
    client = mlflow.MlflowClient()
    version = client.get_model_version_by_alias(name, "production")
    assert version.run_id in [runs[model].info.run_id for model in MODELS]
    assert version.tags["gate"] == "passed"
    if step:
        assert version.tags["step"] == step
    assert "with 95 % confidence" in version.tags["gate.naive"]
    (entry,) = (json.loads(text) for key, text in client.get_registered_model(name).tags.items() if "ledger" in key)
    assert (entry["action"], entry["to"], entry["auto"]) == ("approve", version.version, True)
    assert "is in production now" in runs["register"].data.tags[f"verdict.{name}"]


def test_another_input_is_scored_though_the_same_one_was_scored_before(main, runs, given, tmp_path):
    kept = given["output"].read_bytes()
    options = [f"--{name.replace('_', '-')}={value}" for name, value in given.items()]
    given["output"].write_text("of another input")
    try:
        line = said(script("main", "--dry-run", *options).stdout)["score"]
    finally:
        given["output"].write_bytes(kept)
    assert re.fullmatch(r"would run: the scored file is \w{12}, and was \w{12} when it ended", line)


def test_a_person_s_rollback_is_no_reason_to_judge_again(main, runs, given):
    client = mlflow.MlflowClient()
    version = client.get_model_version_by_alias("stock_price", "production").version
    other = next(str(number) for number in (1, 2) if str(number) != version)
    client.set_registered_model_alias("stock_price", "production", other)
    options = [f"--{name.replace('_', '-')}={value}" for name, value in given.items()]
    try:
        assert said(script("main", "--dry-run", *options).stdout)["register"].startswith("would reuse run ")
    finally:
        client.set_registered_model_alias("stock_price", "production", version)


def test_whoever_approves_says_why():
    done = script("register", "--by", "Ada")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "register: expected by= and reason= together, or none of them, found one\n"


def test_a_step_that_fails_stops_main_with_its_own_sentence(mlflow_run, tmp_path):
    path = tmp_path / "short.csv"
    rows(10).to_csv(path, index=False)
    done = mlflow_run("3_projects/stock", experiment="stock tests", source=path, **SMALL)
    assert done.returncode != 0
    sentence = f"{path}: expected at least 100 days with prices, found 10 from 2020-01-01 to 2020-01-14."
    assert f"workflow: ingest: {sentence}" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    condition = {"search_all_experiments": True, "filter_string": "tags.step = 'stock.ingest'", "output_format": "list"}
    run = mlflow.search_runs(**condition)[0]
    assert run.info.status == "FAILED"
    assert run.data.tags["error"].startswith(sentence)


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
    tags = {"step": "stock.transform", "table_sha256": "a walk", "symbol": "WALK", "source": "made by a test"}
    run = client.create_run(client.create_experiment("stock walk"), tags=tags)
    client.log_artifact(run.info.run_id, str(path))
    client.set_terminated(run.info.run_id)
    return run.info.run_id


def test_a_gate_that_lets_nothing_through_is_a_result_and_no_error(walk):
    where = {"MLFLOW_EXPERIMENT_NAME": "stock walk"}
    fell = script("train", "--model", "xgboost", "--table-run", walk, **where)
    assert fell.returncode == 1
    assert "expected rises and other days in the training part of" in fell.stderr.splitlines()[-1]
    trained = script("train", "--model", "moving_average", "--table-run", walk, **where)
    assert trained.returncode == 0, trained.stderr
    done = script("register", "--table-run", walk, **where)
    assert done.returncode == 0, done.stderr
    reason = "stock_price version 1 (stock.moving_average) is not promoted: naive: not better than column:last_close"
    assert f"register: stock_price: {reason}" in done.stdout
    assert "register: stock_direction: there is no model to judge." in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    (run,) = mlflow.search_runs(
        experiment_names=["stock walk"], filter_string="tags.step = 'stock.register'", output_format="list"
    )
    assert run.info.status == "FINISHED"
    assert run.data.tags["verdict.stock_price"].startswith(reason)
    assert mlflow.MlflowClient().get_registered_model("stock_price").aliases == {}
