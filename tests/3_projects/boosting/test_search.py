"""The search goes on where it was stopped, and ends where it would have ended."""

import mlflow
import pytest
import search as search_module
from learner import Learner
from search import USUAL, best_settings, kept_trials, search

GROWTH = {"solar_GW": 0.0, "wind_GW": 0.0}


@pytest.fixture(scope="module")
def hours(make_hours):
    return make_hours("2013-01-01", "2013-03-15")


@pytest.fixture
def parent(tmp_path, monkeypatch):
    learner = Learner(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", learner.uri)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", learner.experiment("searches"))
    monkeypatch.setattr(search_module, "MOST_TREES", 10)
    with mlflow.start_run() as run:
        yield run


def test_a_stopped_search_goes_on_with_copies_of_its_trials_and_ends_with_the_same_settings(hours, parent, capsys):
    whole = search(hours, GROWTH, 4, seed=3, digest="whole")
    search(hours, GROWTH, 2, seed=3, digest="stopped")
    before = kept_trials("stopped")
    capsys.readouterr()
    with mlflow.start_run(nested=True) as second:
        resumed = search(hours, GROWTH, 4, seed=3, digest="stopped")
    said = capsys.readouterr().out
    assert "2 of 4 trials are copied" in said
    assert "trial 3 of 4" in said
    assert "trial 2 of 4" not in said
    for target, study in whole.items():
        assert [trial.params for trial in resumed[target].trials] == [trial.params for trial in study.trials]
        assert best_settings(resumed[target], 3) == best_settings(study, 3)
    assert whole["wind_GW"].trials[0].params == USUAL
    condition = f"tags.mlflow.parentRunId = '{second.info.run_id}'"
    children = mlflow.search_runs(filter_string=condition, output_format="list", order_by=["params.trial"])
    assert [child.info.run_name for child in children] == ["trial 1", "trial 2", "trial 3", "trial 4"]
    assert not any("project" in child.data.tags for child in children), "or one would be taken for a challenger"
    assert children[0].data.metrics.keys() == {"validation_mae_solar_GW", "validation_mae_wind_GW"}
    for old, new in zip(before, children, strict=False):
        assert new.data.tags["copied_from"] == old.info.run_id
        assert (new.data.params, new.data.metrics) == (old.data.params, old.data.metrics)
    assert "copied_from" not in children[2].data.tags


def test_a_trial_that_did_not_finish_is_not_kept_nor_what_comes_after_it(hours, parent):
    search(hours, GROWTH, 3, seed=3, digest="gap")
    middle = kept_trials("gap")[1].info.run_id
    mlflow.MlflowClient().set_terminated(middle, "KILLED")
    assert [int(run.data.params["trial"]) for run in kept_trials("gap")] == [0]
