import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import mlflow
import pytest
from processes import process
from servers import ftp_answers, get, mlflow_answers

pytestmark = pytest.mark.slow
FEWER = ("-P", "trials=2", "-P", "epochs=8")  # so that it takes less long
STEPS = ("data", "lr", "rf", "keras", "boosting", "promote", "approve")


@pytest.fixture(scope="module")
def ports(free_port) -> dict[str, int]:
    return {name: free_port() for name in ("ftp", "mlflow", "dashboard")}


@pytest.fixture(scope="module")
def state(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("main") / "state"


@pytest.fixture(scope="module")
def run(root, small_csv, state, ports):
    """Return a function that types the command of the README's first screen, with --once."""

    def call() -> subprocess.CompletedProcess:
        options = ["--once", "--data", small_csv, "--holdout-days", "30", "--state", state, *FEWER]
        for name, port in ports.items():
            options += [f"--{name}-port", port]
        command = [sys.executable, "workshop.py", "run", *options]
        return subprocess.run(
            [str(part) for part in command], cwd=root, capture_output=True, text=True, timeout=600, check=False
        )

    return call


@pytest.fixture(scope="module")
def first(run) -> str:
    done = run()
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def in_production(tracking_uri: str) -> dict:
    """Return what a tracking server says of its production model, without ids and times."""
    client = mlflow.MlflowClient(tracking_uri)
    version = client.get_model_version_by_alias("wind_solar", "production")
    steps = {other.tags["step"] for other in client.search_model_versions("name = 'wind_solar'")}
    errors = {key: float(value) for key, value in version.tags.items() if key.startswith("holdout_mae")}
    return {"step": version.tags["step"], "registered": sorted(steps), "errors": errors}


def test_the_one_command_trains_registers_reports_and_shows_the_same_version(first, state):
    version = re.search(r"wind_solar version (\d+) is in production, and the dashboard shows it", first)[1]
    assert f"report: wind_solar version {version} " in first
    page = (state / "reports" / "2013-W34.html").read_text(encoding="utf-8")
    assert f"wind_solar, version {version}, alias production" in page
    assert "Simulated sample" in page
    for step in STEPS:
        assert re.search(rf"workflow: {step}: run \w+ in \d+ s: no workflow has run it yet", first), step


def test_it_leaves_no_server_behind(first, ports):
    assert not ftp_answers(ports["ftp"])
    assert not mlflow_answers(ports["mlflow"])
    assert get(f"http://127.0.0.1:{ports['dashboard']}/health") is None


def test_database_and_code_are_not_where_the_artifact_store_serves(first, state):
    assert (state / "mlruns.db").exists()
    assert {path.name for path in (state / "ftp_root").iterdir()} == {"artifacts"}


def test_the_second_time_every_step_is_reused(first, run):
    done = run()
    assert done.returncode == 0, done.stdout + done.stderr
    for step in STEPS:
        assert re.search(rf"workflow: {step}: reused run \w+: same code", done.stdout), step


def test_the_commands_typed_by_hand_end_in_the_same_state(
    first, state, root, small_csv, free_port, tmp_path, monkeypatch
):
    readme = (root / "README.md").read_text(encoding="utf-8")
    assert "    python ftpserver.py\n" in readme
    login = re.search(r"^    export (MLFLOW_FTP.*)$", readme, re.MULTILINE)[1]
    for name, value in re.findall(r"(\w+)=(\w+)", login):
        monkeypatch.setenv(name, value)
    typed = re.search(r"^    (mlflow server .*)$", readme, re.MULTILINE)[1]
    folder = shutil.copytree(root / "server", tmp_path / "server", ignore=shutil.ignore_patterns("*.db*", "ftp_root"))
    ftp, tracking = free_port(), free_port()
    env = {**os.environ, "PATH": str(Path(sys.executable).parent) + os.pathsep + os.environ["PATH"]}
    env |= {"MLFLOW_WORKERS": "1", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}  # a small server
    uri = f"http://127.0.0.1:{tracking}"
    store = process("ftpserver", ["python", "ftpserver.py", "--port", ftp], tmp_path / "f.log", cwd=folder, env=env)
    command = [*typed.replace(":2121/", f":{ftp}/").split(), "--port", tracking]
    server = process("mlflow server", command, tmp_path / "m.log", cwd=folder, env=env)
    with store as store, server as server:
        store.wait_until(lambda: ftp_answers(ftp), 20)
        server.wait_until(lambda: mlflow_answers(tracking), 240)
        command = ["mlflow", "run", "3_projects/workflow", "--env-manager", "local"]
        command += ["-P", f"csv={small_csv}", "-P", "holdout_days=30", *FEWER]
        done = subprocess.run(
            command,
            cwd=root,
            env={**env, "MLFLOW_TRACKING_URI": uri},
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        by_hand = in_production(uri)
    by_command = in_production(f"sqlite:///{state / 'mlruns.db'}")
    assert by_hand.pop("errors") == pytest.approx(by_command.pop("errors"), rel=0.02)
    assert by_hand == by_command
