"""The dashboard: recorded and predicted values, with the model that is in production.

    python dashboard/app.py

``MLFLOW_TRACKING_URI`` says where the model is. The pages follow the production alias: a promotion or a rollback shows
within seconds, without a restart. For use by others there is dashboard/serve.py.
"""

import argparse
import logging
import os

# A server that is away is asked again every few seconds anyway; MLflow's own seven tries would hide it for minutes, and
# so would two minutes of patience with one that hangs.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

import dashboard  # noqa: F401, before Dash: it clears the environment

# isort: split
import flask
from dash import Dash

from dashboard import delivery, security, shell
from dashboard.follower import Follower
from dashboard.model import page as model
from dashboard.next_days import page as next_days
from dashboard.overview import page as overview
from dashboard.predictions import page as predictions
from dashboard.settings import Settings, add_options
from forecasting.production import REGISTERED_MODEL
from forecasting.tracking import choose_server, server_address

# Each has TITLE, PATH, layout(subject) and register(app, follower, settings). A page follows the shell's stores
# (shell.state_of) and its address, ``url`` (``pathname``, ``search``).
PAGES = [overview, predictions, model, next_days]


def create_app(follower: Follower, settings: Settings) -> Dash:
    """Return the app that shows what ``follower`` has."""
    app = Dash(__name__, title=shell.TITLE, update_title=None, index_string=shell.INDEX)
    app.config.suppress_callback_exceptions = True  # of the pages only one is there at a time
    app.layout = lambda: shell.layout(follower, settings, PAGES)
    shell.register(app, follower, settings, PAGES)
    for page in PAGES:
        page.register(app, follower, settings)

    @app.server.get("/health")
    def health():
        version = follower.view.production.version if follower.view else None
        return flask.jsonify(model=REGISTERED_MODEL, version=version, problem=follower.problem, mlflow=server_address())

    delivery.lighten(app)
    security.protect(app)
    # Dash finishes its set-up with the first request, and does not let the second one wait (plotly/dash#3971).
    app.server.test_client().get("/health")
    return app


def start(settings: Settings) -> Dash:
    """Return the app with a follower that has been started; ends the program if no server is named."""
    choose_server("dashboard")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    # Every open page asks once a second; a line for each would hide what matters, and so would each short queue. That
    # the tracking server is away is reported once, by follower.py.
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    for name in ("waitress.queue", "urllib3.connectionpool"):
        logging.getLogger(name).setLevel(logging.ERROR)
    logging.getLogger("dashboard").info("following production on %s", server_address())
    follower = Follower(settings.refresh)
    follower.start()
    return create_app(follower, settings)


def main() -> None:
    """Serve the dashboard until Ctrl-C."""
    parser = argparse.ArgumentParser(description="Show recorded and predicted values, with the model in production.")
    add_options(parser)
    settings = Settings(**vars(parser.parse_args()))
    start(settings).run(host=settings.host, port=settings.port)


if __name__ == "__main__":
    main()
