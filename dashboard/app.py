"""The dashboard: recorded and predicted wind and solar power, with the model that is in production.

    python dashboard/app.py

``MLFLOW_TRACKING_URI`` says where the model is. The pages follow the production alias: a promotion or a rollback shows
within seconds, without a restart. For use by others there is dashboard/serve.py.
"""

import argparse
import logging
import os
import sys
from pathlib import Path

# A server that is away is asked again every few seconds anyway; MLflow's own seven tries would hide it for minutes, and
# so would two minutes of patience with one that hangs.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import flask
from dash import Dash, html

from dashboard import security, shell
from dashboard.live import Live
from dashboard.pages import model, next_days, overview, predictions
from dashboard.settings import Settings, add_options, from_options
from report.production import server_address

PAGES = [overview, predictions, model, next_days]


def create_app(live: Live, settings: Settings) -> Dash:
    """Return the app that shows what ``live`` has."""
    app = Dash(__name__, title=shell.TITLE, update_title=None, index_string=shell.INDEX)
    app.layout = lambda: shell.layout(live, settings, PAGES)
    # Callbacks are checked against all pages, of which only one is there at a time.
    app.validation_layout = html.Div([shell.layout(live, settings, PAGES), *(page.layout() for page in PAGES)])
    shell.register(app, live, settings, PAGES)
    for page in PAGES:
        page.register(app, live, settings)

    @app.server.get("/health")
    def health():
        version = live.view.production.version if live.view else None
        return flask.jsonify(model="wind_solar", version=version, problem=live.problem, mlflow=server_address())

    security.protect(app)
    return app


def start(settings: Settings) -> Dash:
    """Return the app with a follower that has been started."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    # Every open page asks once a second; a line for each would hide what matters, and so would each short queue.
    for name, level in (("werkzeug", logging.WARNING), ("waitress.queue", logging.ERROR)):
        logging.getLogger(name).setLevel(level)
    live = Live(settings.refresh)
    live.start()
    return create_app(live, settings)


def main() -> None:
    """Serve the dashboard until Ctrl-C."""
    parser = argparse.ArgumentParser(description="Recorded and predicted wind and solar power.")
    add_options(parser)
    settings = from_options(parser.parse_args())
    start(settings).run(host=settings.host, port=settings.port)


if __name__ == "__main__":
    main()
