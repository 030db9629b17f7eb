"""Leave behind what chapter 2 leaves, with and without the usual mistakes, and read the hints."""

import mlflow
import pytest
from learner import ERRORS, FOREST, KERAS, LINREG, Learner, type_in
from mlflow.entities import LoggedModelOutput

from server import check, steps

STEPS = ["linreg_errors", "linreg_model", "forest_parameters", "forest_errors_and_model", "search", "network"]


@pytest.fixture
def learner(tmp_path) -> Learner:
    return Learner(tmp_path)


@pytest.fixture
def look(learner):
    """Return a function that says how a step stands."""
    steps = {step.look.__name__: step for step in check.load("2")}
    return lambda name: check.look(steps[name], learner.client)


def test_a_chapter_that_is_done_is_done(learner):
    learner.do_chapter_2()
    found = [check.look(step, learner.client) for step in check.load("2")]
    assert [one.status for one in found] == ["done"] * 7, found


def test_before_the_first_run_every_step_names_the_notebook_to_run(look):
    for name in STEPS:
        found = look(name)
        assert found.status == "not yet"
        assert not found.wrong
        notebook = "model_keras" if name == "network" else "model_linreg" if "linreg" in name else "model_rf"
        assert f"Run 2_tracking/{notebook}.ipynb" in found.text
        assert found.line == "python workshop.py notebook"
    assert "Run 2_tracking/get_prod_model.ipynb from" in look("production").text


def test_a_run_of_a_project_is_not_taken_for_a_run_of_the_chapter(learner, look):
    learner.run("keras", tags={"project": "keras"})
    found = look("network")
    assert not found.wrong
    assert "Run 2_tracking/model_keras.ipynb" in found.text


# What is wrong with a run, and what it merely lacks.
WRONG = [
    ("linreg_errors", "LinReg", LINREG, "There is a run `LinReg`; its name should be `linreg`"),
    ("linreg_errors", "linreg", LINREG | {"tags": {}}, "Run `linreg` has no tag `chapter` with the value 2"),
    ("linreg_errors", "linreg", LINREG | {"status": "FAILED"}, "Run `linreg` is FAILED. Run 2_tracking/model_linr"),
    ("linreg_errors", "linreg", LINREG | {"status": "RUNNING"}, "Run `linreg` is RUNNING"),
    (
        "linreg_errors",
        "linreg",
        LINREG | {"metrics": {}, "params": dict.fromkeys(ERRORS, 0.5)},
        "has `rmse_solar_GW` as a parameter; log it as a metric",
    ),
    ("linreg_model", "linreg", LINREG | {"model": "linreg"}, "has logged its model as `linreg`; name it `model`"),
    (
        "forest_parameters",
        "rf-64",
        FOREST | {"params": {"n_estimators": 64}, "metrics": {"max_depth": 10}},
        "Run `rf-64` has `max_depth` as a metric; log it as a parameter.",
    ),
    (
        "forest_parameters",
        "rf-64",
        FOREST | {"params": {"n-estimators": 64, "max_depth": 10}},
        "has the parameter `n-estimators`; log a parameter and name it `n_estimators`",
    ),
]
LACKING = [
    ("linreg_errors", "linreg", LINREG | {"metrics": {}}, "Run `linreg` has no metric `rmse_solar_GW`"),
    ("linreg_model", "linreg", LINREG | {"model": None}, "Run `linreg` has logged no model"),
    ("forest_errors_and_model", "rf-64", FOREST | {"model": None}, "Run `rf-64` has logged no model"),
    ("network", "keras", KERAS | {"params": {}}, "Run `keras` has no parameter `epochs`"),
    ("search", "rf-64", FOREST, "Run `rf-64` has no child runs"),
]


@pytest.mark.parametrize(
    ("step", "name", "run", "words", "wrong"), [(*row, row in WRONG) for row in (*WRONG, *LACKING)]
)
def test_a_mistake_is_told_from_what_is_missing_and_the_hint_names_the_notebook(
    step, name, run, words, wrong, learner, look
):
    learner.run(name, **run)
    found = look(step)
    assert (found.status, found.wrong) == ("not yet", wrong)
    assert words in found.text
    assert found.text.endswith(".ipynb from its first cell to its last.")
    assert found.line == "python workshop.py notebook"


def test_an_experiment_of_another_spelling_is_renamed_by_the_command_of_the_hint(learner, look, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", learner.uri)
    learner.run("linreg", **LINREG | {"experiment": "Predicting_Wind_Solar"})
    assert "There is an experiment `Predicting_Wind_Solar`; its name should be" in look("linreg_errors").text
    type_in(look("linreg_errors").line)
    assert look("linreg_errors").status == "done"


def test_a_search_beside_its_run_is_told_from_none(learner, look):
    learner.run("rf-64", **FOREST)
    learner.run("rf-64-depth-10", tags={"chapter": "2"})
    assert "are beside `rf-64`, not below it" in look("search").text


def test_what_was_done_stays_done_when_a_notebook_is_run_again_half_way(learner, look):
    learner.do_chapter_2()
    learner.run("linreg", **LINREG | {"model": None})
    learner.run("rf-64", **FOREST | {"model": None})
    assert [name for name in STEPS if look(name).status != "done"] == []


def test_an_older_run_that_finished_counts_more_than_a_newer_one_that_failed(learner, look):
    learner.run("linreg", **LINREG)
    learner.run("linreg", **LINREG | {"status": "FAILED", "metrics": {}})
    assert look("linreg_errors").status == "done"


def test_a_failed_attempt_is_told_from_a_model_of_another_name_and_the_newest_model_counts(learner, look):
    client, run_id = learner.client, learner.run("linreg", **LINREG | {"model": "mine"})
    experiment = client.get_run(run_id).info.experiment_id

    def log(status: str) -> str:
        model = client.create_logged_model(experiment, name="model", source_run_id=run_id)
        client.finalize_logged_model(model.model_id, status)
        client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])
        return model.model_id

    log("FAILED")
    assert "has logged its model as `mine`; name it `model`" in look("linreg_model").text
    for _ in range(5):  # they come in an order of their own
        newest = log("READY")
    assert steps.logged_model(client, client.get_run(run_id), "model").model_id == newest
    for model in steps.models_of(client, client.get_run(run_id)):
        client.delete_logged_model(model.model_id)
    assert look("linreg_model").text.startswith("Run `linreg` has logged no model.")


def test_a_version_without_the_alias_gets_the_line_for_it(learner, look, monkeypatch):
    learner.version("wind_solar_chapter_2", learner.run("linreg", **LINREG))
    assert "No version of `wind_solar_chapter_2` has the alias `production`." in look("production").text
    assert look("production").line == "python workshop.py notebook"
    learner.version("wind_solar_chapter_2", learner.run("linreg", **LINREG), "Production")
    assert "Version 2 has the alias `Production`; its name should be `production`" in look("production").text
    monkeypatch.setenv("MLFLOW_TRACKING_URI", learner.uri)
    exec(look("production").line, {"mlflow": mlflow})
    assert look("production").status == "done"
