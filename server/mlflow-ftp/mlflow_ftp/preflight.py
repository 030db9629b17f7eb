"""Ask both servers for a write before the work begins, so that no long training ends at a server that is away."""

import contextlib
import os
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import mlflow
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.tracking.fluent import _get_experiment_id
from mlflow.utils.credentials import get_default_host_creds
from mlflow.utils.rest_utils import http_request
from mlflow.utils.uri import is_http_uri

# How long a server that takes connections may say nothing: within two seconds it is named.
SILENCE = 1.8  # seconds
# A tracking server that has said that it lives may be busy with others, and so gets longer for the write itself.
QUICK = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_FTP_TIMEOUT": f"{SILENCE}",
}


def check_servers() -> None:
    """Write to the tracking server and to the artifact store of the active experiment, and take it back.

    Raises MlflowException, with one sentence, if one of them is away, silent (both within two seconds) or read-only.
    """
    with environment(QUICK):
        client = mlflow.MlflowClient()
        try:
            if is_http_uri(mlflow.get_tracking_uri()):
                host = get_default_host_creds(mlflow.get_tracking_uri())
                http_request(host, "/health", "GET", max_retries=0, timeout=SILENCE, raise_on_status=False)
            experiment = client.get_experiment(_get_experiment_id())
            client.set_experiment_tag(experiment.experiment_id, "preflight", "passed")
        except MlflowException as error:
            reason = str(error).splitlines()[0].removesuffix(".")
            # MLflow's text for a server that is away is long, and holds the password if the address has one.
            did = "does not answer" if reason.startswith("API request to") else f"does not take a write: {reason}"
            raise MlflowException(
                f"The tracking server {tracking_server()} {did}. Is MLFLOW_TRACKING_URI right, and does the server "
                "run? Start it with: python workshop.py servers"
            ) from None
        repository = get_artifact_repository(experiment.artifact_location)
        with tempfile.TemporaryDirectory() as folder:
            # Named like a file under upload, as it is never listed and is swept one day if this process is killed here.
            probe = Path(folder) / f".partial-{uuid.uuid4().hex}"
            probe.touch()
            repository.log_artifact(str(probe))
            repository.delete_artifacts(probe.name)


def preflight(program: str) -> None:
    """Check both servers; ends ``program`` with one sentence if they do not do their part."""
    try:
        check_servers()
    except MlflowException as error:
        sys.exit(f"{program}: {error.message}")


def tracking_server() -> str:
    """Return the address of the tracking server without user and password."""
    address = urlsplit(mlflow.get_tracking_uri())
    return address._replace(netloc=address.netloc.rpartition("@")[2]).geturl()


@contextlib.contextmanager
def environment(variables: dict[str, str]) -> Iterator[None]:
    """Set environment variables for as long as the block lasts."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ |= variables
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
