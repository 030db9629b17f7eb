"""Leave behind what chapter 2 leaves, with and without the usual mistakes, and read the hints."""

import check
import pytest
from learner import ERRORS, Learner

LINREG = {"tags": {"chapter": "2"}, "metrics": dict.fromkeys(ERRORS, 0.5), "model": "model"}
FOREST = LINREG | {"params": {"n_estimators": 64, "max_depth": 10}}
KERAS = LINREG | {"params": {"epochs": 10}}
STEPS = ["linreg_errors", "linreg_model", "forest_parameters", "forest_errors_and_model", "search", "network"]


@pytest.fixture
def learner(tmp_path) -> Learner:
    return Learner(tmp_path)


@pytest.fixture
def look(learner):
    """Return a function that says how a step stands."""
    steps = {step.look.__name__: step for step in check.load("2")}
    return lambda name: check.look(steps[name], learner.client)


def do_the_chapter(learner: Learner) -> None:
    run_id = learner.run("linreg", **LINREG)
    parent = learner.run("rf-64", **FOREST)
    learner.run("rf-64-depth-10", tags={"chapter": "2", "mlflow.parentRunId": parent})
    learner.run("keras", **KERAS)
    learner.version("wind_solar_chapter_2", run_id, "production")


def test_a_chapter_that_is_done_is_done(learner):
    do_the_chapter(learner)
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
    assert "Run 2_tracking/get_prod_model.ipynb." in look("production").text


def test_a_run_of_a_project_is_not_taken_for_a_run_of_the_chapter(learner, look):
    learner.run("keras", tags={"step": "keras"})
    found = look("network")
    assert not found.wrong
    assert "Run 2_tracking/model_keras.ipynb" in found.text


@pytest.mark.parametrize(
    ("step", "name", "run", "words"),
    [
        ("linreg_errors", "LinReg", LINREG, "There is a run `LinReg`; its name should be `linreg`"),
        ("linreg_errors", "linreg", LINREG | {"tags": {}}, "Run `linreg` has no tag `chapter` with the value 2"),
        ("linreg_errors", "linreg", LINREG | {"status": "FAILED"}, "Run `linreg` is FAILED. Run 2_tracking/model_linr"),
        ("linreg_errors", "linreg", LINREG | {"status": "RUNNING"}, "Run `linreg` is RUNNING"),
        ("linreg_errors", "linreg", LINREG | {"experiment": "Predicting_Wind_Solar"}, "its name should be `predicting"),
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
    ],
)
def test_a_mistake_is_told_from_a_missing_run(step, name, run, words, learner, look):
    learner.run(name, **run)
    found = look(step)
    assert found.status == "not yet"
    assert found.wrong
    assert words in found.text


@pytest.mark.parametrize(
    ("step", "name", "run", "words"),
    [
        ("linreg_errors", "linreg", LINREG | {"metrics": {}}, "Run `linreg` has no metric `rmse_solar_GW`"),
        ("linreg_model", "linreg", LINREG | {"model": None}, "Run `linreg` has logged no model"),
        ("forest_errors_and_model", "rf-64", FOREST | {"model": None}, "Run `rf-64` has logged no model"),
        ("network", "keras", KERAS | {"params": {}}, "Run `keras` has no parameter `epochs`"),
        ("search", "rf-64", FOREST, "Run `rf-64` has no child runs"),
    ],
)
def test_what_a_run_lacks_is_named(step, name, run, words, learner, look):
    learner.run(name, **run)
    found = look(step)
    assert found.status == "not yet"
    assert not found.wrong
    assert words in found.text
    assert found.line


def test_the_line_of_a_hint_goes_to_the_run_though_it_has_ended(learner, look):
    run_id = learner.run("rf-64", **FOREST | {"params": {}})
    enter, log = look("forest_parameters").line.splitlines()
    assert enter == f'with mlflow.start_run(run_id="{run_id}"):'
    assert log == '    mlflow.log_param("n_estimators", n_estimators)'


def test_a_search_beside_its_run_is_told_from_none(learner, look):
    learner.run("rf-64", **FOREST)
    learner.run("rf-64-depth-10", tags={"chapter": "2"})
    assert "stand beside `rf-64`, not below it" in look("search").text
    assert "nested=True" in look("search").line


def test_a_search_below_an_earlier_run_does_not_count_for_the_newest(learner, look):
    do_the_chapter(learner)
    learner.run("rf-64", **FOREST)
    assert "Run `rf-64` has no child runs" in look("search").text


def test_an_older_run_that_finished_counts_more_than_a_newer_one_that_failed(learner, look):
    learner.run("linreg", **LINREG)
    learner.run("linreg", **LINREG | {"status": "FAILED", "metrics": {}})
    assert look("linreg_errors").status == "done"


def test_a_version_without_the_alias_gets_the_line_for_it(learner, look):
    learner.version("wind_solar_chapter_2", learner.run("linreg", **LINREG))
    assert "No version of `wind_solar_chapter_2` has the alias `production`." in look("production").text
    assert look("production").line.startswith('client.set_registered_model_alias("wind_solar_chapter_2", "production"')
    learner.version("wind_solar_chapter_2", learner.run("linreg", **LINREG), "Production")
    assert "Version 2 has the alias `Production`; its name should be `production`" in look("production").text
