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


@pytest.mark.parametrize(
    ("job", "secrets", "challengers", "said"),
    [
        ("train", {}, "c", "MLFLOW_TRACKING_URI: is not among the secrets of the environment training"),
        ("promote", {}, "c", "MLFLOW_TRACKING_URI: is not among the secrets of the environment production"),
        (
            "promote",
            {"MLFLOW_TRACKING_URI": "http://127.0.0.1:1"},
            "",
            "CHALLENGERS: have not come from the job before",
        ),
    ],
)
def test_a_job_ends_with_the_name_of_what_is_missing(tmp_path, job, secrets, challengers, said):
    (tmp_path / "project").mkdir()
    workflow = load("train.yml")
    for each in workflow["jobs"].values():
        each["steps"] = [step for step in each["steps"] if "secrets." in json.dumps(step)]
    outputs = {"needs.train.outputs.table": "t", "needs.train.outputs.challengers": challengers}
    with pytest.raises(subprocess.CalledProcessError) as failed:
        Runner(tmp_path / "project", workflow, secrets=secrets, outputs=outputs).run(job)
    assert said in failed.value.output
