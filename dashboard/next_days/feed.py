"""What the page of the next days shows, kept up to date in the background. A page never waits for the network.

One thread asks for all viewers: the weather and the published forecast at most once an hour, the measured power at most
once in a quarter of an hour.
"""

import logging
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

import pandas as pd

from dashboard.follower import Follower, View
from dashboard.next_days import power, weather
from dashboard.next_days.outlook import Outlook, as_in_table, hours_around, late_in_summer, outlook, predict
from dashboard.next_days.source import Source
from dashboard.settings import Settings
from forecasting.errors import UserError, first_line

logger = logging.getLogger(__name__)

LOOK = 0.5  # seconds between two looks whether anybody is due, or the model has changed


@dataclass(frozen=True)
class State:
    """A consistent state of the page."""

    key: int  # counts up when the outlook changes
    outlook: Outlook
    view: View | None  # whose model has predicted
    late: bool  # whether the weather was moved to where the view's table has it
    problem: str | None  # why there is no prediction


class Feed:
    """Follows the two services and the model in production, in a thread of its own."""

    def __init__(self, settings: Settings, live: Follower):
        """Be ready to ask the services of ``settings`` for what goes with the model of ``live``."""
        self._settings, self._live = settings, live
        self.state: State | None = None
        hour, quarter, charts = timedelta(hours=1), timedelta(minutes=15), "Energy-Charts, public_power"
        published = f"{charts}_forecast, made the day before"
        self.sources = [
            Source("weather forecast", "Open-Meteo", hour, partial(weather.ask, settings)),
            Source("measured power", charts, quarter, partial(power.ask_measured, settings)),
            Source("published forecast", published, hour, partial(power.ask_published, settings)),
        ]
        self._made_of: tuple | None = None

    def start(self) -> None:
        """Follow until the process ends. Pages read ``state`` and ``sources``."""
        threading.Thread(target=self._run, name="follow the next days", daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                self.follow(time.monotonic())
            except Exception:  # the thread has to live on; the page shows what it had
                logger.exception("the next days can't be brought up to date")
            time.sleep(LOOK)

    def now(self) -> datetime:
        """Return the time (UTC): the clock's, or the fixed one of a replay."""
        return self._settings.now or datetime.now(UTC)

    def follow(self, clock: float) -> None:
        """Ask whoever is due, and make the state anew if anything of it has changed."""
        for source in self.sources:
            source.refresh(clock, self.now())
            self._assemble()

    def _assemble(self) -> None:
        now, view = self.now(), self._live.view
        forecast, measured, published = (source.content for source in self.sources)
        model = view.key if view else self._live.problem
        made_of = (model, pd.Timestamp(now).floor("15min"), *(source.fetched_at for source in self.sources))
        if made_of == self._made_of:
            return
        predicted, late, problem = None, False, None
        try:
            if view is None:
                raise UserError(self._live.problem or "No model is in production yet.")
            late = late_in_summer(view.table.frame)
            if forecast is not None:
                given = as_in_table(weather.hour_means(forecast), late)
                predicted = predict(view.production, given, hours_around(now))
        except UserError as error:
            problem = str(error)
        except Exception as error:  # a model is code from outside
            logger.exception("the model in production can't predict the next days")
            problem = f"The model in production can't be used on the forecast: {first_line(error)[:200]}"
        seen = outlook(now, predicted, measured, published)
        self.state = State(self.state.key + 1 if self.state else 1, seen, view, late, problem)
        self._made_of = made_of
