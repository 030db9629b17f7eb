import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

from dashboard.cache import remember

VIEW = SimpleNamespace(key="1")


def test_what_several_ask_for_at_the_same_time_is_made_once_and_holds_up_nothing_else():
    made, inside, let_go = [], threading.Event(), threading.Event()

    def compute(view, wait: bool) -> object:
        made.append(view.key)
        if wait:
            inside.set()
            let_go.wait()
        return object()

    results = remember(4, compute)
    with ThreadPoolExecutor(8) as threads:
        waiting = [threads.submit(results, VIEW, True) for _ in range(8)]
        inside.wait()
        results(VIEW, False)
        let_go.set()
        assert len({id(future.result()) for future in waiting}) == 1
    assert len(made) == 2
    results(SimpleNamespace(key="2"), True)
    assert made == ["1", "1", "2"]
