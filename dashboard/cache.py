"""What one viewer has made the server compute is there for the next one."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any


class Cache:
    """A bounded memory of results, for many threads: the one used longest ago goes first."""

    def __init__(self, most: int):
        """Keep at most ``most`` results."""
        self.most = most
        self._lock = threading.Lock()
        self._results: OrderedDict[Hashable, Future] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """Return what ``make()`` returned for this key; of callers at the same time one makes it, the others wait.

        An exception reaches all that wait, and is forgotten: the next caller tries again.
        """
        with self._lock:
            future = self._results.get(key)
            mine = future is None
            if mine:
                future = self._results[key] = Future()
                if len(self._results) > self.most:
                    self._results.popitem(last=False)
            else:
                self._results.move_to_end(key)
        if mine:
            try:
                future.set_result(make())
            except BaseException as error:
                with self._lock:
                    if self._results.get(key) is future:
                        del self._results[key]
                future.set_exception(error)
        return future.result()

    def __len__(self) -> int:
        """Return how many results are kept."""
        return len(self._results)
