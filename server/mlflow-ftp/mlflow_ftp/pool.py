"""Connections that stay open between operations, and the patience with those that break."""

import atexit
import os
import time
from collections.abc import Callable
from typing import TypeVar

from mlflow.protos.databricks_pb2 import TEMPORARILY_UNAVAILABLE

from mlflow_ftp.connection import Connection, Server, log_in
from mlflow_ftp.errors import Trouble, is_loss, is_refusal

MOST = 4  # connections to a server that stay open
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0  # seconds between two attempts to connect

Result = TypeVar("Result")

_idle: dict[Server, list[Connection]] = {}


def take(server: Server) -> Connection | None:
    """Return an open connection, which may be stale, if there is one."""
    try:
        return _idle[server].pop()
    except (KeyError, IndexError):
        return None


def keep(connection: Connection) -> None:
    """Keep a connection for the next operation."""
    idle = _idle.setdefault(connection.server, [])
    if len(idle) < MOST:
        idle.append(connection)
    else:
        connection.close()


def close_surplus() -> None:
    """Close all idle connections but one to each server."""
    for server, idle in list(_idle.items()):
        while len(idle) > 1 and (connection := take(server)):
            connection.close()


def close_all() -> None:
    """Close the connections that nobody uses, without a word to their servers."""
    while _idle:
        for connection in _idle.popitem()[1]:
            connection.close()


atexit.register(close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=close_all)  # the parent goes on using them


def run(
    server: Server, deed: Callable[[Connection], Result], seconds: float, reached: Callable[[], int] = lambda: 0
) -> Result:
    """Return what ``deed`` makes of a connection, after a break with a new one; raises what ended the last attempt.

    A deed has to bear being done again. It may break as often as it likes while ``reached`` grows at least every so
    many ``seconds``.
    """
    deadline, best, pause = None, reached(), FIRST_PAUSE
    while True:
        connection = take(server)
        kept = connection is not None
        try:
            if not kept:
                connection = log_in(server, max(deadline - time.monotonic(), 0.001) if deadline else seconds)
            connection.wait(seconds)
            connection.heard = False
            result = deed(connection)
        except BaseException as error:
            if connection and is_refusal(error):
                keep(connection)
                raise
            if connection:
                connection.close()
            # After a break a server that doesn't answer may be starting anew; before, it is simply not there.
            absent = isinstance(error, Trouble) and error.code == TEMPORARILY_UNAVAILABLE
            if not (is_loss(error) or (absent and deadline)):
                raise
            failure = error
        else:
            keep(connection)
            return result
        if kept and not connection.heard:  # closed by the server since the last operation: nothing has happened yet
            continue
        now = time.monotonic()
        if deadline is None or reached() > best:
            deadline, best, pause = now + seconds, reached(), FIRST_PAUSE
        if now + pause >= deadline:
            raise failure
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)
