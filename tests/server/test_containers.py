"""Run what would run in the containers of a team: their commands, with their settings, secrets and files."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from unittest import mock

import httpx
import mlflow
import pytest
import yaml
from containers import COMPOSE, Engine
from stores import command_lines
from team import SERVER, block
from workflows import FOLDER, Runner, load

from server import servers

# What somebody who works in JupyterLab leaves: a table of two days, and a model that gives back what it gets.
REGISTER = """
import mlflow, pandas as pd
from forecasting.subject import Column, Subject
class Model(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input: pd.DataFrame): return model_input
index = pd.date_range("2016-12-01", periods=48, freq="h", tz="UTC")
power = pd.DataFrame({"solar_GW": 2.0, "wind_GW": 9.0}, index=index)
table = power.assign(repaired=False, split="train")
columns = (Column("solar_GW", "target", "Solar", "GW"), Column("wind_GW", "target", "Wind", "GW"))
table.attrs["subject"] = Subject("made by a test", columns).to_dict()
table.to_parquet("table.parquet")
with mlflow.start_run() as run:
    mlflow.set_tags({"project": "data", "used_at": "2017-01-01", "table_sha256": "f" * 64})
    mlflow.log_artifact("table.parquet")
with mlflow.start_run():
    mlflow.pyfunc.log_model(name="model", python_model=Model(), registered_model_name="wind_solar", pip_requirements=[],
        signature=mlflow.models.infer_signature(power, power))
