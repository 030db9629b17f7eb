"""Check the workflows of GitHub, as far as can be done without it; server/test_containers.py runs train.yml."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest
from workflows import FOLDER, Runner, load

# Each was looked up in several places that agree; a version that is newer needs its own.
ACTIONS = {
    "actions/checkout": ("de0fac2e4500dabe0009e67214ff5f5447ce83dd", "v6.0.2"),
    "actions/setup-python": ("a309ff8b426b58ec0e2a45f0f869d46889d02405", "v6.2.0"),
}
NAMES = ["test.yml", "train.yml"]


def steps(workflow: dict) -> Iterator[dict]:
    """Yield the steps of all jobs."""
    for job in workflow["jobs"].values():
        yield from job["steps"]


@pytest.mark.parametrize("schema", ["vendor.github-workflows", "custom.github-workflows-require-timeout"])
def test_the_workflows_are_as_the_published_schema_wants_them(schema):
    assert sorted(path.name for path in FOLDER.iterdir()) == NAMES
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema]
    done = subprocess.run([*command, *FOLDER.iterdir()], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", NAMES)
def test_actions_are_pinned_by_commit_with_their_version_beside_it(name):
    found = re.findall(r"uses: (\S+?)@(\S+)(?: # (\S+))?$", (FOLDER / name).read_text(encoding="utf-8"), re.MULTILINE)
    assert found
    for action, commit, version in found:
        assert ACTIONS[action] == (commit, version)


@pytest.mark.parametrize("name", NAMES)
def test_a_workflow_may_read_the_code_and_no_more(name):
    workflow = load(name)
    assert workflow["permissions"] == {}
    for job in workflow["jobs"].values():
        assert job["permissions"] == {"contents": "read"}
    checkouts = [step for step in steps(workflow) if step.get("uses", "").startswith("actions/checkout@")]
    assert checkouts
    assert all(step["with"] == {"persist-credentials": False} for step in checkouts)


@pytest.mark.parametrize("name", NAMES)
def test_no_secret_and_no_input_is_in_a_command_and_secrets_reach_only_the_steps_that_use_the_server(name):
    workflow = load(name)
    assert "env" not in workflow
    assert "pull_request_target" not in workflow["on"]
    for job in workflow["jobs"].values():
        assert "env" not in job
        for step in job["steps"]:
            assert "${{" not in step.get("run", "")
            if "secrets." in json.dumps(step):
                assert "mlflow run" in step["run"]
                assert set(step["env"]) >= {"MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_FTP_PASSWORD"}
                assert not re.search(r"^\s*(env|printenv|export -p|set -\w*x)\b", step["run"], re.MULTILINE)


def test_nothing_is_registered_before_a_person_has_approved():
    jobs = load("train.yml")["jobs"]
    assert list(jobs) == ["train", "promote"]
    assert jobs["promote"]["environment"] == "production"
    assert jobs["promote"]["needs"] == "train"
    typed = {name: "\n".join(step.get("run", "") for step in job["steps"]) for name, job in jobs.items()}
    assert re.findall(r"^ *run (\w+) -P", typed["train"], re.MULTILINE) == ["ingest", "transform", "train", "evaluate"]
    assert "register" not in typed["train"]
    assert re.findall(r" -e (\w+)", typed["promote"]) == ["register"]


def test_the_commands_of_the_workflows_are_those_that_the_tests_type(root):
    """Those of train.yml are typed by server/test_containers.py, that of test.yml is what runs this test."""
    readme = (root / "README.md").read_text(encoding="utf-8")
    assert [step["run"] for step in steps(load("test.yml")) if "run" in step] == ["python workshop.py test"]
    assert "\n    python workshop.py test\n" in readme
    typing_test = (root / "tests" / "server" / "test_containers.py").read_text(encoding="utf-8")
    assert set(re.findall(r'runner\.run\("(\w+)"\)', typing_test)) == set(load("train.yml")["jobs"])
    for name in re.findall(r"tests/\S+", " ".join(step.get("run", "") for step in steps(load("train.yml")))):
        assert (root / name).is_file()


@pytest.mark.parametrize("job", ["train", "promote"])
def test_without_the_secrets_a_job_ends_with_the_name_of_what_is_missing(tmp_path, job):
    (tmp_path / "project").mkdir()
    workflow = load("train.yml")
    for each in workflow["jobs"].values():
        each["steps"] = [step for step in each["steps"] if "secrets." in json.dumps(step)]
    outputs = {"needs.train.outputs.table": "t", "needs.train.outputs.candidates": "c"}
    with pytest.raises(subprocess.CalledProcessError) as failed:
        Runner(tmp_path / "project", workflow, secrets={}, outputs=outputs).run(job)
    environment = workflow["jobs"][job]["environment"]
    assert f"MLFLOW_TRACKING_URI: is not among the secrets of the environment {environment}" in failed.value.output
