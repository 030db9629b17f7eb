import re
import runpy
import sys
import uuid

import pytest
from mlflow import MlflowClient


@pytest.fixture
def manage(root, running_servers, monkeypatch, capsys):
    """Return a function that runs the program with a command, and returns what it says.

    It runs in this process, as most of its time goes into importing MLflow.
    """

    def run(*arguments: str, status: int = 0) -> str:
        program = root / "2_tracking" / "experiments_management.py"
        monkeypatch.setattr(sys, "argv", [str(program), *arguments])
        capsys.readouterr()
        ended = None
        try:
            runpy.run_path(str(program), run_name="__main__")
        except SystemExit as error:
            ended = error.code
        said = capsys.readouterr()
        if isinstance(ended, str):  # a sentence, which Python would print
            assert status == 1
            return ended
        assert (ended or 0) == status, said.err
        return said.out if status == 0 else said.err

    return run


@pytest.fixture
def name(running_servers) -> str:
    """Return a name that no experiment has yet."""
    return f"notes-{uuid.uuid4().hex}"


@pytest.fixture
def experiment(name):
    """Make an experiment, and return it."""
    client = MlflowClient()
    return client.get_experiment(client.create_experiment(name))


def again(said: str):
    """Make the last call that was printed once more, and return what it gives."""
    call = re.findall("^>>> (.*)$", said, re.MULTILINE)[-1]
    return eval(call, {"client": MlflowClient()})


def test_create_makes_an_experiment_with_tags(manage, name):
    said = manage("create", name, "--tag", "owner=me", "--tag", "asked=a=b")
    assert name in said
    made = MlflowClient().get_experiment_by_name(name)
    assert made.tags["owner"] == "me"
    assert made.tags["asked"] == "a=b"
    assert f">>> client.create_experiment('{name}', tags={{'owner': 'me', 'asked': 'a=b'}})" in said
    assert again(said).experiment_id == made.experiment_id


def test_a_run_is_made_filled_finished_and_found(manage, experiment):
    name = experiment.name
    manage("run", name, "--run-name", "a", "--param", "depth=3", "--metric", "error=0.5", "--tag", "kind=try")
    manage("run", name, "--run-name", "b", "--metric", "error=2")
    (run,) = MlflowClient().search_runs([experiment.experiment_id], "attributes.run_name = 'a'")
    assert run.info.status == "FINISHED"
    assert run.data.params == {"depth": "3"}
    assert run.data.metrics == {"error": 0.5}
    assert run.data.tags["kind"] == "try"
    said = manage("runs", name, "--filter", "metrics.error < 1")
    assert "1 found" in said
    assert run.info.run_id in said
    assert [found.info.run_id for found in again(said)] == [run.info.run_id]
    said = manage("runs", name, "--order-by", "metrics.error ASC", "--most", "1")
    assert run.info.run_id in said


def test_a_run_that_cannot_be_filled_is_left_as_failed(manage, experiment):
    manage("run", experiment.name, "--metric", "what?=1", status=1)
    (run,) = MlflowClient().search_runs([experiment.experiment_id])
    assert run.info.status == "FAILED"


def test_an_experiment_is_renamed_and_tagged(manage, experiment):
    manage("tag", experiment.name, "--tag", "state=old")
    manage("rename", experiment.name, f"{experiment.name}-new")
    now = MlflowClient().get_experiment(experiment.experiment_id)
    assert now.name == f"{experiment.name}-new"
    assert now.tags["state"] == "old"


def test_a_deleted_experiment_is_hidden_and_comes_back(manage, experiment):
    name = experiment.name
    assert f"restore {name}" in manage("delete", name)
    assert name not in manage("list")
    assert f"{name}  (deleted)" in manage("list", "--all")
    assert f"The experiment '{name}' is deleted. To get it back: restore {name}" in manage("runs", name, status=1)
    manage("restore", name)
    assert f"{name}  (active)" in manage("list")
    assert "is not deleted" in manage("restore", name, status=1)


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        (["runs", "{new}"], 1, "There is no experiment '{new}'. To see what there is: list --all"),
        (["create", "{name}"], 1, "There is an experiment '{name}' already (active)."),
        (["runs", "{name}", "--filter", "nonsense"], 1, "Invalid clause(s) in filter string: 'nonsense'"),
        (["run", "{name}", "--metric", "error=small"], 2, "expected a number after error=, found 'small'"),
        (["run", "{name}", "--metric", "error=nan"], 2, "expected a number after error=, found 'nan'"),
        (["run", "{name}", "--param", "depth"], 2, "expected KEY=VALUE, found 'depth'"),
        ([], 2, "the following arguments are required: COMMAND"),
    ],
)
def test_a_mistake_is_told_in_a_sentence(manage, experiment, arguments, status, sentence):
    names = {"name": experiment.name, "new": f"{experiment.name}-new"}
    said = manage(*(argument.format(**names) for argument in arguments), status=status)
    assert sentence.format(**names) in said


def test_help_names_every_command(manage):
    said = manage("--help")
    for command in ("list", "create", "tag", "rename", "run", "runs", "delete", "restore"):
        assert re.search(rf"^    {command} ", said, re.MULTILINE)


def test_without_a_server_it_says_how_to_get_one(manage, monkeypatch, free_port):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{free_port()}")
    assert "does not answer" in manage("list", status=1)
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert "export MLFLOW_TRACKING_URI=http://127.0.0.1:5000" in manage("list", status=1)
