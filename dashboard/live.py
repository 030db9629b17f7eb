"""What the dashboard shows, kept up to date: the model in production, the newest table, the predictions, the registry.

One object serves all viewers. Its thread is the only one that asks the tracking server, so a page never waits for it.
"""

import contextlib
import logging
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime

import pandas as pd
from mlflow.entities import Run

from dashboard.registry import Registry, read_registry, read_run
from report.production import (
    TARGETS,
    NotThere,
    Production,
    load,
    newest_table_run,
    production_version,
    read_table,
    server_address,
)

logger = logging.getLogger(__name__)

SELDOM = 5.0  # seconds between two looks at what needs no more: newest table, versions, runs
LONGEST_PAUSE = 30.0  # seconds until a version that can't be loaded is tried again
HANGS = 20.0  # seconds without an answer after which the pages say so


@dataclass(frozen=True)
class View:
    """A consistent state: these predictions are this model's for this table."""

    production: Production
    table: pd.DataFrame  # hourly, UTC
    table_run: str
    predicted: pd.DataFrame  # GW on the same index; more columns than the targets where the model gives a range
    run: Run | None = None  # that trained the model

    @property
    def key(self) -> str:
        """Return what tells this view from every other one."""
        return f"{self.production.version}/{self.table_run}"


class Live:
    """Follows the production alias, the newest table and the registry on the tracking server."""

    def __init__(self, seconds: float):
        """Look at the tracking server every ``seconds``, once started."""
        self.seconds = seconds
        self.view: View | None = None
        self.registry: Registry | None = None
        self._problem: str | None = "Loading the model in production."
        self._began = 0.0  # when the look that is going on began, 0 between two looks
        self._looked = 0.0  # when the registry was read
        self._table_run: str | None = None
        self._answered: datetime | None = None
        self._failed: tuple[str, str] = ("", "")  # a version and a table that could not be shown, and
        self._failures = 0  # how often
        self._again = 0.0  # and when they are tried again
        self._reason = ""

    def start(self) -> None:
        """Follow until the process ends. Pages read ``view``, ``registry`` and ``problem``."""
        threading.Thread(target=self._run, name="follow production", daemon=True).start()
        threading.Thread(target=self._warm_up, name="warm up", daemon=True).start()

    @property
    def problem(self) -> str | None:
        """Return what is wrong, in words for a reader of the page, or None."""
        began = self._began
        if began and self.view and time.monotonic() - began > HANGS:
            return self._away("has not answered for a while")
        return self._problem

    def _away(self, what: str) -> str:
        state = "Nothing can be shown yet."
        if self.view and self._answered:
            state = f"The pages show what it said at {self._answered:%Y-%m-%d %H:%M} UTC."
        return f"The tracking server {server_address()} {what}. {state} They catch up by themselves."

    def _run(self) -> None:
        while True:
            self.begin()
            self.follow()
            time.sleep(self.seconds)

    def begin(self) -> None:
        """Note that a look begins: a server that hangs is to be named before it has answered."""
        self._began = time.monotonic()

    def _warm_up(self) -> None:
        """Load a model of each kind once: the first one imports its library, for which a promotion can't wait."""
        while not (self.view and self.registry):
            time.sleep(self.seconds)
        seen = {self.view.production.kind}
        for version in self.registry.versions:
            if version.kind not in seen:
                seen.add(version.kind)
                with contextlib.suppress(Exception):  # it says what is wrong when it comes into production
                    load(version.number).predict(self.view.table.tail(48))

    def follow(self) -> None:
        """Get the newest state. What can't be had stays as it was, and ``problem`` says why."""
        self._follow()
        self._began = 0.0

    def _follow(self) -> None:
        try:
            version = production_version()
            if (
                self.registry is None
                or time.monotonic() - self._looked > SELDOM
                or not (self.view and self.view.production.version == version)
            ):
                self._table_run = newest_table_run()
                self.registry = read_registry(self.registry)
                self._looked = time.monotonic()
            self._answered = datetime.now(UTC)
        except NotThere as error:
            self._problem = str(error)
            with contextlib.suppress(Exception):  # there may be no registered model yet
                self.registry = read_registry(self.registry)
            return
        except Exception as error:  # whatever a server or the way to it can do wrong
            if self._problem is None:
                logger.warning("the tracking server does not answer: %s", first_line(error))
            self._problem = self._away("does not answer")
            return
        self._began = 0.0  # to load a model may take a while, which is not the tracking server's fault
        self._problem = self._show(version, self._table_run)

    def _show(self, version: str, table_run: str) -> str | None:
        """Show this model on this table; return why not, if it can't be."""
        old = self.view
        if old and (old.production.version, old.table_run) == (version, table_run):
            self._failed = ("", "")
            return None
        if self._failed == (version, table_run) and time.monotonic() < self._again:
            return self._reason
        try:
            if old and old.production.version == version:
                production, run = old.production, old.run
            else:
                production = load(version)
                run = read_run(production.run_id)
            table = old.table if old and old.table_run == table_run else read_table(table_run)
            predicted = predict(production, table)
        except Exception as error:  # a model is code from outside: whatever it raises, the old one has to stay
            logger.exception("version %s can't be shown on table %s", version, table_run)
            self._failures = self._failures + 1 if self._failed == (version, table_run) else 0
            self._failed = (version, table_run)
            self._again = time.monotonic() + min(self.seconds * 2**self._failures, LONGEST_PAUSE)
            still = f" Version {old.production.version} is shown on." if old else ""
            self._reason = (
                f"Version {version} of wind_solar is in production, but can't be loaded and used: "
                f"{first_line(error)}.{still} It is tried again by itself."
            )
            return self._reason
        self.view = View(production, table, table_run, predicted, run)
        logger.info("showing wind_solar version %s on table %s", version, table_run)
        return None


def predict(production: Production, table: pd.DataFrame) -> pd.DataFrame:
    """Return everything that the model says for the rows of the table, in GW on its index; raises LookupError."""
    predicted = production.model.predict(table[production.columns])
    missing = [target for target in TARGETS if target not in predicted.columns]
    if missing:
        raise LookupError(f"expected a prediction of {' and '.join(TARGETS)}, found none of {' and '.join(missing)}")
    return predicted.set_axis(table.index)


def first_line(error: Exception) -> str:
    """Return the first line of an error's message, without the full stop at its end."""
    return (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
