"""The ledger of a registered model: who put which version into production, when and why.

Each entry is a tag of the registered model, under a key of time and a random part, so no two commands write to the same
one. An entry is written first, then the alias ``production`` is moved, then the entry is marked as ``moved``. The alias
decides what is in production; reading the ledger compares the two and says what it sees. Ledgers of the version before,
whose entries are numbered, are read too.
"""

import json
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import zip_longest

import mlflow
from mlflow.entities.model_registry import RegisteredModel
from mlflow.exceptions import MlflowException

from forecasting.errors import UserError
from forecasting.production import ALIAS

CANDIDATE = "candidate"  # the alias of the version that waits for approval
PREFIX, PENDING = "ledger.", "ledger.pending"  # the version before left the latter when it was killed


@dataclass(frozen=True)
class Entry:
    """A decision, or a move of the alias that was noticed later (``outside``, which nobody wrote)."""

    action: str  # approve, reject, rollback or outside
    from_version: str | None  # that was in production, or was rejected
    to_version: str | None  # that is to be in production; None for a rejection
    by: str | None
    reason: str
    auto: bool  # nobody was asked
    when: datetime  # UTC
    metrics: dict[str, dict[str, float]] = field(default_factory=dict)  # "from" and "to": mae, mae_TARGET
    moved: bool = False  # the alias has followed
    key: str = ""  # of the tag; empty for what nobody wrote

    @property
    def title(self) -> str:
        """Who did what, and when."""
        return f"the {self.action} by {self.by or 'nobody (automatic)'} at {self.when:%Y-%m-%d %H:%M:%S} UTC"

    def to_json(self) -> str:
        """Return the entry as it is written; a tag holds 5000 characters."""
        content = {"action": self.action, "from": self.from_version, "to": self.to_version, "by": self.by}
        content |= {"reason": self.reason, "auto": self.auto, "when": self.when.isoformat(), "metrics": self.metrics}
        return json.dumps(content | {"moved": self.moved}, ensure_ascii=False)


@dataclass(frozen=True)
class Tenure:
    """A time in which one version was in production."""

    version: str
    since: datetime  # UTC
    until: datetime | None  # None for now
    entry: Entry  # that began it


@dataclass(frozen=True)
class Ledger:
    """A registered model's entries, the oldest first, and the versions behind its aliases."""

    name: str
    candidate: str | None = None
    production: str | None = None
    entries: tuple[Entry, ...] = ()

    @property
    def moves(self) -> list[Entry]:
        """The entries that changed what is in production."""
        return [entry for entry in self.entries if entry.action != "reject" and entry.moved]

    @property
    def recorded(self) -> str | None:
        """The version that is in production according to the entries."""
        return self.moves[-1].to_version if self.moves else None

    @property
    def disagreement(self) -> str | None:
        """What is to be said if alias and entries differ, in a sentence without a full stop; None if they agree."""
        moves = [entry for entry in self.entries if entry.action != "reject"]
        now = f"version {self.production} is in production" if self.production else "nothing is in production"
        if self.production != self.recorded:
            before = f"version {self.recorded}" if self.recorded else "nothing"
            return f"the alias production of {self.name} was moved by hand: {now}, and the ledger says {before}"
        if moves and not moves[-1].moved:
            return (
                f"{moves[-1].title} was cut short before it moved the alias to version {moves[-1].to_version}, or it "
                f"is at work right now: {now}"
            )
        return None

    def tenures(self) -> list[Tenure]:
        """Return which version was in production from when to when, the oldest first, according to the entries."""
        return [
            Tenure(entry.to_version, entry.when, following.when if following else None, entry)
            for entry, following in zip_longest(self.moves, self.moves[1:])
            if entry.to_version
        ]

    def versions_to_go_back_to(self) -> list[str]:
        """Return the versions that rollbacks walk back through, the next one last.

        What was rolled back from is not among them, nor is the version in production.
        """
        versions: list[str] = []
        for action, to in [(entry.action, entry.to_version) for entry in self.moves] + [("now", self.production)]:
            if to is None:
                continue
            if action == "rollback" and to in versions:
                del versions[len(versions) - versions[::-1].index(to) :]
            elif versions[-1:] != [to]:
                versions.append(to)
        return versions[:-1] if self.production else versions

    def decision_on(self, version: str) -> Entry | None:
        """Return the last entry that brought a version into production or sent it away; None if there is none.

        It was sent away if the entry's ``to_version`` is another one: by a rejection, or by a rollback from it.
        """
        for entry in reversed(self.entries):
            sent_away = entry.action in ("reject", "rollback") and entry.from_version == version
            brought_in = entry.action in ("approve", "rollback") and entry.to_version == version
            if (entry.moved or entry.action == "reject") and (sent_away or brought_in):
                return entry
        return None

    def next_time(self) -> datetime:
        """Return the time for a new entry: now, but after the last one, whose machine's clock may be ahead."""
        now = datetime.now(UTC)
        return max(now, self.entries[-1].when + timedelta(microseconds=1)) if self.entries else now


