import re
import shutil

import mlflow
import pytest
from mlflow.exceptions import MlflowException


@pytest.fixture(scope="module")
def stump(workflow, mlflow_run) -> str:
    """Return the id of a run whose model is far too small to be any good."""
    done = mlflow_run("3_projects/rf", experiment="stumps", n_estimators=1, max_depth=1)
    assert done.returncode == 0, done.stderr
    experiment = mlflow.get_experiment_by_name("stumps").experiment_id
    return mlflow.search_runs([experiment], output_format="list")[0].info.run_id


def production() -> str:
    return mlflow.MlflowClient().get_model_version_by_alias("wind_solar", "production").version


def test_all_candidates_are_registered_with_their_errors(workflow):
    versions = mlflow.MlflowClient().search_model_versions("name = 'wind_solar'")
    assert {version.tags["step"] for version in versions} >= {"lr", "rf", "keras"}
    for version in versions:
        assert float(version.tags["holdout_mae"]) > 0
        assert "Simulated sample" in version.tags["judged_on"]


def test_the_best_candidate_is_in_production(workflow):
    versions = mlflow.MlflowClient().search_model_versions("name = 'wind_solar'")
    best = min(versions, key=lambda version: float(version.tags["holdout_mae"]))
    assert production() == best.version


def test_a_model_that_is_worse_than_the_one_in_production_is_not_promoted(stump, mlflow_run):
    before = production()
    done = mlflow_run("3_projects/registry", experiment="stumps", candidates=stump)
    assert done.returncode == 0, done.stderr
    assert "is not promoted" in done.stdout
    assert "the model in production is better" in done.stdout
    assert production() == before


def test_a_model_that_a_naive_forecast_beats_leaves_nothing_in_production(stump, mlflow_run):
    done = mlflow_run("3_projects/registry", experiment="stumps", candidates=stump, registered_model="stumps")
    assert done.returncode != 0
    assert "persistence is as good in" in done.stderr
    assert "Nothing is in production." in done.stderr
    assert "Traceback" not in done.stderr
    with pytest.raises(MlflowException):
        mlflow.MlflowClient().get_model_version_by_alias("stumps", "production")


def test_judging_again_changes_nothing(workflow, mlflow_run):
    before = production()
    count = len(mlflow.MlflowClient().search_model_versions("name = 'wind_solar'"))
    best = mlflow.MlflowClient().get_model_version("wind_solar", before).run_id
    done = mlflow_run("3_projects/registry", candidates=best)
    assert done.returncode == 0, done.stderr
    assert f"wind_solar version {before}" in done.stdout
    assert "stays in production" in done.stdout
    assert production() == before
    assert len(mlflow.MlflowClient().search_model_versions("name = 'wind_solar'")) == count


def test_a_production_model_that_is_gone_does_not_stand_in_the_way_of_its_successor(workflow, mlflow_run, store):
    client = mlflow.MlflowClient()
    done = mlflow_run("3_projects/rf", experiment="gone", n_estimators=1, max_depth=1)
    assert done.returncode == 0, done.stderr
    experiment = mlflow.get_experiment_by_name("gone").experiment_id
    (run,) = mlflow.search_runs([experiment], output_format="list")
    model_id = run.outputs.model_outputs[0].model_id
    mlflow.register_model(f"models:/{model_id}", "gone")
    client.set_registered_model_alias("gone", "production", "1")
    shutil.rmtree(store / "artifacts" / experiment / "models" / model_id)
    best = client.get_model_version("wind_solar", production()).run_id
    done = mlflow_run("3_projects/registry", experiment="gone", candidates=best, registered_model="gone")
    assert done.returncode == 0, done.stderr
    assert "is in production now, after version 1. Version 1 could not be judged any more" in done.stdout
    assert client.get_model_version_by_alias("gone", "production").version == "2"


@pytest.mark.parametrize(
    ("candidates", "sentence"),
    [
        ("abc", "the candidate abc is no run on this tracking server"),
        ("the run of the data", "has no model; give the id of a training run"),
    ],
)
def test_a_candidate_that_is_no_training_run_is_refused_in_one_sentence(workflow, mlflow_run, candidates, sentence):
    if candidates == "the run of the data":
        candidates = re.search(r"^workflow: data: run (\w+)", workflow, re.MULTILINE)[1]
    done = mlflow_run("3_projects/registry", experiment="stumps", candidates=candidates)
    assert done.returncode != 0
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_a_model_is_not_judged_on_hours_that_it_was_trained_on(mlflow_run, small_csv, other_servers):
    options = {"experiment": "holdouts", "tracking_uri": other_servers.tracking_uri}
    for project, parameters in (
        ("data", {"csv": small_csv, "holdout_days": 2}),
        ("lr", {}),
        ("data", {"csv": small_csv, "holdout_days": 30}),
    ):
        done = mlflow_run(f"3_projects/{project}", **options, **parameters)
        assert done.returncode == 0, done.stderr
    done = mlflow_run("3_projects/registry", **options, registered_model="holdouts")
    assert done.returncode != 0
    assert "no model was trained on this table" in done.stderr
    assert "Traceback" not in done.stderr


def test_of_two_candidates_of_one_project_the_better_one_wins_whatever_their_order(workflow, stump, mlflow_run):
    forest = re.search(r"^workflow: rf: run (\w+)", workflow, re.MULTILINE)[1]
    for name, candidates in (("better_first", f"{forest},{stump}"), ("better_last", f"{stump},{forest}")):
        done = mlflow_run("3_projects/registry", experiment="stumps", candidates=candidates, registered_model=name)
        assert done.returncode == 0, done.stderr
        assert mlflow.MlflowClient().get_model_version_by_alias(name, "production").run_id == forest
