"""Ask both servers for a write before the work begins, so that no long training ends at a server that is away."""

import contextlib
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from unittest import mock
from urllib.parse import urlsplit

import mlflow
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.tracking.fluent import _get_experiment_id
from mlflow.utils.credentials import get_default_host_creds
from mlflow.utils.rest_utils import http_request
from mlflow.utils.uri import is_http_uri

from mlflow_ftp.transfer import temporary_name

SILENCE = 1.8  # seconds until a wait is shown, and the most for a connection to the tracking server
PATIENCE = 60  # seconds for the answer of a server that takes connections: it may be busy with others


def check_servers() -> None:
    """Write to the tracking server and to the artifact store of the active experiment, and take it back.

    Raises MlflowException, with one sentence, if one of them is away, silent for a minute, or read-only.
    """
    limits = {"MLFLOW_HTTP_REQUEST_TIMEOUT": f"{PATIENCE}", "MLFLOW_FTP_TIMEOUT": f"{PATIENCE}"}
    with mock.patch.dict(os.environ, limits, MLFLOW_HTTP_REQUEST_MAX_RETRIES="0"):
        address = urlsplit(mlflow.get_tracking_uri())
        tracking = f"The tracking server {address._replace(netloc=address.netloc.rpartition('@')[2]).geturl()}"
        client = mlflow.MlflowClient()
        try:
            with shown_wait(tracking):
                if is_http_uri(mlflow.get_tracking_uri()):
                    host, wait = get_default_host_creds(mlflow.get_tracking_uri()), (SILENCE, PATIENCE)
                    http_request(host, "/health", "GET", max_retries=0, timeout=wait, raise_on_status=False)
                experiment = client.get_experiment(_get_experiment_id())
                client.set_experiment_tag(experiment.experiment_id, "preflight", "passed")
        except MlflowException as error:
            reason = str(error).splitlines()[0].removesuffix(".")
            if "Read timed out" in reason:
                raise MlflowException(
                    f"{tracking} took the connection, and no answer came in {PATIENCE} s. See its log"
                ) from None
            if "MLFLOW_EXPERIMENT_ID environment variable" in reason:
                raise MlflowException(f"{reason}. Unset it, if it is left over from other work") from None
            # MLflow's text for a server that is away is long, and holds the password if the address has one.
            did = "does not answer" if reason.startswith("API request to") else f"does not take a write: {reason}"
            raise MlflowException(
                f"{tracking} {did}. Is MLFLOW_TRACKING_URI right, and does the server run? Start it with: "
                "python workshop.py servers"
            ) from None
        repository = get_artifact_repository(experiment.artifact_location)
        with tempfile.TemporaryDirectory() as folder, shown_wait("The artifact store"):
            # Named like a file under upload: never listed, and swept one day if this process is killed here.
            probe = Path(folder, temporary_name())
            probe.touch()
            repository.log_artifact(str(probe))
            repository.delete_artifacts(probe.name)


@contextlib.contextmanager
def shown_wait(server: str) -> Iterator[None]:
    """Say what is waited for, if the block takes longer than a server that isn't busy."""
    said = f"{server} has not answered yet; waiting for it, {PATIENCE} s at the most ..."
    timer = threading.Timer(SILENCE, print, [said], {"file": sys.stderr, "flush": True})
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def preflight(program: str) -> None:
    """Check both servers; ends ``program`` with one sentence if one of them is away or returns an error."""
    os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "2", "TF_ENABLE_ONEDNN_OPTS": "0"}  # or tensorflow talks about itself
    try:
        check_servers()
    except MlflowException as error:
        sys.exit(f"{program}: {error.message}")
