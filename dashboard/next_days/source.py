"""The last good answer of a service: when it came, when the next one is asked for, and why there is none.

The answer is also kept in a file, so that a dashboard that is started again does not ask again.
"""

import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from dashboard.next_days.fetch import LONGEST_WAIT, Unavailable

logger = logging.getLogger(__name__)

FIRST_WAIT = 60.0  # seconds after a first failure; doubled with each further one


class Source:
    """One service's last good answer. Only one thread may call refresh(); any may read the attributes."""

    def __init__(
        self,
        name: str,
        every: timedelta,
        ask: Callable[[datetime], object],
        read: Callable[[object], object],
        file: Path | None = None,
        address: str = "",
    ):
        """Keep what ``read`` makes of the JSON that ``ask(now)`` returns; both may raise Unavailable.

        ``file`` keeps the JSON, and is used again only for the same ``address``.
        """
        self.name, self.address = name, address
        self.content: object = None
        self.fetched_at: datetime | None = None
        self.problem: str | None = None
        self._every, self._ask, self._read, self._file = every.total_seconds(), ask, read, file
        self._due: float | None = None  # on the clock that refresh() is given
        self._failures = 0

    def refresh(self, clock: float, now: datetime) -> bool:
        """Ask the service if it is time to; return whether there is a new answer.

        ``clock`` are seconds that never go back; ``now`` is the time (UTC) that the answer is about.
        """
        if self._due is None and self._file and self._recall():
            age = (now - self.fetched_at).total_seconds()
            self._due = clock + self._every - age if 0 <= age < self._every else clock
            return True
        if self._due is not None and clock < self._due:
            return False
        try:
            answer = self._ask(now)
            self.content, self.fetched_at = self._read(answer), now
        except Unavailable as error:
            self._put_off(clock, str(error), error.wait)
            return False
        except Exception as error:  # whatever is in an answer from outside, the last good one has to stay
            logger.exception("%s: the answer can't be used", self.name)
            self._put_off(clock, f"The answer can't be used ({type(error).__name__}).", None)
            return False
        self.problem, self._failures, self._due = None, 0, clock + self._every
        self._keep(answer)
        return True

    def _put_off(self, clock: float, problem: str, wait: float | None) -> None:
        """Say why there is no answer, and wait longer after each failure, or as long as the service wants it."""
        if problem != self.problem:
            logger.warning("%s: %s", self.name, problem)
        self.problem = problem
        longest = max(self._every, FIRST_WAIT)
        self._due = clock + max(min(FIRST_WAIT * 2**self._failures, longest), min(wait or 0.0, LONGEST_WAIT))
        self._failures = min(self._failures + 1, 10)

    def _recall(self) -> bool:
        """Take the answer of the file, if there is one that is right and of the same address."""
        try:
            kept = json.loads(self._file.read_text(encoding="utf-8"))
            if kept["address"] != self.address:
                return False
            fetched_at = datetime.fromisoformat(kept["fetched_at"]).astimezone(UTC)
            self.content, self.fetched_at = self._read(kept["answer"]), fetched_at
        except FileNotFoundError:
            return False
        except Exception as error:  # a file that somebody edited or cut off; the service is asked anew
            logger.warning("%s: %s is not used (%s)", self.name, self._file.name, type(error).__name__)
            return False
        return True

    def _keep(self, answer: object) -> None:
        """Write the answer beside its place and rename it, so that no reader meets half of it."""
        if not self._file:
            return
        kept = {"address": self.address, "fetched_at": self.fetched_at.isoformat(), "answer": answer}
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            beside = self._file.with_name(f".{self._file.name}.part")
            beside.write_text(json.dumps(kept), encoding="utf-8")
            beside.replace(self._file)
        except OSError as error:
            logger.warning("%s: the answer can't be kept in %s: %s", self.name, self._file, error)
