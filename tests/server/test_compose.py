"""Check what the files of a team's containers say."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest
import yaml
from containers import COMPOSE, DOCKERFILE, context
from team import SERVER, block

ROOT = SERVER.parent
EXAMPLE = (SERVER / ".env.example").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def compose() -> dict:
    return yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))


def test_the_file_is_as_the_published_schema_wants_it():
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", COMPOSE]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(not shutil.which("docker-compose"), reason="there is no docker-compose here")
@pytest.mark.parametrize(("settings", "status"), [("", 1), (EXAMPLE, 0)])
def test_docker_compose_can_read_the_file_with_the_example_s_settings_and_not_without(tmp_path, settings, status):
    (tmp_path / ".env").write_text(settings, encoding="utf-8")
    command = ["docker-compose", "--file", COMPOSE, "--env-file", tmp_path / ".env", "config"]
    env = {name: value for name, value in os.environ.items() if name not in ("SERVER_NAME", "FTP_ADDRESS")}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == status, done.stderr
    if status == 0:
        services = yaml.safe_load(done.stdout)["services"]
        assert len(services) == 6
        address = services["mlflow"]["environment"]["MLFLOW_DEFAULT_ARTIFACT_ROOT"]
        assert address == "ftps://mlflow.example.org:2121/artifacts"


def test_every_setting_is_explained_in_the_example_and_every_variable_on_the_page(compose):
    used = set(re.findall(r"\$\{(\w+)", COMPOSE.read_text(encoding="utf-8")))
    paragraphs = EXAMPLE.split("\n\n")
    explained = {found[1] for text in paragraphs if (found := re.search(r"^# .*\n(\w+)=", text, re.MULTILINE))}
    assert used == explained == set(re.findall(r"^(\w+)=", EXAMPLE, re.MULTILINE))
    page = (SERVER / "TEAM.md").read_text(encoding="utf-8").replace("--allowed-hosts", "MLFLOW_SERVER_ALLOWED_HOSTS")
    for service in compose["services"].values():
        for name in service.get("environment", {}):
            assert re.search(rf"\b{name}\b", page), name


def test_the_image_has_the_project_s_versions_of_what_it_installs(root):
    packages = re.search(r"--constraint versions\.txt \\\n +(.*) \\", DOCKERFILE)[1].replace('"', "").split()
    direct = (root / "requirements.in").read_text(encoding="utf-8")
    assert "./server/mlflow-ftp" in packages
    for package in packages:
        assert package == "./server/mlflow-ftp" or f"\n{package}==" in direct


def test_the_images_get_what_they_need_and_no_secret_and_no_state(tmp_path):
    kept = "requirements.txt pyproject.toml LICENSE forecasting/errors.py 3_projects/rf/MLproject dashboard/serve.py "
    kept += "server/compose/with_secrets.sh server/jupyter/labconfig/page_config.json server/mlflow-ftp/pyproject.toml"
    left = ".git/config .venv/bin/python server/.env report/.env server/compose/secrets/key.pem server/ftp_tls/key.pem "
    left += "server/basic_auth.db certificate.pem server/mlruns.db server/mlruns.db-wal server/logs/mlflow.log "
    left += "server/ftp_root/artifacts/1/model server/reports/week.html 3_projects/rf/mlruns/0/meta.yaml "
    left += "1_starting_point/opsd/germany.csv backups/monday/mlruns.db report/output/page.html tests/conftest.py "
    left += "3_projects/stock/output/scored.csv dashboard/answers/weather.json"
    for name in [*kept.split(), *left.split()]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert context(tmp_path) == set(kept.split())


def test_nothing_is_reachable_from_outside_unless_the_user_says_so(compose):
    ports = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert len(ports) == 5
    for port in ports:
        assert port.startswith(("127.0.0.1:", "${FTP_ADDRESS:-127.0.0.1}:")), port
    assert "ports" not in compose["services"]["postgres"]


def test_secrets_come_from_files_only(compose):
    named = {name for service in compose["services"].values() for name in service["secrets"]}
    assert named == set(compose["secrets"])
    assert all(secret["file"].startswith("compose/secrets/") for secret in compose["secrets"].values())
    assert "secrets/" in (SERVER / "compose" / ".gitignore").read_text()
    assert not re.search("PASSWORD|SECRET|TOKEN", EXAMPLE)
    for service in compose["services"].values():
        for name, value in service.get("environment", {}).items():
            if re.search("PASSWORD|SECRET|KEY|TOKEN", name):
                assert value.startswith("/run/secrets/"), name
        assert not re.search(r"://[^/\s]*:[^/\s]*@", json.dumps(service)), "no password is in an address"


def test_every_service_is_watched_restarted_and_not_root_and_what_outlives_it_is_in_a_volume(compose):
    used = {volume.split(":")[0] for service in compose["services"].values() for volume in service.get("volumes", [])}
    assert used == set(compose["volumes"]) == {"database", "artifacts", "notebooks"}
    for name, service in compose["services"].items():
        assert service["user"] == "1000:1000"
        assert service["cap_drop"] == ["ALL"]
        if name == "logins":
            assert service["restart"] == "no"
        else:
            assert service["healthcheck"]["test"][0] == "CMD", name
            assert service["restart"] == "unless-stopped"


def test_containers_have_the_settings_of_the_page(compose):
    """The servers' options, and the settings that do not differ between a machine and a container."""
    lines = dict(line.split("=", 1) for line in block("MLFLOW_BACKEND").splitlines())
    environment = compose["services"]["mlflow"]["environment"]
    for name in ("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "MLFLOW_DISABLE_TELEMETRY", "MLFLOW_FTP_USERNAME"):
        assert environment[name] == lines[name]
    options = set(re.findall(r"--[a-z-]+", block("python ftpserver.py")))
    assert options == {option.split("=")[0] for option in compose["services"]["ftp"]["command"][2:]}
    command = " ".join(compose["services"]["mlflow"]["command"])
    for option in ("--app-name basic-auth", "--workers 1"):
        assert option in command
        assert option in block("set -a")
    of_page, of_container = block("[mlflow]"), (SERVER / "compose" / "auth.ini").read_text(encoding="utf-8")
    assert of_container.replace("@postgres:", "@127.0.0.1:").split("\n", 1)[1].strip() == of_page
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert " ".join(compose["services"]["dashboard"]["command"][:2]) in readme
