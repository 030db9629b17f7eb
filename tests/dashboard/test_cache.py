import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from dashboard.cache import Cache


def test_what_two_ask_for_at_the_same_time_is_made_once():
    cache, made, both = Cache(4), [], threading.Barrier(8)

    def make() -> object:
        made.append(1)
        return object()

    def ask(_) -> object:
        both.wait()
        return cache.get("key", make)

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(ask, range(8)))
    assert len(made) == 1
    assert len(set(map(id, found))) == 1


def test_another_key_is_not_held_up():
    cache, inside, let_go = Cache(4), threading.Event(), threading.Event()

    def slow() -> str:
        inside.set()
        let_go.wait()
        return "slow"

    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(cache.get, "one", slow)
        inside.wait()
        assert cache.get("other", lambda: "quick") == "quick"
        let_go.set()
        assert waiting.result() == "slow"


def test_the_result_that_was_used_longest_ago_goes_first():
    cache, made = Cache(2), []
    for key in ("a", "b", "a", "c", "a", "b"):
        cache.get(key, lambda key=key: made.append(key))
    assert made == ["a", "b", "c", "b"]
    assert len(cache) == 2


def test_a_failure_reaches_all_that_wait_and_is_not_kept():
    cache, inside, let_go = Cache(2), threading.Event(), threading.Event()

    def fail():
        inside.set()
        let_go.wait()
        raise ValueError("no")

    with ThreadPoolExecutor(2) as threads:
        one = threads.submit(cache.get, "key", fail)
        inside.wait()
        other = threads.submit(cache.get, "key", fail)
        let_go.set()
        for waiting in (one, other):
            with pytest.raises(ValueError, match="no"):
                waiting.result()
    assert cache.get("key", lambda: "again") == "again"
