"""What the dashboard shows, kept up to date: the model in production, the newest table, the predictions, the registry.

One object serves all viewers. Its thread is the only one that asks the tracking server, so a page never waits for it.
"""

import contextlib
import logging
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from hashlib import sha256

import mlflow
import numpy as np
import pandas as pd
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion

from dashboard.registry import Registry, read_registry
from dashboard.targets import Target, targets_of
from forecasting.errors import UserError, first_line
from forecasting.production import REGISTERED_MODEL, Production, load, newest_table_run, production_version
from forecasting.table import HourlyTable
from forecasting.tracking import server_address

logger = logging.getLogger(__name__)

REGISTRY_INTERVAL = 5.0  # seconds between two looks at the newest table, the versions and the runs
RETRY = 3.0  # seconds until a version that can't be shown is tried again: within five, the pages show it
HANGS = 20.0  # seconds without an answer after which the pages say so


@dataclass(frozen=True)
class View:
    """A consistent state: this forecast is this model's for this table."""

    production: Production
    table: HourlyTable
    forecast: pd.DataFrame  # on the table's index; more columns than the targets where the model gives a range
    seen: np.ndarray  # for each hour, whether the model has learnt from it

    @cached_property
    def targets(self) -> list[Target]:
        """The columns that are forecast."""
        return targets_of(self.table.subject)

    @property
    def model_key(self) -> str:
        """What tells its model from every other one."""
        return f"{self.production.version}/{self.production.model_uri}"

    @property
    def key(self) -> str:
        """What tells this view from every other one."""
        return f"{self.model_key}/{self.table.run_id}"

    @cached_property
    def subject_key(self) -> str:
        """What changes with the table's subject."""
        return sha256(repr(self.table.subject).encode()).hexdigest()[:16]


class Follower:
    """Follows the production alias, the newest table and the registry on the tracking server."""

    def __init__(self, seconds: float):
        """Look at the tracking server every ``seconds``, once started."""
        self.seconds = seconds
        self.view: View | None = None
        self.registry: Registry | None = None
        self._problem: str | None = "The model in production is being loaded."
        self._began = 0.0  # when the look that is going on began, 0 between two looks
        self._looked = 0.0  # when the registry was read
        self._table_run: Run | None = None
        self._answered: datetime | None = None
        self._failed, self._reason, self._again = "", "", 0.0  # the view that can't be made, why, and its next trial

    def start(self) -> None:
        """Follow until the process ends. Pages read ``view``, ``registry`` and ``problem``."""
        threading.Thread(target=self._run, name="follow production", daemon=True).start()
        threading.Thread(target=self._warm_up, name="warm up", daemon=True).start()

    @property
    def problem(self) -> str | None:
        """What is wrong, in words for a reader of the page, or None."""
        began = self._began
        if began and self.view and time.monotonic() - began > HANGS:
            return self._away("has not answered for a while")
        return self._problem

    def _away(self, what: str) -> str:
        state = "Nothing can be shown yet."
        if self.view and self._answered:
            state = f"The pages show its state of {self._answered:%Y-%m-%d %H:%M} UTC."
        return f"The tracking server {server_address()} {what}. {state} They catch up by themselves."

    def _run(self) -> None:
        while True:
            self.follow()
            time.sleep(self.seconds)

    def _warm_up(self) -> None:
        """Load a model of each project once: the first one imports its library, too slow to do after a promotion."""
        while not (self.view and self.registry):
            time.sleep(self.seconds)
        warm = {self.view.production.project}
        for version in self.registry.versions:
            if version.project not in warm:
                warm.add(version.project)
                with contextlib.suppress(Exception):  # it says what is wrong when it comes into production
                    about = mlflow.MlflowClient().get_model_version(REGISTERED_MODEL, version.number)
                    load(about).predict(self.view.table.frame.tail(48))

    def follow(self) -> None:
        """Get the newest state. What can't be had stays as it was, and ``problem`` says why."""
        self._began = time.monotonic()  # a server that hangs is to be named before it has answered
        self._follow()
        self._began = 0.0

    def _follow(self) -> None:
        try:
            version = production_version()
            if (
                self.registry is None
                or time.monotonic() - self._looked > REGISTRY_INTERVAL
                or not (self.view and self.view.production.model_uri == version.source)
            ):
                self._table_run = newest_table_run(version)
                self.registry = read_registry(self.registry)
                self._looked = time.monotonic()
            self._answered = datetime.now(UTC)
        except UserError as error:
            self._report(f"{str(error)[:1].upper()}{str(error)[1:]}")
            with contextlib.suppress(Exception):  # there may be no registered model yet
                self.registry = read_registry(self.registry)
            return
        except Exception as error:  # whatever a server or the way to it can do wrong
            self._report(self._away("does not answer"), first_line(error))
            return
        self._began = 0.0  # to load a model may take a while, which is not the tracking server's fault
        self._report(self._show(version, self._table_run))

    def _report(self, problem: str | None, reason: str = "") -> None:
        """Let the pages say what is wrong, and the log when that changes."""
        if problem and problem != self._problem:
            logger.warning("%s %s", problem, reason)
        elif self._problem and not problem:
            logger.info("the pages are up to date again")
        self._problem = problem

    def _show(self, version: ModelVersion, table_run: Run) -> str | None:
        """Show this model on this table; return why not, if it can't be."""
        old, run_id = self.view, table_run.info.run_id
        # In a registry that was made anew, a version's number stands for another model.
        model = f"{version.version}/{version.source}"
        wanted = f"{model}/{run_id}"
        if old and old.key == wanted:
            self._failed = ""
            return None
        if self._failed == wanted and time.monotonic() < self._again:
            return self._reason
        try:
            production = old.production if old and old.model_key == model else load(version)
            table = old.table if old and old.table.run_id == run_id else HourlyTable.read(table_run)
            if missing := [target for target in table.targets if target not in production.targets]:
                raise UserError(f"it doesn't predict {' and '.join(missing)}, which the newest table has")
            view = View(production, table, production.predict(table.frame), table.seen_by(production.training))
        except Exception as error:  # a model is code from outside: whatever it raises, the old one has to stay
            if self._failed != wanted:
                logger.exception("version %s can't be shown on table %s", version.version, run_id)
            still = f" Version {old.production.version} is still shown." if old else ""
            self._reason = (
                f"Version {version.version} of {version.name} is in production, but can't be shown: "
                f"{first_line(error).rstrip('.')}.{still} It is tried again automatically."
            )
            self._failed, self._again = wanted, time.monotonic() + RETRY
            return self._reason
        self.view = view
        logger.info("showing %s version %s on table %s", version.name, version.version, run_id)
        return None
