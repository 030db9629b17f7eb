"""What the project says of itself: its entry points, the files of each step, the runs that a step takes."""

import ast
from pathlib import Path

import mlflow
import pytest
import yaml
from stock_series import STOCK, load

PROJECT = yaml.safe_load((STOCK / "MLproject").read_text(encoding="utf-8"))
ENTRY_POINTS = ["ingest", "transform", "train", "evaluate", "register", "deploy", "score", "main"]


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(script: Path) -> set[str]:
    """Return the names of the project's own files that a script needs, its own among them."""
    found, waiting = set(), [script.name]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        for node in ast.walk(parse(STOCK / name)):
            modules = [node.module] if isinstance(node, ast.ImportFrom) else []
            modules += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            waiting += [f"{module}.py" for module in modules if module and (STOCK / f"{module}.py").is_file()]
    return found


def options_of(path: Path) -> set[str]:
    """Return the options that the argparse calls of a file name."""
    calls = [node for node in ast.walk(parse(path)) if isinstance(node, ast.Call) and node.args]
    added = [call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr == "add_argument"]
    return {call.args[0].value for call in added}


def code() -> dict[str, tuple[str, ...]]:
    """Return the files of each step as steps.py lists them; the module itself needs the workflow's."""
    tree, values = parse(STOCK / "steps.py"), {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and node.targets[0].id in ("BASE", "CODE"):
            exec(compile(ast.Module([node], []), "steps.py", "exec"), values)
    return values["CODE"]


@pytest.mark.parametrize("step", [name for name in ENTRY_POINTS if name != "main"])
def test_a_step_runs_again_when_any_file_that_it_is_made_of_has_changed(step):
    needed = imported(STOCK / f"{step}.py") | {"MLproject", "python_env.yaml"}
    assert needed <= set(code()[step])
    assert all((STOCK / name).is_file() for name in code()[step])


def test_the_rules_of_the_gate_are_among_the_files_of_register():
    assert {"price_rules.yaml", "direction_rules.yaml"} <= set(code()["register"])


@pytest.mark.parametrize("name", ENTRY_POINTS)
def test_an_entry_point_is_one_line_that_gives_every_parameter_to_an_option_of_its_script(name):
    entry_point = PROJECT["entry_points"][name]
    program, script, *words = entry_point["command"].split()
    assert (program, script) == ("python", f"{name}.py")
    pairs = dict(zip(words[::2], words[1::2], strict=True))
    parameters = entry_point["parameters"]
    assert pairs == {f"--{parameter.replace('_', '-')}": f"{{{parameter}}}" for parameter in parameters}
    workflow = STOCK.parent / "workflow" / "run.py"
    options = options_of(STOCK / "steps.py") | options_of(workflow) if name == "main" else options_of(STOCK / script)
    assert set(pairs) == options
    assert set(PROJECT["entry_points"]) == set(ENTRY_POINTS)


@pytest.fixture
def handover(running_servers):
    return load("handover")


def refusal(handover, call, *arguments) -> str:
    with pytest.raises(handover.HandoverError) as caught:
        call(*arguments)
    return str(caught.value)


@pytest.fixture(scope="module")
def run(running_servers):
    """Return a run of transform whose table nobody else has."""
    client = mlflow.MlflowClient()
    tags = {"step": "stock.transform", "table_sha256": "of a test of the handover", "used_at": "2000-01-01"}
    made = client.create_run(client.create_experiment("stock handover"), tags=tags)
    client.set_terminated(made.info.run_id)
    return client.get_run(made.info.run_id)


def test_a_step_that_finds_nothing_names_the_command_that_makes_it(handover, run):
    again = "mlflow run 3_projects/stock --env-manager local -e ingest"
    sentence = refusal(handover, handover.find_run, "newest", "stock.nothing")
    assert sentence.startswith("there is no finished run of stock.nothing yet. Make one with: mlflow run")
    sentence = refusal(handover, handover.find_run, "0" * 32, "stock.ingest")
    assert sentence == f"{'0' * 32} is no run on this tracking server. Make one with: {again}"
    sentence = refusal(handover, handover.find_run, run.info.run_id, "stock.ingest")
    found = f"found {run.info.run_id}, a run of stock.transform that is FINISHED."
    assert f"expected a finished run of stock.ingest, {found}" in sentence


def test_a_run_that_failed_or_whose_table_is_gone_is_refused(handover, run):
    client = mlflow.MlflowClient()
    broken = client.create_run(run.info.experiment_id, tags={"step": "stock.transform"}).info.run_id
    client.set_terminated(broken, "FAILED")
    sentence = refusal(handover, handover.find_run, broken, "stock.transform")
    assert f"found {broken}, a run of stock.transform that is FAILED. Make one with: mlflow run" in sentence
    sentence = refusal(handover, handover.read_table, run, "table.parquet")
    assert sentence.startswith(f"the artifact table.parquet of run {run.info.run_id} can't be fetched. Make it anew")
    assert sentence.endswith("-e transform")


def test_models_of_another_table_are_not_judged(handover, run):
    client = mlflow.MlflowClient()
    assert "no model was trained on this table yet" in refusal(
        handover, handover.find_candidates, "newest", run, ["stock.linear"]
    )
    with mlflow.start_run(experiment_id=run.info.experiment_id) as other:
        mlflow.set_tags({"step": "stock.linear", "table_sha256": "another"})
        model = client.create_logged_model(run.info.experiment_id, "model", other.info.run_id)
        mlflow.log_outputs([mlflow.entities.LoggedModelOutput(model.model_id, 0)])
    found = other.info.run_id
    sentence = refusal(handover, handover.find_candidates, found, run, ["stock.linear"])
    assert sentence == f"{found} was trained on another table than it would be judged on. Train it again."
    sentence = refusal(handover, handover.find_candidates, run.info.run_id, run, ["stock.linear"])
    assert sentence == f"expected a run of train with a model, found {run.info.run_id} (stock.transform)."
    client.set_tag(found, "table_sha256", run.data.tags["table_sha256"])
    for asked in ("newest", found):
        assert list(handover.find_candidates(asked, run, ["stock.linear", "stock.knn"])) == ["stock.linear"]
