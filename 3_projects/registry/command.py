"""What every command of this project does around its own work: look at the servers, keep a run, tell errors."""

import contextlib
import sys
from collections.abc import Iterator

import mlflow
from mlflow.exceptions import MlflowException
from mlflow_ftp.preflight import preflight


class Refused(Exception):
    """What a person asked for can't be done; the message says why, and what to type next."""


@contextlib.contextmanager
def command(step: str) -> Iterator[None]:
    """Be in a run of this step; an error of the user or of a server ends the program with one sentence.

    The sentence is also left on the run, as its tag ``error``, for the workflow.
    """
    preflight(step)
    with mlflow.start_run():
        mlflow.set_tag("step", step)
        try:
            yield
        except Refused as error:
            mlflow.set_tag("error", str(error))
            sys.exit(f"{step}: {error}")
        except (MlflowException, OSError) as error:
            sys.exit(f"{step}: {trouble(error)}")


def trouble(error: MlflowException | OSError) -> str:
    """Return a sentence about a server that did not do its part."""
    reason = next(iter((str(error) or type(error).__name__).splitlines()), "").removesuffix(".")
    if getattr(error, "error_code", None) == "INVALID_PARAMETER_VALUE":
        return f"{reason}."
    return (
        f"the tracking server or the artifact store did not do its part: {reason}. Do both servers run? When they "
        "do, type the command again; what was left half done is mended then."
    )


def person(by: str, reason: str, auto: bool = False) -> tuple[str | None, str]:
    """Return who decides and why; raises Refused if a person does not say both, or too much for the ledger."""
    by, reason = " ".join(by.split()), " ".join(reason.split())
    if auto:
        return by or None, reason or "automatic"
    if not by or not reason:
        missing = "your name: by=NAME" if not by else "a reason: reason=TEXT"
        raise Refused(f"expected {missing}; the ledger keeps who decided, and why. Nothing has changed")
    for what, text, longest in (("name", by, 100), ("reason", reason, 1000)):
        if len(text) > longest:
            raise Refused(f"expected a {what} of at most {longest} characters, found {len(text)}")
    return by, reason
