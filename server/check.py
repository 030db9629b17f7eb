"""Look whether what the chapters need is there, and say for each thing that is not what to do about it.

    python workshop.py check

It asks the learner's own servers, those that MLFLOW_TRACKING_URI names. The exit status is 0 if all is well.
"""

import os
import sys
import warnings
from collections.abc import Callable

from servers import HOST

# MLflow only warns of a plugin that does not load, and goes on with its own client.
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    from mlflow.exceptions import MlflowException
    from mlflow.store.artifact.artifact_repository_registry import _artifact_repository_registry

INSTALL = "Install it with: python -m pip install -e server/mlflow-ftp"


def plugin_is_in_use() -> str:
    """Return what handles the addresses of the artifact store; raises MlflowException if it is not our plugin."""
    repositories = _artifact_repository_registry.get_registered_artifact_repositories()
    for scheme in ("ftp", "ftps"):
        module = getattr(repositories.get(scheme), "__module__", "nothing")
        if module.split(".")[0] != "mlflow_ftp":
            why = "".join(f" ({warning.message})" for warning in caught if f'"{scheme}"' in str(warning.message))
            raise MlflowException(f"{scheme}:// addresses are handled by {module}, not by mlflow_ftp{why}. {INSTALL}")
    return "mlflow_ftp handles ftp:// and ftps:// addresses"


def servers_take_a_write() -> str:
    """Return where the servers are that took a write; raises MlflowException if one did not."""
    from mlflow_ftp.preflight import check_servers, tracking_server

    check_servers()
    return f"the tracking server {tracking_server()} and its artifact store take a write"


def check(checks: list[Callable[[], str]]) -> bool:
    """Print a line for each check, and return whether all went well; a later one may need an earlier one."""
    for number, one in enumerate(checks, 1):
        try:
            print(f"[{number}/{len(checks)}] ok: {one()}")
        except MlflowException as error:
            print(f"[{number}/{len(checks)}] NOT YET: {error.message}")
            return False
    return True


if __name__ == "__main__":
    os.environ.setdefault("MLFLOW_TRACKING_URI", f"http://{HOST}:{os.environ.get('MLFLOW_PORT', '5000')}")
    sys.exit(not check([plugin_is_in_use, servers_take_a_write]))
