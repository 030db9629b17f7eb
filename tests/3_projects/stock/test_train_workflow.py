"""Check the pipeline in CI, as far as can be done without GitHub; server/test_containers.py types its commands."""

import json
import re
import subprocess

import pytest
from workflows import Runner, load, steps


def test_nothing_is_registered_before_a_person_has_approved():
    jobs = load("train.yml")["jobs"]
    assert list(jobs) == ["train", "promote"]
    assert jobs["promote"]["environment"] == "production"
    assert jobs["promote"]["needs"] == "train"
    typed = {name: "\n".join(step.get("run", "") for step in job["steps"]) for name, job in jobs.items()}
    assert re.findall(r"^ *run (\w+) -P", typed["train"], re.MULTILINE) == ["ingest", "transform", "train", "evaluate"]
    assert "register" not in typed["train"]
    assert re.findall(r" -e (\w+)", typed["promote"]) == ["register"]


def test_the_commands_are_those_that_the_tests_type(root):
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


def test_a_job_that_has_not_got_the_models_registers_nothing(tmp_path):
    (tmp_path / "project").mkdir()
    workflow = load("train.yml")
    workflow["jobs"]["promote"]["steps"] = [
        step for step in workflow["jobs"]["promote"]["steps"] if "secrets." in json.dumps(step)
    ]
    outputs = {"needs.train.outputs.table": "t", "needs.train.outputs.candidates": ""}
    secrets = {"MLFLOW_TRACKING_URI": "http://127.0.0.1:1"}
    with pytest.raises(subprocess.CalledProcessError) as failed:
        Runner(tmp_path / "project", workflow, secrets=secrets, outputs=outputs).run("promote")
    assert failed.value.output.strip().endswith("CANDIDATES: have not come from the job before")
