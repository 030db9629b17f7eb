"""Connections that stay open between operations, one of each thread, and the patience with those that break."""

import os
import threading
import time
import weakref
from collections.abc import Callable
from typing import TypeVar

from mlflow.protos.databricks_pb2 import TEMPORARILY_UNAVAILABLE

from mlflow_ftp.connection import Connection, Server
from mlflow_ftp.errors import Busy, Lost, Refused, Trouble, explain, is_loss
from mlflow_ftp.login import log_in

TRIES = 3  # how often a transfer may break in a row without having come further
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0  # seconds between two attempts to connect

Result = TypeVar("Result")


class Pool:
    """The idle connections of one thread; they are closed when the thread or the process ends."""

    def __init__(self):
        """Begin without connections."""
        self.process, self.idle = os.getpid(), {}
        weakref.finalize(self, close_all, self.idle)

    def take(self, server: Server) -> Connection | None:
        """Return an idle connection, which may be stale, if there is one."""
        if self.process != os.getpid():  # after a fork: the parent goes on talking on them
            close_all(self.idle)
            self.process = os.getpid()
        return self.idle.pop(server, None)

    def put(self, connection: Connection) -> None:
        """Keep a connection for the next operation."""
        self.idle[connection.server] = connection


def close_all(connections: dict[Server, Connection]) -> None:
    """Close connections without a word to their servers."""
    while connections:
        connections.popitem()[1].close()


_of_thread = threading.local()


def pool() -> Pool:
    """Return the pool of this thread."""
    if not hasattr(_of_thread, "pool"):
        _of_thread.pool = Pool()
    return _of_thread.pool


def run(
    server: Server,
    doing: str,
    path: str,
    deed: Callable[[Connection], Result],
    seconds: float,
    reached: Callable[[], int] = lambda: 0,
) -> Result:
    """Return what ``deed`` makes of a connection, after a break with a new one; raises MlflowException.

    A deed has to bear being done again. It may break as often as it likes while ``reached`` grows, and TRIES times
    if not. ``doing`` and ``path`` are for the message.
    """
    try:
        return _persist(server, deed, seconds, reached)
    except (Trouble, Refused, Lost, OSError, EOFError) as error:
        failure = explain(error, server, doing, path, seconds)
    # Out of the except clause: what the failure came from may have seen the password.
    raise failure


def _persist(
    server: Server, deed: Callable[[Connection], Result], seconds: float, reached: Callable[[], int]
) -> Result:
    deadline, best, breaks, pause = None, reached(), 0, FIRST_PAUSE
    while True:
        connection = pool().take(server)
        kept = connection is not None
        try:
            if not kept:
                connection = log_in(server, deadline - time.monotonic() if deadline else seconds)
            connection.wait(seconds)
            connection.heard = False
            result = deed(connection)
        except Refused:
            pool().put(connection)
            raise
        except BaseException as error:
            if connection:
                connection.close()
            # After a break a server that doesn't answer may be starting anew; before, it is simply not there.
            absent = isinstance(error, Trouble) and error.code == TEMPORARILY_UNAVAILABLE
            if not (is_loss(error) or (absent and deadline)):
                raise
            failure = error
        else:
            pool().put(connection)
            return result
        if kept and not connection.heard:  # closed by the server since the last operation: nothing has happened yet
            continue
        now = time.monotonic()
        if reached() > best:
            deadline, best, breaks, pause = now + seconds, reached(), 0, FIRST_PAUSE
        elif connection and not isinstance(failure, Busy):
            breaks += 1
        deadline = deadline or now + seconds
        if breaks == TRIES or now + pause >= deadline:
            raise failure
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)
