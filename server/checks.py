"""Both servers, and MLflow's client of the artifact store."""

import warnings

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import (
    ArtifactRepositoryRegistry,
    _artifact_repository_registry,
)

from forecasting.tracking import server_address
from server.steps import NotYet, Wrong


def plugin_in_use(client: MlflowClient) -> str:
    """Install MLflow's client of the artifact store."""
    for scheme in ("ftp", "ftps"):
        repository = _artifact_repository_registry._registry.get(scheme)
        module = getattr(repository, "__module__", "nothing")
        if module.split(".")[0] != "mlflow_ftp":
            # MLflow only warns of a plugin that does not load, and goes on with its own client.
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                ArtifactRepositoryRegistry().register_entrypoints()
            why = "".join(f" ({warning.message})" for warning in caught if f'"{scheme}"' in str(warning.message))
            raise Wrong(
                f"{scheme}:// addresses are handled by {module}, not by mlflow_ftp{why}. Install it.",
                "python -m pip install -e server/mlflow-ftp",
            )
    return "mlflow_ftp handles ftp:// and ftps:// addresses"


def servers_take_a_write(client: MlflowClient) -> str:
    """Start both servers."""
    from mlflow_ftp.preflight import check_servers  # the step above says what is wrong if it fails

    try:
        check_servers()
    except MlflowException as error:
        raise NotYet(error.message) from None
    return f"the tracking server {server_address()} and its artifact store take a write"


STEPS = [plugin_in_use, servers_take_a_write]
