import re
import subprocess
import sys
from pathlib import Path

import mlflow
import pytest

from server.servers import listens

pytestmark = pytest.mark.slow
FEWER = ("-P", "trials=2", "-P", "epochs=8")  # so that it takes less long
STEPS = ("data", "lr", "rf", "keras", "boosting", "validate", "approve")


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


def test_the_one_command_trains_registers_reports_and_shows_the_same_version(first, state):
    version = re.search(r"wind_solar version (\d+) is in production, and the dashboard shows it", first)[1]
    assert f"report: wind_solar version {version} " in first
    page = (state / "reports" / "2013-W34.html").read_text(encoding="utf-8")
    assert f"wind_solar, version {version}, alias production" in page
    assert "Simulated sample" in page
    for step in STEPS:
        assert re.search(rf"workflow: {step}: run \w+ in \d+ s: no workflow has run it yet", first), step


def test_its_report_is_not_taken_for_the_learners_and_no_server_is_left(first, state, ports):
    client = mlflow.MlflowClient(f"sqlite:///{state / 'mlruns.db'}")
    reports = client.search_runs([client.get_experiment_by_name("weekly_report").experiment_id])
    assert {report.data.tags["made_by"] for report in reports} == {"workshop.py run"}
    assert [name for name, port in ports.items() if listens(port)] == []
    assert {path.name for path in (state / "ftp_root").iterdir()} == {"artifacts"}, "neither database nor code"


def test_the_second_time_every_step_is_reused(first, run):
    done = run()
    assert done.returncode == 0, done.stdout + done.stderr
    for step in STEPS:
        assert re.search(rf"workflow: {step}: reused run \w+: same code", done.stdout), step
