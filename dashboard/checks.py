"""The dashboard: it runs, and shows the model in production."""

import json
import os

from mlflow import MlflowClient

from forecasting.tracking import server_address
from server.servers import HOST, get, listens
from server.steps import WORKFLOW, NotYet, Wrong, kept, version_with_alias


@kept("chapter_3")
def dashboard(client: MlflowClient) -> str:
    """Start the dashboard, which shows the model in production."""
    production = str(version_with_alias(client, "wind_solar", "production", WORKFLOW).version)
    port = int(os.environ.get("DASHBOARD_PORT", "8050"))
    address = f"http://{HOST}:{port}"
    if not listens(port):
        raise NotYet(f"Nothing listens on port {port}. Start the dashboard.", f"python dashboard/app.py --port {port}")
    try:
        health = json.loads(get(f"{address}/health") or "")
        version, server, problem = health["version"], health["mlflow"], health["problem"]
    except (ValueError, LookupError, TypeError, TimeoutError):
        raise Wrong(
            f"Something answers on port {port}, but not the dashboard. Choose another port, in this terminal too.",
            f"export DASHBOARD_PORT={port + 1}\npython dashboard/app.py",
        ) from None
    if server.replace("localhost", HOST) != server_address().replace("localhost", HOST):
        raise Wrong(
            f"The dashboard on port {port} reads another MLflow server, {server}. Stop it, and start it in a terminal "
            "where MLFLOW_TRACKING_URI is set.",
            f"python dashboard/app.py --port {port}",
        )
    if version != production:
        raise Wrong(
            f"The dashboard shows version {version}, and version {production} is in production. "
            + (problem or "It follows within a few seconds.")
        )
    return f"version {version}, {address}"


STEPS = [dashboard]
