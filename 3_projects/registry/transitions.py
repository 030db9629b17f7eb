"""Move the alias ``production``, and keep a ledger of it that a crash can't turn into a lie.

The ledger is in the registered model's own tags: ``ledger.000001`` and so on, each an entry as JSON. A transition is
written in this order, under the lock: the entry as the tag ``ledger.pending``; the alias; what follows from it; the
entry under its number; and the pending one is deleted. Whatever is killed in between, the alias decides: ``mend``
completes a transition whose alias has moved, and drops one whose alias has not. It may be killed and called again.
"""

import json
import re
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import isfinite

import mlflow
from command import Refused
from lock import find, lock, sweep
from mlflow.exceptions import MlflowException

CANDIDATE, PRODUCTION = "candidate", "production"
PENDING = "ledger.pending"

client = mlflow.MlflowClient()


@dataclass(frozen=True)
class State:
    """What the registry holds about a registered model: versions behind the aliases, and the ledger."""

    candidate: str | None = None
    production: str | None = None
    entries: list[dict] = field(default_factory=list)
    pending: dict | None = None

    @property
    def recorded(self) -> str | None:
        """Return the version that is in production according to the ledger."""
        return next((entry["to"] for entry in reversed(self.entries) if entry["action"] != "reject"), None)

    @property
    def agrees(self) -> bool:
        """Return whether alias and ledger say the same, and nothing is half done."""
        return self.pending is None and self.recorded == self.production

    def reign(self) -> list[str]:
        """Return the versions that a rollback walks back through, the present one last.

        What was rolled back from is not among them.
        """
        versions = []
        for entry in self.entries:
            to = entry["to"]
            if entry["action"] == "rollback" and to in versions:
                del versions[len(versions) - versions[::-1].index(to) :]
            elif entry["action"] != "reject" and to is not None:
                versions.append(to)
        return versions


def read(name: str) -> State:
    """Return the state of a registered model; an empty one if there is none of that name."""
    if (model := find(name)) is None:
        return State()
    found = {}
    for key in sorted(key for key in model.tags if key == PENDING or re.fullmatch(r"ledger\.\d+", key)):
        try:
            found[key] = json.loads(model.tags[key])
        except ValueError:
            raise Refused(f"the tag {key} of {name} is no entry of the ledger any more; mend or delete it") from None
    pending = found.pop(PENDING, None)
    return State(model.aliases.get(CANDIDATE), model.aliases.get(PRODUCTION), list(found.values()), pending)


def version_tags(name: str, version: str | None) -> dict[str, str] | None:
    """Return the tags of a version, None if there is no such version."""
    try:
        return client.get_model_version(name, version).tags if version else None
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        return None


def metrics(name: str, version: str | None) -> dict[str, float]:
    """Return the mean absolute errors of a version, as promote wrote them: ``mae``, ``mae_solar_GW`` and so on."""
    tags = version_tags(name, version) or {}
    found = {key.removeprefix("holdout_"): float(tags[key]) for key in sorted(tags) if key.startswith("holdout_mae")}
    return {key: value for key, value in found.items() if isfinite(value)}  # JSON knows no NaN


def entry(name: str, state: State, action: str, to: str | None, *, by: str | None, reason: str, auto: bool) -> dict:
    """Return the next entry of the ledger. A rejection goes from the rejected version to none."""
    source = state.recorded if action == "outside" else state.production
    if action == "reject":
        source, to = to, None
    return {
        "number": state.entries[-1]["number"] + 1 if state.entries else 1,
        "action": action,
        "from": source,
        "to": to,
        "by": by,
        "reason": reason,
        "auto": auto,
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "metrics": {"from": metrics(name, source), "to": metrics(name, to)},
    }


def write(name: str, number: int, value: dict) -> None:
    """Write an entry under its number. The column of the database takes 5000 characters."""
    client.set_registered_model_tag(name, f"ledger.{number:06d}", json.dumps(value, ensure_ascii=False))


