"""The real servers, started once for the whole test run, and what many tests need."""

import os
import socket
import sys
from pathlib import Path

import pytest
from servers import Servers, servers

ROOT = Path(__file__).resolve().parents[1]
# The real series, for developers and CI; a user doesn't have it, and the tests that need it say so.
REAL_DATA = ROOT.parent / "shared" / "data" / "germany_opsd_2013_2015.csv"


@pytest.fixture(scope="session")
def root() -> Path:
    """Return the top of the project."""
    return ROOT


@pytest.fixture(scope="session")
def real_data() -> Path:
    if not REAL_DATA.exists():
        pytest.skip("the real data are not beside this checkout; fetch them with 1_starting_point/download.py")
    return REAL_DATA


def free_port() -> int:
    """Return a port on which nothing listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.fixture(scope="session")
def running_servers(tmp_path_factory) -> Servers:
    """Run the artifact store and the MLflow server, of which the environment tells the tests and their children."""
    state = tmp_path_factory.mktemp("state")
    with pytest.MonkeyPatch.context() as environment, servers(state, state / "logs", free_port(), free_port()) as up:
        environment.setenv("MLFLOW_TRACKING_URI", up.tracking_uri)
        environment.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        # mlflow run starts "python", which has to be this one.
        environment.setenv("PATH", str(Path(sys.executable).parent) + os.pathsep + os.environ["PATH"])
        yield up
