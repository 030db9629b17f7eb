"""Check the jobs for Databricks and Kubernetes, as far as can be done without them."""

import dataclasses
import enum
import json
import re
import shutil
import subprocess
import sys
import types
import typing

import mlflow
import pytest
import yaml
from databricks.sdk.service.jobs import JobSettings
from workflows import load

# -- Databricks


def misfits(value, kind, where: str) -> list[str]:
    """Return where a value is not of the kind that Databricks' own classes say."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        found = [misfits(value, each, where) for each in arguments if each is not type(None)]
        return min(found, key=len)
    if origin is list and isinstance(value, list):
        return [text for i, part in enumerate(value) for text in misfits(part, arguments[0], f"{where}[{i}]")]
    if origin is dict and isinstance(value, dict):
        return [text for key, part in value.items() for text in misfits(part, arguments[1], f"{where}.{key}")]
    if dataclasses.is_dataclass(kind) and isinstance(value, dict):
        hints = typing.get_type_hints(kind)
        unknown = [f"{where}.{key} is unknown" for key in value if key not in hints]
        needed = {each.name for each in dataclasses.fields(kind) if each.default is dataclasses.MISSING}
        unknown += [f"{where}.{key} is missing" for key in sorted(needed - value.keys())]
        known = ((key, part) for key, part in value.items() if key in hints)
        return unknown + [text for key, part in known for text in misfits(part, hints[key], f"{where}.{key}")]
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return [] if value in {each.value for each in kind} else [f"{where} is {value!r}, no {kind.__name__}"]
    return [] if type(value) is (origin or kind) else [f"{where} is {value!r}, no {kind}"]


@pytest.fixture
def databricks(root) -> dict:
    return json.loads((root / "3_projects" / "stock" / "databricks.json").read_text(encoding="utf-8"))


def test_the_job_has_only_what_databricks_own_classes_know_each_of_its_kind(databricks):
    assert misfits(databricks, JobSettings, "job") == []
    assert JobSettings.from_dict(databricks).as_dict() == databricks


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda job: job.update(max_concurrent_runs="one"), ["job.max_concurrent_runs is 'one', no <class 'int'>"]),
        (lambda job: job["tasks"][0].update(retries=1), ["job.tasks[0].retries is unknown"]),
        (lambda job: job["tasks"][1].pop("task_key"), ["job.tasks[1].task_key is missing"]),
        (
            lambda job: job["job_clusters"][0]["new_cluster"].update(data_security_mode="OPEN"),
            ["job.job_clusters[0].new_cluster.data_security_mode is 'OPEN', no DataSecurityMode"],
        ),
    ],
)
def test_a_job_that_databricks_would_refuse_is_seen(databricks, change, said):
    change(databricks)
    assert misfits(databricks, JobSettings, "job") == said


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
    assert container["command"][:4] == ["python", "3_projects/stock/main.py", "--symbol", "IBM"]
    assert not any("'" in word for word in container["command"]), "an empty value would come as two quotes"
    names = {variable["name"] for variable in container["env"]}
    assert names >= {"MLFLOW_RUN_ID", "MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_ID", "MLFLOW_FTP_CA_FILE"}


def test_the_parameters_for_kubernetes_are_those_of_the_project_with_the_same_defaults(root):
    stock = root / "3_projects" / "stock"
    here, there = (
        yaml.safe_load((folder / "MLproject").read_text(encoding="utf-8"))["entry_points"]["main"]
        for folder in (stock, stock / "on_kubernetes")
    )
    assert there["parameters"].items() <= here["parameters"].items()
    options = re.findall(r"--[\w-]+ \{\w+\}", there["command"])
    assert len(options) == len(there["parameters"])
    assert set(options) <= set(re.findall(r"--[\w-]+ \{\w+\}", here["command"]))


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
