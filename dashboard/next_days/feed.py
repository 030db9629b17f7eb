"""What the page of the next days shows, kept up to date in the background. A page never waits for the network.

One thread asks for all viewers: the weather and the published forecast at most once an hour, the measured power at most
once in a quarter of an hour, and less often after a failure.
"""

import logging
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd

from dashboard.next_days import power, weather
from dashboard.next_days.fetch import get
from dashboard.next_days.outlook import (
    NoPrediction,
    Outlook,
    as_in_table,
    hours_around,
    late_in_summer,
    outlook,
    predict,
)
from dashboard.next_days.source import Source
from dashboard.settings import Settings

logger = logging.getLogger(__name__)

FOLDER = Path(__file__).resolve().parents[1] / "answers"  # the last good answers, for the next start
LOOK = 0.5  # seconds between two looks whether anybody is due, or the model has changed
BETWEEN_REQUESTS = 1.0  # seconds; Energy-Charts lets a client in twice a second
FORECAST_TYPE = "day-ahead"  # made before the day, so that its errors are those of a forecast


@dataclass(frozen=True)
class State:
    """A consistent state of the page."""

    number: int  # counts up when the outlook changes
    outlook: Outlook
    version: str | None  # of the model
    trained_to: pd.Timestamp | None  # last hour of the model's table
    trained_on: str
    late: bool  # whether the weather was moved to where the table has it
    problem: str | None  # why there is no prediction


class Feed:
    """Follows the two services and the model in production, in a thread of its own."""

    def __init__(self, settings: Settings, live, folder: Path | None = FOLDER, pause: float = BETWEEN_REQUESTS):
        """Be ready to ask the services of ``settings`` for what goes with the model of ``live``.

        A replay, with a fixed "now", neither uses nor writes the files in ``folder``.
        """
        self._settings, self._live, self._pause = settings, live, pause
        self.state: State | None = None
        files = folder if settings.now is None else None

        def source(name: str, hours: float, ask, read, address: str) -> Source:
            file = files / f"{name}.json" if files else None
            return Source(name, timedelta(hours=hours), ask, read, file, address)

        open_meteo, energy_charts = settings.open_meteo, settings.energy_charts
        self.weather = source("weather", 1, self._ask_weather, self._read_weather, open_meteo)
        self.measured = source("measured", 0.25, self._ask_measured, power.read_measured, energy_charts)
        self.published = source("published", 1, self._ask_published, power.read_published, energy_charts)
        self.sources = [self.weather, self.measured, self.published]
        self._key: tuple | None = None
        self._made_of: tuple | None = None
        self._prediction: tuple[str | None, pd.DataFrame | None, bool] = (None, None, False)

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
        """Ask whoever is due, and put the state together anew if anything of it has changed."""
        for source in self.sources:
            if source.refresh(clock, self.now()):
                self._assemble()
        self._assemble()

    def _assemble(self) -> None:
        now, view = self.now(), self._live.view
        model = (view.production.version, view.table_run) if view else self._live.problem
        made_of = (self.weather.fetched_at, model, pd.Timestamp(now).floor("h"))
        key = (*made_of, self.measured.fetched_at, self.published.fetched_at, pd.Timestamp(now).floor("15min"))
        if key == self._key:
            return
        if made_of != self._made_of:  # the model works only when its answer would be another
            self._prediction, self._made_of = self._predict(now, view), made_of
        problem, predicted, late = self._prediction
        around = outlook(now, predicted, self.measured.content, self.published.content)
        about = (
            (view.production.version, view.table.index[-1], view.production.trained_on) if view else (None, None, "")
        )
        self.state = State((self.state.number + 1) if self.state else 1, around, *about, late, problem)
        self._key = key

    def _predict(self, now: datetime, view) -> tuple[str | None, pd.DataFrame | None, bool]:
        """Return why there is no prediction, the prediction, and whether the weather was moved."""
        if view is None:
            return self._live.problem or "No model is in production yet.", None, False
        if self.weather.content is None:
            return None, None, False
        late = late_in_summer(view.table)
        try:
            given = as_in_table(weather.hour_means(self.weather.content), late)
            return None, predict(view.production, given, hours_around(now)), late
        except NoPrediction as error:
            return str(error), None, late
        except Exception as error:  # a model is code from outside
            logger.exception("the model in production can't predict the next days")
            reason = (str(error) or type(error).__name__).splitlines()[0][:200]
            return f"The model in production can't be used on the forecast: {reason}", None, late

    def _get(self, base: str, path: str, parameters: dict) -> object:
        return get(base + path, parameters, self._settings.timeout)

    def _ask_weather(self, now: datetime) -> object:
        return self._get(self._settings.open_meteo, "/v1/forecast", weather.parameters(weather.read_plan(), now))

    def _read_weather(self, answer: object) -> pd.DataFrame:
        return weather.read_weather(answer, weather.read_plan())

    def _ask_measured(self, now: datetime) -> object:
        return self._get(self._settings.energy_charts, "/public_power", power.period(now, power.DAYS_BEFORE, 0))

    def _ask_published(self, now: datetime) -> object:
        """Return the answers by production type, asked for one after the other."""
        days = power.period(now, power.DAYS_BEFORE, power.DAYS_AFTER)
        answers = {}
        for name in [name for several in power.PUBLISHED.values() for name in several]:
            time.sleep(self._pause)
            asked = days | {"production_type": name, "forecast_type": FORECAST_TYPE}
            answers[name] = self._get(self._settings.energy_charts, "/public_power_forecast", asked)
        return answers
