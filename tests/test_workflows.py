"""Check the workflows of GitHub, as far as can be done without it."""

import json
import re
import subprocess
import sys

import pytest
from workflows import FOLDER, load, steps

# Each was looked up in several places that agree; a version that is newer needs its own.
ACTIONS = {
    "actions/checkout": ("de0fac2e4500dabe0009e67214ff5f5447ce83dd", "v6.0.2"),
    "actions/setup-python": ("a309ff8b426b58ec0e2a45f0f869d46889d02405", "v6.2.0"),
}
NAMES = sorted(path.name for path in FOLDER.iterdir())


@pytest.mark.parametrize("schema", ["vendor.github-workflows", "custom.github-workflows-require-timeout"])
def test_the_workflows_are_as_the_published_schema_wants_them(schema):
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


def test_the_tests_are_run_by_the_command_of_the_readme(root):
    readme = (root / "README.md").read_text(encoding="utf-8")
    assert [step["run"] for step in steps(load("test.yml")) if "run" in step] == ["python workshop.py test"]
    assert "\n    python workshop.py test\n" in readme
