import os
import subprocess
import sys
from pathlib import Path

import pytest
import servers

SCRIPT = Path(servers.__file__).with_name("check.py")


def check(**environment: str) -> subprocess.CompletedProcess:
    """Run the check with some variables set anew."""
    env = os.environ | environment
    return subprocess.run([sys.executable, SCRIPT], env=env, capture_output=True, text=True, timeout=60, check=False)


def test_all_is_well_where_both_servers_run(running_servers):
    done = check()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[1/2] ok: mlflow_ftp handles ftp:// and ftps:// addresses" in done.stdout
    assert f"[2/2] ok: the tracking server {running_servers.tracking_uri} and its artifact store" in done.stdout


def test_a_server_that_is_away_is_named_with_the_next_command(free_port):
    done = check(MLFLOW_TRACKING_URI=f"http://127.0.0.1:{free_port()}")
    assert done.returncode == 1
    assert "[2/2] NOT YET: The tracking server" in done.stdout
    assert "python workshop.py servers" in done.stdout
    assert "Traceback" not in done.stderr


def test_the_port_of_the_mlflow_server_is_enough(free_port):
    port = free_port()
    env = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"} | {
        "MLFLOW_PORT": f"{port}"
    }
    done = subprocess.run([sys.executable, SCRIPT], env=env, capture_output=True, text=True, timeout=60, check=False)
    assert f"http://127.0.0.1:{port}" in done.stdout


@pytest.mark.parametrize("code", ["raise ImportError('broken on purpose')", "other_name = 1"])
def test_a_plugin_that_does_not_load_is_found_out_though_mlflow_goes_on_without_it(code, running_servers, tmp_path):
    (tmp_path / "mlflow_ftp").mkdir()
    (tmp_path / "mlflow_ftp" / "__init__.py").write_text(code)
    done = check(PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    assert "[1/2] NOT YET: ftp:// addresses are handled by mlflow.store.artifact.ftp_artifact_repo" in done.stdout
    assert ("broken on purpose" if "broken" in code else "FTPArtifactRepository") in done.stdout
    assert "pip install -e server/mlflow-ftp" in done.stdout
