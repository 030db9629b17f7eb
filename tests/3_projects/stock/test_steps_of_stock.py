"""What the project says of itself: its entry points, the files of each step, the runs that a step takes."""

import argparse
import ast
import runpy
import sys
from pathlib import Path

import mlflow
import pytest
import yaml
from mlflow.entities import LoggedModelOutput
from stock_series import STOCK, load

WORKFLOW = STOCK.parent / "workflow"
PROJECT = yaml.safe_load((STOCK / "MLproject").read_text(encoding="utf-8"))
SCRIPTS = {name: [STOCK / f"{name}.py"] for name in ("ingest", "transform", "train", "evaluate", "register", "deploy")}


def options_of(path: Path) -> set[str]:
    """Return the options that the argparse calls of a file name."""
    calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    added = [call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr == "add_argument"]
    return {call.args[0].value for call in added}


@pytest.mark.parametrize("name", [*SCRIPTS, "main"])
def test_an_entry_point_has_a_parameter_for_every_option_of_its_script(name):
    entry_point = PROJECT["entry_points"][name]
    command = "../workflow/run.py --steps steps.py" if name == "main" else f"{name}.py"
    assert entry_point["command"] == f"python {command} --from-run"
    scripts = SCRIPTS.get(name, [STOCK / "steps.py", WORKFLOW / "run.py"])
    options = {option for script in scripts for option in options_of(script)} - {"--steps", "-h"}
    assert {f"--{parameter.replace('_', '-')}" for parameter in entry_point["parameters"]} == options
    assert PROJECT["entry_points"].keys() == {*SCRIPTS, "main"}


@pytest.fixture(scope="module")
def files(running_servers) -> dict[str, set[str]]:
    """Return the files that each step is made of, as a dry run of the workflow sees them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(WORKFLOW)
        stock, parser = runpy.run_path(str(STOCK / "steps.py")), argparse.ArgumentParser()
        stock["add_arguments"](parser)
        steps = stock["list_steps"](parser.parse_args(["--bucket", "b"]))
        cache = sys.modules["cache"]
        return {name: set(cache.digests_of_code(STOCK, step)) for name, step in steps.items()}


def test_a_step_is_made_of_its_script_of_what_that_imports_and_of_the_rules_it_reads(files):
    models = ["lstm", "linear", "knn", "moving_average", "random_forest", "xgboost"]
    assert list(files) == ["ingest", "transform", *models, "evaluate", "register", "deploy"]
    assert all({"MLproject", "python_env.yaml", "forecasting/entry_point.py"} <= names for names in files.values())
    assert {"train.py", "approaches.py", "model.py", "windows.py", "lineage.py"} <= files["linear"]
    assert not {"evaluate.py", "scores.py", "forecasting/metrics.py"} & files["linear"]
    assert {"scores.py", "charts.py", "forecasting/metrics.py"} <= files["evaluate"]
    assert {"price_rules.yaml", "direction_rules.yaml", "forecasting/baselines.py"} <= files["register"]
    assert "forecasting/ledger.py" in files["deploy"]


@pytest.fixture
def lineage(running_servers):
    return load("lineage")


def refusal(lineage, call, *arguments) -> str:
    with pytest.raises(lineage.UserError) as caught:
        call(*arguments)
    return str(caught.value)


@pytest.fixture(scope="module")
def run(running_servers):
    """Return a run of transform whose table nobody else has, as an earlier version has left it."""
    client = mlflow.MlflowClient()
    tags = {"step": "stock.transform", "table_sha256": "of a test of the lineage", "used_at": "2000-01-01"}
    made = client.create_run(client.create_experiment("stock lineage"), tags=tags)
    client.set_terminated(made.info.run_id)
    return client.get_run(made.info.run_id)


def test_a_step_that_finds_nothing_names_the_command_that_makes_it(lineage, run, monkeypatch):
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", run.info.experiment_id)
    assert lineage.find_step("newest", "stock.transform").info.run_id == run.info.run_id
    sentence = refusal(lineage, lineage.find_step, "newest", "stock.ingest")
    again = "Make one with: mlflow run 3_projects/stock --env-manager local -e ingest"
    assert sentence == f"there is no finished run of stock.ingest in this experiment. {again}"
    sentence = refusal(lineage, lineage.find_step, "0" * 32, "stock.ingest")
    assert f"found {'0' * 32}, which is not a run. {again}" in sentence
    sentence = refusal(lineage, lineage.find_step, run.info.run_id, "stock.ingest")
    assert f"found {run.info.run_id}, a run of stock.transform that is FINISHED. {again}" in sentence
    gone = f"the artifact table.parquet of run {run.info.run_id} can't be downloaded. Make it again with: mlflow run"
    assert gone in refusal(lineage, lineage.read_table, run, "table.parquet")


def test_models_of_another_table_are_not_judged(lineage, run, monkeypatch):
    client = mlflow.MlflowClient()
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", run.info.experiment_id)
    nothing = "no model in this experiment was trained on this table; train one with: mlflow run 3_projects/stock"
    assert nothing in refusal(lineage, lineage.find_models, "newest", run, ["linear"])
    with mlflow.start_run(experiment_id=run.info.experiment_id) as other:
        mlflow.set_tags({"project": "stock.linear", "data_run": "0" * 32})
        model = client.create_logged_model(run.info.experiment_id, "model", other.info.run_id)
        mlflow.log_outputs([LoggedModelOutput(model.model_id, 0)])
    trained = other.info.run_id
    assert "was trained on another table" in refusal(lineage, lineage.find_models, trained, run, ["linear"])
    client.set_tag(trained, "data_run", run.info.run_id)
    for asked in ("newest", trained):
        assert list(lineage.find_models(asked, run, ["linear"])) == ["linear"]
        sentence = refusal(lineage, lineage.find_models, asked, run, ["knn", "lstm"])  # an engineer has deleted it
        assert "expected models such as knn, lstm, found linear. Train with: mlflow run" in sentence
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "0")
    assert nothing in refusal(lineage, lineage.find_models, "newest", run, ["linear"])
