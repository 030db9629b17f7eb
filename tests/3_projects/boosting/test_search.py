"""The search goes on where it was stopped, and ends where it would have ended."""

import mlflow
import pytest
import search as search_module
from search import USUAL, best_settings, kept_trials, search

GROWTH = {"solar_GW": 0.0, "wind_GW": 0.0}


@pytest.fixture(scope="module")
def hours(make_hours):
    return make_hours("2013-01-01", "2013-03-15")


@pytest.fixture
def parent(running_servers, monkeypatch):
    monkeypatch.setattr(search_module, "MOST_TREES", 10)
    with mlflow.start_run() as run:
        yield run


def test_a_stopped_search_ends_with_the_same_settings(hours, parent, capsys):
    whole = search(hours, GROWTH, 4, seed=3, digest="whole")
    search(hours, GROWTH, 2, seed=3, digest="stopped")
    capsys.readouterr()
    resumed = search(hours, GROWTH, 4, seed=3, digest="stopped")
    said = capsys.readouterr().out
    assert "2 of 4 trials are kept" in said
    assert "trial 3 of 4" in said
    assert "trial 2 of 4" not in said
    for target, study in whole.items():
        assert [trial.params for trial in resumed[target].trials] == [trial.params for trial in study.trials]
        assert best_settings(resumed[target], 3) == best_settings(study, 3)
    assert whole["wind_GW"].trials[0].params == USUAL


def test_a_trial_that_did_not_finish_is_not_kept_nor_what_comes_after_it(hours, parent):
    search(hours, GROWTH, 3, seed=3, digest="gap")
    middle = kept_trials("gap")[1].info.run_id
    mlflow.MlflowClient().set_terminated(middle, "KILLED")
    assert [int(run.data.params["trial"]) for run in kept_trials("gap")] == [0]


def test_trials_are_children_that_nobody_takes_for_candidates(hours, parent):
    search(hours, GROWTH, 1, seed=3, digest="child")
    (child,) = kept_trials("child")
    assert child.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert "step" not in child.data.tags
    assert child.data.metrics.keys() == {"validation_mae_solar_GW", "validation_mae_wind_GW"}
