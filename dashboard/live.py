"""What the dashboard shows, kept up to date: the model in production, the newest table, and the predictions for it.

One object serves all viewers, so nothing is loaded or predicted twice.
"""

import logging
import threading
import time
from dataclasses import dataclass

import pandas as pd

from report.production import NotThere, Production, load, newest_table_run, production_version, read_table

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class View:
    """A consistent state: these predictions are this model's for this table."""

    production: Production
    table: pd.DataFrame  # hourly, UTC
    table_run: str
    predicted: pd.DataFrame  # the same index, GW


class Live:
    """Follows the production alias and the newest table on the tracking server, in a thread of its own."""

    def __init__(self, seconds: float):
        """Look at the tracking server every ``seconds``, once started."""
        self.seconds = seconds
        self.view: View | None = None
        self.problem: str | None = "Loading the model in production."

    def start(self) -> None:
        """Follow until the process ends. Pages read ``view`` and ``problem``, and never wait for the server."""
        threading.Thread(target=self._run, name="follow production", daemon=True).start()

    def _run(self) -> None:
        while True:
            self.follow()
            time.sleep(self.seconds)

    def follow(self) -> None:
        """Get the newest view. If it can't be had, the old one stays and ``problem`` says why."""
        try:
            self._load()
            self.problem = None
        except NotThere as error:
            self.problem = str(error)
        except Exception as error:  # a model is code from outside: whatever it raises, the old one has to stay
            logger.exception("the newest model or table can't be shown")
            reason = (str(error) or type(error).__name__).splitlines()[0]
            self.problem = f"The newest model or table can't be loaded: {reason}"

    def _load(self) -> None:
        version, table_run = production_version(), newest_table_run()
        old = self.view
        if old and (old.production.version, old.table_run) == (version, table_run):
            return
        production = old.production if old and old.production.version == version else load(version)
        table = old.table if old and old.table_run == table_run else read_table(table_run)
        self.view = View(production, table, table_run, production.predict(table))
        logger.info("showing wind_solar version %s on table %s", version, table_run)
