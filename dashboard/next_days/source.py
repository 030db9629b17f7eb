"""The last good answer of a service: when it came, when the next one is asked for, and why there is none."""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from dashboard.components import duration
from dashboard.next_days.answers import Unavailable

logger = logging.getLogger(__name__)

FIRST_WAIT = 60.0  # seconds after a failure; doubled with each further one, up to the usual time


class Source:
    """One service's last good answer. Only one thread may call refresh(); any may read the rest."""

    def __init__(self, name: str, where: str, every: timedelta, ask: Callable[[datetime], object]):
        """Ask at most once in ``every``; ``ask(now)`` returns what is kept, or raises Unavailable.

        ``name`` says what it is, and ``where`` it comes from, for a reader.
        """
        self.name, self.where = name, where
        self.content: Any = None
        self.fetched_at: datetime | None = None
        self.problem: str | None = None
        self._every, self._ask = every.total_seconds(), ask
        self._due = float("-inf")  # on the clock that refresh() is given
        self._pause = FIRST_WAIT

    def refresh(self, clock: float, now: datetime) -> None:
        """Ask the service if it is time to.

        ``clock`` are seconds that never go back; ``now`` is the time (UTC) that the answer is about.
        """
        if clock < self._due:
            return
        problem, wait = None, self._every
        try:
            self.content, self.fetched_at = self._ask(now), now
        except Unavailable as error:
            problem, wait = str(error), max(self._pause, error.wait)
        except Exception as error:  # whatever is in an answer from outside, the last good one has to stay
            logger.exception("%s: the answer can't be used", self.name)
            problem, wait = f"The answer can't be used ({type(error).__name__}).", self._pause
        if problem and problem != self.problem:
            logger.warning("%s: %s", self.name, problem)
        self.problem, self._due = problem, clock + wait
        self._pause = min(2 * self._pause, self._every) if problem else FIRST_WAIT

    def age(self, now: datetime) -> str:
        """Return how old the answer is."""
        return f"{duration(self.fetched_at, now)} old" if self.fetched_at else "no answer yet"

    def notice(self, now: datetime) -> str | None:
        """Return what is not as it should be, as a sentence."""
        if self.problem and self.fetched_at:
            return f"No newer {self.name}: {self.problem} The last good answer is shown; it is {self.age(now)}."
        if self.problem:
            return f"No {self.name}: {self.problem}"
        return None if self.fetched_at else f"The {self.name} is being asked for."