def complete(name: str, state: State, pending: dict) -> None:
    """Do what follows from a transition, and enter it; done twice, it is the same."""
    action = pending["action"]
    moved = pending["from"] if action == "reject" else pending["to"]
    if action in ("approve", "reject") and state.candidate == moved:
        client.delete_registered_model_alias(name, CANDIDATE)
    if action != "reject" and "rejected" in (version_tags(name, moved) or {}):
        client.delete_model_version_tag(name, moved, "rejected")
    # Who is sent away by a person is not offered again by the next promote.
    away = pending["from"] if action in ("reject", "rollback") else None
    if version_tags(name, away) is not None:
        words = f"{action} by {pending['by'] or 'nobody (automatic)'} at {pending['when']}: {pending['reason']}"
        client.set_model_version_tag(name, away, "rejected", words)
    if not any(entry["number"] == pending["number"] for entry in state.entries):
        write(name, pending["number"], pending)
    client.delete_registered_model_tag(name, PENDING)


def transition(name: str, state: State, pending: dict, still_held) -> None:
    """Carry out an entry: move the alias and enter it. The lock has to be held, and the state read under it."""
    still_held()
    client.set_registered_model_tag(name, PENDING, json.dumps(pending, ensure_ascii=False))
    if pending["action"] != "reject":
        still_held()
        client.set_registered_model_alias(name, PRODUCTION, pending["to"])
    still_held()
    complete(name, state, pending)


def say(message: str) -> None:
    """Tell a person; the standard output is for what a program may read."""
    print(f"mended: {message}", file=sys.stderr, flush=True)


def mend_held(name: str) -> State:
    """Make alias and ledger agree, and say what was mended; the lock has to be held. Returns the state after."""
    state = read(name)
    if pending := state.pending:
        title = f"the {pending['action']} of {pending['when']} by {pending['by'] or 'nobody (automatic)'}"
        entered = any(entry["number"] == pending["number"] for entry in state.entries)
        if entered or pending["action"] == "reject" or state.production == pending["to"]:
            complete(name, state, pending)
            say(f"{title} was cut short; it is complete now")
        else:
            client.delete_registered_model_tag(name, PENDING)
            say(f"{title} was cut short before it moved the alias; nothing of it is left")
        state = read(name)
    if state.recorded != state.production:
        reason = "the alias was moved outside these commands"
        found = entry(name, state, "outside", state.production, by=None, reason=reason, auto=False)
        write(name, found["number"], found)
        was, now = (f"version {v}" if v else "nothing" for v in (found["from"], found["to"]))
        say(f"{reason}: {now} is in production, after {was}; the ledger says so now")
        state = read(name)
    return state


def mend(name: str) -> State:
    """Make alias and ledger agree, if they do not; every command begins with it. Returns the state after."""
    sweep(name)
    state = read(name)
    if not state.agrees:
        # What looks half done may be another command at work; under the lock it is not.
        with lock(name, "mend"):
            state = mend_held(name)
    return state


def moved_meanwhile(name: str, before: State, now: State) -> str | None:
    """Return who has moved an alias between two looks, when, and to which version; None if nobody has."""
    if now.production != before.production or now.recorded != before.recorded:
        last = next(entry for entry in reversed(now.entries) if entry["action"] != "reject")
        who = "somebody in the MLflow pages" if last["action"] == "outside" else last["by"] or "an automatic approval"
        put = f"version {last['to']} into production" if last["to"] else "production to nothing"
        return f"{who} has put {put} meanwhile ({last['action']}, {last['when']})"
    if now.candidate == before.candidate:
        return None
    if now.candidate is None:
        last = now.entries[-1] if now.entries else None
        if last and last["action"] == "reject" and last["from"] == before.candidate:
            return f"{last['by']} has rejected version {before.candidate} meanwhile ({last['when']})"
        return f"version {before.candidate} does not wait for approval any more"
    tags = version_tags(name, now.candidate) or {}
    who, when = tags.get("gate.by", "somebody in the MLflow pages"), tags.get("gate.when", "no time is written on it")
    return f"{who} has made version {now.candidate} the candidate meanwhile ({when})"
