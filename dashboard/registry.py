"""What the tracking server knows about the registered model: its versions, its aliases, its ledger, and all runs."""

import contextlib
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from itertools import pairwise

import mlflow
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from report.production import NAME, server_address

LEDGER = r"ledger\.\d+"  # the tags of the registered model that make up the ledger; ledger.pending is none yet
MOST_RUNS = 1000  # of which the newest are listed


@dataclass(frozen=True)
class Version:
    """A version of the registered model."""

    number: str
    run_id: str
    created: datetime
    tags: dict[str, str]
    aliases: tuple[str, ...]

    @property
    def kind(self) -> str:
        """Return which project trained it."""
        return self.tags.get("step", "unknown")

    @property
    def holdout(self) -> dict[str, float]:
        """Return the errors on the holdout, such as ``mae_solar_GW``, in GW."""
        found = {}
        for key, text in self.tags.items():
            with contextlib.suppress(ValueError):  # a tag that somebody has set by hand
                if key.startswith("holdout_"):
                    found[key.removeprefix("holdout_")] = float(text)
        return found


@dataclass(frozen=True)
class Registry:
    """The registered model and the runs, as they were when last read."""

    server: str
    versions: tuple[Version, ...]  # the newest first
    ledger: tuple[dict, ...]  # the oldest first
    runs: tuple[Run, ...]  # the newest first
    experiments: dict[str, str]  # names by id
    more_runs: bool  # whether there are older ones that are not listed
    key: str  # tells this state from every other one

    def with_alias(self, alias: str) -> Version | None:
        """Return the version that has an alias."""
        return next((version for version in self.versions if alias in version.aliases), None)

    def version(self, number: str | None) -> Version | None:
        """Return the version of that number."""
        return next((version for version in self.versions if version.number == number), None)

    def run_url(self, run: Run) -> str:
        """Return where the MLflow pages show a run."""
        return f"{self.server}/#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}"

    def version_url(self, number: str) -> str:
        """Return where the MLflow pages show a version."""
        return f"{self.server}/#/models/{NAME}/versions/{number}"


@dataclass(frozen=True)
class Reign:
    """A time in which one version was in production."""

    version: str
    since: datetime
    until: datetime | None  # None for now
    entry: dict  # of the ledger, that began it


def read_ledger(tags: dict[str, str]) -> tuple[dict, ...]:
    """Return the entries of the ledger, the oldest first; what can't be read as one is left out."""
    entries = []
    for key, text in sorted(tags.items()):
        if not re.fullmatch(LEDGER, key):
            continue
        try:
            entry = json.loads(text)
            datetime.fromisoformat(entry["when"])
            entries.append({"number": 0, "action": "", "from": None, "to": None, "by": None, "reason": ""} | entry)
        except (ValueError, LookupError, TypeError):
            continue
    return tuple(entries)


def reigns(ledger: tuple[dict, ...]) -> list[Reign]:
    """Return which version was in production from when to when, the newest first."""
    moves = [entry for entry in ledger if entry["action"] != "reject"]
    times = [_utc(entry["when"]) for entry in moves]
    found = [
        Reign(entry["to"], since, until, entry)
        for entry, (since, until) in zip(moves, pairwise([*times, None]), strict=True)
        if entry["to"]
    ]
    return found[::-1]


def _utc(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def read_registry(before: Registry | None) -> Registry:
    """Return the state of the registry; the one from before if nothing has changed. Raises MlflowException."""
    client = mlflow.MlflowClient()
    model = client.get_registered_model(NAME)
    aliases = {}
    for alias, number in model.aliases.items():
        aliases.setdefault(str(number), []).append(alias)
    versions = tuple(
        Version(
            number=str(about.version),
            run_id=about.run_id,
            created=datetime.fromtimestamp(about.creation_timestamp / 1000, UTC),
            tags=dict(about.tags),
            aliases=tuple(sorted(aliases.get(str(about.version), []))),
        )
        for about in sorted(client.search_model_versions(f"name = '{NAME}'"), key=lambda v: -int(v.version))
    )
    experiments = {found.experiment_id: found.name for found in client.search_experiments()}
    page = client.search_runs(list(experiments), order_by=["attributes.start_time DESC"], max_results=MOST_RUNS)
    ledger = read_ledger(model.tags)
    facts = [versions, ledger, experiments, [run.to_dictionary() for run in page]]
    key = sha256(repr(facts).encode()).hexdigest()[:16]
    if before and before.key == key:
        return before
    return Registry(server_address(), versions, ledger, tuple(page), experiments, bool(page.token), key)


def read_run(run_id: str) -> Run | None:
    """Return a run, or None if it was deleted for good."""
    try:
        return mlflow.MlflowClient().get_run(run_id)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise
