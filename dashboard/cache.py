"""What one viewer has made the server compute is there for the next one."""

import threading
from collections.abc import Callable

from cachetools import LRUCache, cached


def remember(most: int, compute: Callable) -> Callable:
    """Return the function ``compute`` with a memory of its last ``most`` results, for many threads.

    Its first argument has a ``key`` that stands for it. Of callers at the same time one computes, the others wait. A
    failure is not kept.
    """
    return cached(LRUCache(most), lambda what, *more: (what.key, *more), condition=threading.Condition())(compute)
