import re
import shutil
import subprocess

import mlflow
import pytest

from server.processes import process
from server.servers import listens


@pytest.fixture
def repository(root, tmp_path, free_port) -> str:
    """Serve a repository with this tree's projects on loopback, and return its address."""
    if shutil.which("git") is None:
        pytest.skip("no git is on the PATH")
    work = tmp_path / "served" / "workshop"
    shutil.copytree(root / "3_projects", work / "3_projects", ignore=shutil.ignore_patterns("__pycache__"))
    for command in (
        ["init", "--quiet"],
        ["add", "--all"],
        ["-c", "user.name=Test", "-c", "user.email=test@localhost", "commit", "--quiet", "-m", "The projects"],
    ):
        subprocess.run(["git", *command], cwd=work, check=True, timeout=60)
    port = free_port()
    command = ["git", "daemon", "--export-all", "--reuseaddr", "--listen=127.0.0.1", f"--port={port}"]
    with process("The git server", [*command, f"--base-path={work.parent}"], tmp_path / "git.log") as daemon:
        daemon.wait_until(lambda: listens(port), 20)
        yield f"git://127.0.0.1:{port}/workshop"


def test_a_project_runs_from_a_git_address(workflow, repository, mlflow_run, tmp_path):
    done = mlflow_run(f"{repository}#3_projects/rf", n_estimators=4)
    assert done.returncode == 0, done.stderr
    run_id = re.search(r"in run with ID '(\w+)'", done.stderr)[1]
    run = mlflow.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.data.tags["mlflow.source.name"] == f"{repository}#3_projects/rf"
    served = tmp_path / "served" / "workshop"
    commit = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=served, text=True, timeout=60).strip()
    assert run.data.tags["mlflow.source.git.commit"] == commit
    assert run.outputs.model_outputs
