"""Many files at once: several connections hide the time that each spends waiting for the server."""

import threading
from collections.abc import Callable, Collection
from typing import TypeVar

from mlflow.utils.file_utils import ArtifactProgressBar

WORKERS = 4  # threads, each with a connection of its own
WORTH = 16  # files that pay for one log-in more

Item = TypeVar("Item")


def each(task: Callable[[Item], None], items: Collection[Item], title: str) -> None:
    """Do a task for all items, in some threads if there are many; the first error ends it and is raised."""
    waiting, errors, lock = iter(items), [], threading.Lock()

    def work() -> None:
        try:
            while not errors:
                with lock:
                    item = next(waiting, None)
                if item is None:
                    return
                task(item)
                with lock:
                    bar.update()
        except BaseException as error:
            errors.append(error)

    helpers = [threading.Thread(target=work) for _ in range(min(WORKERS - 1, len(items) // WORTH))]
    with ArtifactProgressBar.files(title, len(items)) as bar:
        try:
            for helper in helpers:
                helper.start()
            work()
            for helper in helpers:
                helper.join()
        except BaseException as error:  # Ctrl-C: the others end after the file that they are at
            errors.append(error)
            raise
    if errors:
        raise errors[0]