def read(name: str) -> Ledger:
    """Return the ledger of a registered model, an empty one if there is no such model.

    Raises UserError if somebody has written something else into an entry.
    """
    try:
        return from_model(mlflow.MlflowClient().get_registered_model(name))
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return Ledger(name)


def from_model(model: RegisteredModel) -> Ledger:
    """Return the ledger of a registered model that was fetched already; raises UserError as ``read`` does."""
    entries = {}
    for key in sorted(key for key in model.tags if key.startswith(PREFIX)):
        try:
            place, entry = _parse(key, model.tags[key])
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise UserError(
                f"the tag {key} of {model.name} is not an entry of the ledger ({error}); correct or delete it in the "
                "MLflow pages"
            ) from None
        entries.setdefault(place, entry)  # the pending one comes last, and may have been entered already
    aliases = {alias: str(version) for alias, version in model.aliases.items()}
    production, candidate = aliases.get(ALIAS), aliases.get(CANDIDATE)
    settled = _settle([entries[place] for place in sorted(entries)], production)
    # An approval that was cut short after it had moved the alias leaves the other alias behind.
    return Ledger(model.name, None if candidate == production else candidate, production, tuple(settled))


def write(name: str, entry: Entry) -> Entry:
    """Write an entry, under a new key if it has none, and return it with its key."""
    key = entry.key or f"{PREFIX}{entry.when:%Y%m%dT%H%M%S%f}-{secrets.token_hex(3)}"
    mlflow.MlflowClient().set_registered_model_tag(name, key, entry.to_json())
    return replace(entry, key=key)


def _parse(key: str, text: str) -> tuple[str, Entry]:
    """Return an entry and its place among the others."""
    content = json.loads(text)
    entry = Entry(
        action=content["action"],
        from_version=content.get("from"),
        to_version=content["to"],
        by=content.get("by"),
        reason=content.get("reason", ""),
        auto=bool(content.get("auto")),
        when=datetime.fromisoformat(content["when"]).astimezone(UTC),
        metrics=content.get("metrics") or {},
        moved=content.get("moved", key != PENDING),
        key=key,
    )
    return (f"{PREFIX}{content['number']:06d}" if key == PENDING else key), entry


def _settle(entries: Iterable[Entry], production: str | None) -> list[Entry]:
    """Return the entries with what they say of each other.

    A move that wasn't marked as such has taken place if the next entry, or the alias now, began where it ended. Where
    the next entry began elsewhere, somebody has moved the alias outside these commands.
    """
    following, checked = production, []
    for entry in reversed(list(entries)):
        if entry.action != "reject":
            entry = replace(entry, moved=entry.moved or entry.to_version == following)
            following = entry.from_version
        checked.append(entry)
    settled, recorded, metrics = [], None, {}
    for entry in reversed(checked):
        if entry.action != "reject":
            if entry.from_version != recorded:
                sides = {"from": metrics, "to": entry.metrics.get("from", {})}
                reason = "the alias was moved outside these commands, at some time before"
                settled.append(
                    Entry("outside", recorded, entry.from_version, None, reason, False, entry.when, sides, moved=True)
                )
                recorded, metrics = entry.from_version, entry.metrics.get("from", {})
            if entry.moved:
                recorded, metrics = entry.to_version, entry.metrics.get("to", {})
        settled.append(entry)
    return settled
