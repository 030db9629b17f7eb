"""What registered models hold, as the state of a step that changes it: whoever changes it later makes the step run."""

from forecasting import ledger


def in_production(name: str) -> dict[str, str]:
    """Return the version in production, for a step that puts one there or uses it."""
    return {f"the version of {name} in production": ledger.read(name).production or "none"}


def to_use(name: str) -> dict[str, str]:
    """Return what a gate has left, so that it judges again if nothing is left or if its verdict can't be used.

    A version that waits was judged against the production of then. A rollback alone is no reason to judge the same
    challengers again, because that could undo it.
    """
    now = ledger.read(name)
    exists = "there" if now.production or now.candidate else "missing"
    state = {f"a version of {name} in production or waiting": exists}
    if now.candidate:
        state |= {f"{what}, while version {now.candidate} waits,": last for what, last in in_production(name).items()}
    return state
