"""The dashboard: it runs, and shows the model in production."""

import json
import os

from mlflow import MlflowClient
from mlflow_ftp.preflight import tracking_server
from servers import HOST, get, listens
from steps import NotYet, Wrong, version_with_alias


def dashboard(client: MlflowClient) -> str:
    """Start the dashboard, which shows the model in production."""
    port = int(os.environ.get("DASHBOARD_PORT", "8050"))
    address = f"http://{HOST}:{port}"
    if not listens(port):
        raise NotYet(f"Nothing listens on port {port}. Start the dashboard.", f"python dashboard/app.py --port {port}")
    try:
        health = json.loads(get(f"{address}/health") or "")
        version, server, problem = health["version"], health["mlflow"], health["problem"]
    except (ValueError, LookupError, TypeError):
        raise Wrong(
            f"Something answers on port {port}, but not the dashboard. Choose another port, and say so to the check: "
            "set DASHBOARD_PORT.",
            f"python dashboard/app.py --port {port + 1}",
        ) from None
    if server.replace("localhost", HOST) != tracking_server().rstrip("/").replace("localhost", HOST):
        raise Wrong(
            f"The dashboard on port {port} reads another MLflow server, {server}. Stop it, and start it in a terminal "
            "where MLFLOW_TRACKING_URI is set.",
            f"python dashboard/app.py --port {port}",
        )
    production = version_with_alias(client, "wind_solar", "production", "").version
    if version != production:
        raise Wrong(
            f"The dashboard shows version {version}, and version {production} is in production. "
            + (problem or "It follows within a few seconds.")
        )
    return f"version {version}, {address}"


STEPS = [dashboard]
