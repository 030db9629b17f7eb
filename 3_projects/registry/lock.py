"""Let only one command at a time change the aliases and the ledger of a registered model.

MLflow's registry has no compare-and-set. What it does have is a unique name: of all who create the registered model
``NAME.lock`` at the same moment, the database lets one through. It is deleted again after some tenths of a second.

A lock that was left by a killed command has to be broken, and by one command only: another one would break the lock of
the next holder. So whoever breaks the lock with the token T first holds the lock ``NAME.lock.T`` in the same way, and
then looks whether the lock still has the token T.
"""

import contextlib
import os
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import mlflow
from command import Refused
from mlflow.entities.model_registry import RegisteredModel
from mlflow.environment_variables import MLFLOW_HTTP_REQUEST_MAX_RETRIES, MLFLOW_HTTP_REQUEST_TIMEOUT
from mlflow.exceptions import MlflowException

WAIT = 10.0  # seconds for which a command waits for another one; writing takes some tenths of a second
# Seconds after which a lock of another machine counts as left behind; the clocks have to agree better than half of it.
LEASE = 60.0
# A holder writes nothing after half of that time; one request, repeated once, fits into the other half.
TIMEOUTS = {MLFLOW_HTTP_REQUEST_TIMEOUT: 10, MLFLOW_HTTP_REQUEST_MAX_RETRIES: 1}

client = mlflow.MlflowClient()


def is_left_behind(tags: dict[str, str]) -> bool:
    """Return whether nobody holds a lock any more: its process is gone, or it is too old."""
    if "token" not in tags:  # it was freed while the server looked it up
        return False
    if tags["host"] == socket.gethostname() and os.name != "nt":  # on Windows, signal 0 would be Ctrl-C
        try:
            os.kill(int(tags["pid"]), 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            pass  # it runs, for somebody else
    return (datetime.now(UTC) - datetime.fromisoformat(tags["since"])).total_seconds() > LEASE


def find(name: str) -> RegisteredModel | None:
    """Return a registered model, None if there is none of that name."""
    try:
        return client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None


def holder(name: str) -> dict[str, str] | None:
    """Return what the holder of a lock wrote on it, None if nobody holds it."""
    return model.tags if (model := find(name)) else None


def create(name: str, tags: dict[str, str]) -> bool:
    """Return whether this process has got the lock."""
    try:
        client.create_registered_model(name, tags)
    except MlflowException as error:
        # The second code: it was there, and was gone when the server looked what it is.
        if error.error_code not in ("RESOURCE_ALREADY_EXISTS", "RESOURCE_DOES_NOT_EXIST"):
            raise
        # A request that is repeated, since its answer was lost, finds its own lock.
        return (holder(name) or {}).get("token") == tags["token"]
    return True


def delete(name: str, token: str) -> None:
    """Free a lock, unless it has become somebody else's."""
    if (holder(name) or {}).get("token") != token:
        return
    try:
        client.delete_registered_model(name)
    except MlflowException as error:  # a request that is repeated, since its answer was lost, finds nothing
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise


def break_lock(base: str, name: str, token: str, deadline: float) -> None:
    """Free a lock that was left behind, if it still is the one with this token."""
    with held(base, f"{base}.{token}", "break a lock", deadline):
        delete(name, token)


@contextlib.contextmanager
def held(base: str, name: str, purpose: str, deadline: float) -> Iterator[Callable[[], None]]:
    """Hold the lock ``name``; see ``lock``."""
    begun = time.monotonic()
    tags = {"token": uuid.uuid4().hex, "host": socket.gethostname(), "pid": str(os.getpid()), "purpose": purpose}
    while not create(name, tags | {"since": datetime.now(UTC).isoformat()}):
        other = holder(name)
        if other and is_left_behind(other):
            break_lock(base, name, other["token"], deadline)
        elif time.monotonic() > deadline:
            who = f"{other['purpose']}, process {other['pid']} on {other['host']}" if other else "others"
            raise Refused(
                f"another command is writing ({who}); type this one again in a moment. What a killed command holds is "
                f"taken from it after {LEASE:.0f} s."
            )
        else:
            time.sleep(0.05)
        begun = time.monotonic()

    def still_held() -> None:
        if time.monotonic() - begun > LEASE / 2:
            raise Refused("the tracking server is too slow, and another command may go on; type this one again.")

    try:
        yield still_held
    finally:
        delete(name, tags["token"])


@contextlib.contextmanager
def lock(registered_model: str, purpose: str) -> Iterator[Callable[[], None]]:
    """Be the only command that writes to a registered model; raises Refused if others do not stop to.

    Yields a function to be called before each write: it raises Refused once the lock may be taken away.
    """
    base = f"{registered_model}.lock"
    before = {variable: variable.get_raw() for variable in TIMEOUTS}
    for variable, value in TIMEOUTS.items():
        variable.set(value)
    try:
        with held(base, base, purpose, time.monotonic() + WAIT) as still_held:
            yield still_held
    finally:
        for variable, value in before.items():
            variable.unset() if value is None else variable.set(value)


def sweep(registered_model: str) -> None:
    """Remove the locks that killed commands have left behind."""
    base = f"{registered_model}.lock"
    for found in client.search_registered_models(f"name LIKE '{base}%'"):
        if (found.name == base or found.name.startswith(f"{base}.")) and is_left_behind(found.tags):
            break_lock(base, found.name, found.tags["token"], time.monotonic() + WAIT)
