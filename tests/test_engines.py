"""Check the jobs for Databricks and Kubernetes, as far as can be done without them."""

import json
import re
import shutil
import subprocess
import sys

import mlflow
import pytest
import yaml
from databricks.sdk.service.jobs import JobSettings
from workflows import load

# -- Databricks


@pytest.fixture
def databricks(root) -> dict:
    return json.loads((root / "3_projects" / "stock" / "databricks.json").read_text(encoding="utf-8"))


def test_the_job_has_only_what_databricks_own_classes_know(databricks):
    assert JobSettings.from_dict(databricks).as_dict() == databricks


def test_the_tasks_are_entry_points_of_the_project_in_their_order(databricks, root):
    assert [task["task_key"] for task in databricks["tasks"]] == ["ingest", "transform", "train", "evaluate"]
    assert [task.get("depends_on") for task in databricks["tasks"]] == [
        None,
        *([{"task_key": name}] for name in ("ingest", "transform", "train")),
    ]
    project = mlflow.projects.load_project(root / "3_projects" / "stock")
    declared = {parameter["name"] for parameter in databricks["parameters"]}
    for task in databricks["tasks"]:
        one = task.get("for_each_task", {}).get("task", task)
        words = one["python_wheel_task"]["parameters"]
        assert words[:6] == ["run", "{{job.parameters.project}}", "-e", task["task_key"], "--env-manager", "local"]
        given = [words[i + 1].split("=") for i, word in enumerate(words) if word == "-P"]
        assert {name for name, _ in given} <= project.get_entry_point(task["task_key"]).parameters.keys()
        assert {name for word in words for name in re.findall(r"\{\{job\.parameters\.(\w+)\}\}", word)} <= declared
    every = json.loads(databricks["tasks"][2]["for_each_task"]["inputs"])
    assert every == load("train.yml")["on"]["workflow_dispatch"]["inputs"]["models"]["default"].split()


# -- Kubernetes

# MLflow's own code makes the job; the client of Kubernetes, which it would talk to the cluster with, is not installed.
MAKE_JOB = """
import json, sys, types
for name in ("kubernetes", "kubernetes.config", "kubernetes.config.config_exception"):
    sys.modules[name] = types.ModuleType(name)
sys.modules["kubernetes.config.config_exception"].ConfigException = Exception
from mlflow.projects import _parse_kubernetes_config, docker, kubernetes, utils
config = _parse_kubernetes_config(json.load(open("3_projects/stock/on_kubernetes/backend.json")))
project = utils.load_project("3_projects/stock/on_kubernetes")
docker.validate_docker_env(project)
command = kubernetes._get_run_command(utils.get_entry_point_command(project, "main", {"symbol": "IBM"}, None))
variables = utils.get_run_env_vars("1" * 32, "7")
where = project.docker_env["image"], "sha256:" + "0" * 64
job = kubernetes._get_kubernetes_job_definition(project.name, *where, command, variables, config["kube-job-template"])
print(json.dumps(config | {"job": job}))
"""


@pytest.fixture(scope="module")
def kubernetes(root) -> dict:
    """Return what MLflow makes of the backend's configuration: the settings, and the job."""
    done = subprocess.run(
        [sys.executable, "-c", MAKE_JOB], cwd=root, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_mlflow_makes_a_job_of_it_that_runs_the_project_and_knows_its_run(kubernetes):
    (container,) = kubernetes["job"]["spec"]["template"]["spec"]["containers"]
    assert container["image"].startswith(f"{kubernetes['repository-uri']}:1@sha256:")
    assert container["command"] == [
        *("python", "3_projects/workflow/run.py", "--steps", "3_projects/stock/steps.py", "--from-run")
    ]
    names = {variable["name"] for variable in container["env"]}
    assert names >= {"MLFLOW_RUN_ID", "MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_ID", "MLFLOW_FTP_CA_FILE"}


def test_the_parameters_for_kubernetes_are_those_of_the_project_with_the_same_defaults(root):
    stock = root / "3_projects" / "stock"
    here, there = (
        yaml.safe_load((folder / "MLproject").read_text(encoding="utf-8"))["entry_points"]["main"]
        for folder in (stock, stock / "on_kubernetes")
    )
    assert there["parameters"].items() <= here["parameters"].items()
    from_the_top = here["command"].replace("steps.py", "3_projects/stock/steps.py").replace("..", "3_projects")
    assert there["command"] == from_the_top


@pytest.mark.skipif(not shutil.which("kubectl"), reason="there is no kubectl here, which knows the kinds of Kubernetes")
def test_kubectl_knows_all_that_is_in_the_job(kubernetes, tmp_path):
    """Without a cluster it reads the job into its own types, which leaves out what they do not have."""
    job = kubernetes["job"]
    (tmp_path / "job.json").write_text(json.dumps(job))
    # Of the commands that work on a file alone, this one reads it so; it adds a variable.
    command = ["kubectl", "set", "env", "--local", "--filename", tmp_path / "job.json", "--output", "json", "READ=yes"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    read = json.loads(done.stdout)
    template = read["spec"]["template"]
    assert template["spec"]["containers"][0]["env"].pop() == {"name": "READ", "value": "yes"}
    # What it adds is empty; newer versions add less.
    added = read["metadata"].pop("creationTimestamp", None), template.pop("metadata", {}), read.pop("status", {})
    assert added in ((None, {"creationTimestamp": None}, {}), (None, {}, {}))
    assert read == job


def test_the_job_is_not_root_and_has_no_secret_in_it(kubernetes):
    pod = kubernetes["job"]["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    (container,) = pod["containers"]
    assert container["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    assert not any("PASSWORD" in variable["name"] for variable in container["env"])
    assert container["envFrom"] == [{"secretRef": {"name": "mlflow-login"}}]
