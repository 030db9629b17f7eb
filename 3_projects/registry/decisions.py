"""What the commands of the registry share: reading the ledger, and writing a decision that nothing has overtaken."""

import sys
from dataclasses import replace
from math import isfinite

import mlflow
from mlflow.exceptions import MlflowException

from forecasting import ledger
from forecasting.errors import UserError
from forecasting.ledger import Entry, Ledger
from forecasting.production import ALIAS, number


def read_ledger(name: str) -> Ledger:
    """Return the ledger, and tell a person if the alias says something else; standard output is for programs."""
    history = ledger.read(name)
    if history.disagreement:
        print(f"note: {history.disagreement}", file=sys.stderr, flush=True)
    return history


def tags_of(name: str, version: str | None) -> dict[str, str] | None:
    """Return the tags of a version; None if there is no such version."""
    try:
        return mlflow.MlflowClient().get_model_version(name, version).tags if version else None
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        return None


def errors_of(name: str, version: str | None) -> dict[str, float]:
    """Return the mean absolute errors of a version, as validate wrote them: ``mae``, ``mae_solar_GW`` and so on."""
    tags = {key: number(text) for key, text in (tags_of(name, version) or {}).items() if key.startswith("holdout_mae")}
    return {key.removeprefix("holdout_"): tags[key] for key in sorted(tags) if isfinite(tags[key])}  # JSON has no NaN


def sent_away(history: Ledger, version: str, tags: dict[str, str]) -> Entry | None:
    """Return the rejection or rollback that sent a version away; None unless it is later than the gate's verdict.

    ``tags`` are those of the version. A person can have a version judged again that was sent away before.
    """
    decision = history.decision_on(version)
    if decision is None or decision.to_version == version or tags.get("gate.when", "") > decision.when.isoformat():
        return None
    return decision


def new_entry(
    history: Ledger, action: str, start: str | None, end: str | None, by: str | None, reason: str, auto: bool = False
) -> Entry:
    """Return the next entry of the ledger, from a version to another one, with the errors of both."""
    metrics = {"from": errors_of(history.name, start), "to": errors_of(history.name, end)}
    return Entry(action, start, end, by, reason, auto, history.next_time(), metrics)


def new_since(before: Ledger, now: Ledger) -> list[Entry]:
    """Return the entries that others have written since the ledger was read."""
    known = {entry.key for entry in before.entries}
    return [entry for entry in now.entries if entry.key and entry.key not in known]


def check_unmoved(before: Ledger, then: str) -> None:
    """Raise UserError that names who has decided something, or what was moved, since the ledger was read."""
    now = ledger.read(before.name)
    if others := new_since(before, now):
        raise UserError(f"{others[-1].title} came first; {then}")
    for what, was, is_now in (
        ("in production", before.production, now.production),
        ("the candidate", before.candidate, now.candidate),
    ):
        if was != is_now:
            change = f"version {is_now} is {what} now" if is_now else f"version {was} is not {what} any more"
            raise UserError(f"{change}; {then}")


def put_into_production(before: Ledger, entry: Entry) -> None:
    """Write an entry, then move the alias to its ``to_version``, then mark the entry as moved.

    Of several at once the one whose entry is the last wins; raises UserError that names the winner for the others.
    Killed at any moment, the ledger's readers see whether the alias has moved.
    """
    client = mlflow.MlflowClient()
    entry = ledger.write(before.name, entry)
    client.set_registered_model_alias(before.name, ALIAS, entry.to_version)
    now = ledger.read(before.name)
    others = [other for other in new_since(before, now) if other.action != "reject" and other.key != entry.key]
    if others and others[-1].key > entry.key:
        if now.production == entry.to_version:
            client.set_registered_model_alias(before.name, ALIAS, others[-1].to_version)
        raise UserError(f"{others[-1].title} came at the same time, and the later one wins; yours is in the ledger too")
    came_from = others[-1].to_version if others else entry.from_version
    ledger.write(before.name, replace(entry, from_version=came_from, moved=True))