mlflow.MlflowClient().set_registered_model_alias("wind_solar", "production", 1)
"""


@pytest.fixture(scope="module")
def engine(tmp_path_factory, free_port) -> Iterator[Engine]:
    """Have everything up, with secrets and settings made as the page says."""
    if os.name == "nt":
        pytest.skip("the page is for Linux")
    folder = tmp_path_factory.mktemp("containers")
    shutil.copy(SERVER / ".env.example", folder)
    for text in (block("mkdir -p -m 700 compose"), block("cp .env")):
        text = text.replace("mlflow.example.org", "localhost")
        subprocess.run(["bash", "-euc", text], cwd=folder, check=True, capture_output=True, timeout=60)
    assert (folder / ".env").exists()
    ports = {name: free_port() for name in ("2121", "5000", "5432", "8050", "8888", "passive")}
    engine = Engine(folder, yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"], ports)
    with contextlib.ExitStack() as stack:
        for name in engine.services:
            engine.up(name, stack)
        yield engine


@pytest.mark.slow
def test_all_comes_up_healthy_and_what_is_registered_in_jupyterlab_is_on_the_dashboard(engine):
    engine.run("jupyter", ["python", "-c", REGISTER])
    engine.running["dashboard"].wait_until(lambda: '"version":"1"' in health(engine), 30)
    assert json.loads(health(engine))["problem"] is None
    assert any((engine.folder / "ftp_root").rglob("MLmodel"))


def health(engine: Engine) -> str:
    """Return what the dashboard says about itself."""
    return (servers.get(f"http://127.0.0.1:{engine.ports['8050']}/health") or "").replace(" ", "")


def status(engine: Engine, *login: str) -> int:
    """Return the status with which the MLflow server answers somebody with this login."""
    address = f"http://127.0.0.1:{engine.ports['5000']}/api/2.0/mlflow/experiments/get?experiment_id=0"
    return httpx.get(address, auth=login or None, timeout=20, trust_env=False).status_code


@pytest.mark.slow
def test_nobody_gets_into_jupyterlab_without_its_token_or_to_the_server_without_a_login(engine):
    lab = f"http://127.0.0.1:{engine.ports['8888']}/api/contents"
    assert servers.get(lab) is None
    assert servers.get(f"{lab}?token=") is None
    assert '"README.md"' in servers.get(f"{lab}?token={engine.secret('jupyter_token')}")
    assert status(engine) == 401


@pytest.mark.slow
def test_the_workbench_has_its_password_again_when_its_login_is_made_again(engine):
    changed = {"username": "workbench", "password": "changed-by-the-administrator"}
    address = f"http://127.0.0.1:{engine.ports['5000']}/api/2.0/mlflow/users/update-password"
    admin = ("admin", engine.secret("admin_password"))
    httpx.patch(address, json=changed, auth=admin, timeout=20, trust_env=False).raise_for_status()
    assert status(engine, "workbench", engine.secret("workbench_password")) == 401
    assert "has this password now" in engine.run("logins")
    assert status(engine, "workbench", engine.secret("workbench_password")) == 200


@pytest.mark.slow
@pytest.mark.skipif(not (FOLDER / "train.yml").exists(), reason="the second case study was taken away")
def test_the_training_workflow_logs_in_trains_shows_what_is_to_be_approved_and_registers_just_that(engine, checkout):
    passwords = {name: engine.secret(f"{name}_password") for name in ("workbench", "ftp")}
    login = {
        "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{engine.ports['5000']}",
        "MLFLOW_TRACKING_PASSWORD": passwords["workbench"],
        "MLFLOW_FTP_PASSWORD": passwords["ftp"],
    }
    users = {"MLFLOW_TRACKING_USERNAME": "workbench", "MLFLOW_FTP_USERNAME": "mlflow"}
    shutil.copy(engine.folder / "compose" / "secrets" / "certificate.pem", checkout / "3_projects")
    variables = users | {"MLFLOW_FTP_CA_FILE": "3_projects/certificate.pem"}
    from stock_series import rows, there_and_back  # gone if the second case study was taken away

    rows(1500, there_and_back(1500)).to_csv(checkout / "prices.csv", index=False)
    inputs = {"models": "linear knn", "source": "prices.csv"}
    runner = Runner(checkout, load("train.yml"), login, variables, inputs)
    said = runner.run("train")
    assert "last_close" in runner.summary
    said += runner.summary
    with mock.patch.dict(os.environ, login | users):
        client = mlflow.MlflowClient()
        assert client.search_model_versions("name LIKE 'stock%'") == []
        said += runner.run("promote")
        trained = runner.outputs["needs.train.outputs.challengers"].split(",")
        assert len(trained) == 2
        registered = client.search_model_versions("name LIKE 'stock%'")
        assert {version.name for version in registered} == {"stock_price"}
        assert {version.run_id for version in registered} == set(trained)
        tags = client.get_registered_model("stock_price").tags
    (entry,) = (json.loads(tag) for key, tag in tags.items() if "ledger" in key)
    assert (entry["action"], entry["by"]) == ("approve", "GitHub, environment production")
    assert entry["reason"] == "see https://git.example.org/team/power/actions/runs/17"
    assert not any(password in said for password in passwords.values())


@pytest.mark.slow
def test_no_secret_is_in_a_command_or_a_log(engine):
    folder = engine.folder / "compose" / "secrets"
    every = {path.read_text().strip().split(":")[-1] for path in folder.iterdir() if path.suffix != ".pem"}
    assert len(every) == 6
    for name, child in engine.running.items():
        if child:
            seen = command_lines(child.popen) + child.log.read_text()
            assert not any(secret in seen for secret in every), name
    for path in folder.iterdir():
        assert path.stat().st_mode & 0o077 == 0, path


def test_a_secret_that_is_not_there_is_named_and_nothing_is_started(tmp_path):
    (tmp_path / "ftp_password").write_bytes(b"right horse\r\n")
    script = [SERVER / "compose" / "with_secrets.sh", "MLFLOW_FTP_PASSWORD=ftp_password"]
    show = [sys.executable, "-c", "import os; print(os.environ['MLFLOW_FTP_PASSWORD'])"]
    answers = []
    for more in ([], ["JUPYTER_TOKEN=jupyter_token"]):
        command = ["sh", *script, *more, *show]
        env = {"SECRETS": str(tmp_path), "PATH": os.environ["PATH"]}
        answers.append(subprocess.run(command, env=env, capture_output=True, text=True, timeout=20, check=False))
    assert (answers[0].returncode, answers[0].stdout) == (0, "right horse\n")
    assert answers[1].returncode != 0
    assert answers[1].stdout == ""
    assert "jupyter_token" in answers[1].stderr


def test_a_login_without_a_password_is_refused_in_a_sentence():
    command = [sys.executable, SERVER / "compose" / "make_login.py", "workbench"]
    env = {name: value for name, value in os.environ.items() if name != "LOGIN_PASSWORD"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr == "make_login: expected one name, and its password in the variable LOGIN_PASSWORD\n"
