from datetime import UTC, datetime, timedelta
from itertools import count
from unittest.mock import Mock

import pytest

from dashboard.next_days.answers import Unavailable
from dashboard.next_days.source import FIRST_WAIT, Source

NOW = datetime(2026, 6, 10, 9, 40, tzinfo=UTC)


@pytest.fixture
def ask() -> Mock:
    """Return how a service is asked; it answers with a number that counts up."""
    return Mock(side_effect=count(1))


@pytest.fixture
def source(ask) -> Source:
    return Source("weather", "here", timedelta(hours=1), ask)


def test_a_service_is_asked_at_most_once_in_its_time(source, ask):
    source.refresh(100, NOW)
    source.refresh(100 + 3599, NOW)
    assert ask.call_count == 1
    source.refresh(100 + 3600, NOW + timedelta(hours=1))
    assert (source.content, source.fetched_at) == (2, NOW + timedelta(hours=1))


@pytest.mark.parametrize(
    ("error", "said", "wait"),
    [
        (Unavailable("It can't be reached."), "It can't be reached.", FIRST_WAIT),
        (Unavailable("Too many requests.", 5000), "Too many requests.", 5000),
        (KeyError("number"), "KeyError", FIRST_WAIT),
    ],
)
def test_after_a_failure_the_last_good_answer_stays_and_the_service_is_left_alone(source, ask, error, said, wait):
    source.refresh(0, NOW)
    ask.side_effect = error
    for clock in (3600, 3600 + wait - 1):
        source.refresh(clock, NOW + timedelta(hours=1))
    assert (source.content, source.fetched_at, ask.call_count) == (1, NOW, 2)
    assert said in source.notice(NOW + timedelta(hours=3))
    assert "The last good answer is shown; it is 3 h old." in source.notice(NOW + timedelta(hours=3))
    ask.side_effect = [3]
    source.refresh(3600 + wait, NOW + timedelta(hours=2))
    assert (source.content, source.notice(NOW)) == (3, None)


def test_each_further_failure_doubles_the_pause_up_to_the_usual_time(source, ask):
    ask.side_effect, asked_at = Unavailable("No."), []
    for clock in range(0, 4 * 3600, 60):
        source.refresh(clock, NOW)
        if ask.call_count > len(asked_at):
            asked_at.append(clock // 60)
    assert asked_at == [0, 1, 3, 7, 15, 31, 63, 123, 183]
