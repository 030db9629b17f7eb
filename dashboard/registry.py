"""What the tracking server knows about the registered model: its versions, its ledger, and all runs."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256

import mlflow
from mlflow.entities import Run

from forecasting import ledger
from forecasting.errors import UserError
from forecasting.ledger import Ledger
from forecasting.production import ALIAS, REGISTERED_MODEL, number
from forecasting.tracking import project_of, server_address

MOST_RUNS = 1000  # of which the newest are listed


@dataclass(frozen=True)
class Version:
    """A version of the registered model."""

    number: str
    run_id: str
    created: datetime  # UTC
    project: str  # that trained it
    tags: dict[str, str]
    aliases: tuple[str, ...]

    @property
    def holdout(self) -> dict[str, float]:
        """The errors on the holdout, such as ``mae_solar_GW``, in the target's unit."""
        tags = {key.removeprefix("holdout_"): text for key, text in self.tags.items() if key.startswith("holdout_")}
        # Somebody may have written something else into a tag.
        return {key: value for key, text in tags.items() if math.isfinite(value := number(text))}

    @property
    def url(self) -> str:
        """Where the MLflow pages show it."""
        return f"{server_address()}/#/models/{REGISTERED_MODEL}/versions/{self.number}"


@dataclass(frozen=True)
class Registry:
    """The registered model and the runs, as they were when last read."""

    versions: tuple[Version, ...]  # the newest first
    ledger: Ledger
    notice: str | None  # why the ledger can't be read, or where it and the alias disagree
    runs: tuple[Run, ...]  # the newest first
    experiments: dict[str, str]  # names by id
    more_runs: bool  # whether there are older ones that are not listed
    key: str  # differs from that of every other state

    @property
    def production(self) -> Version | None:
        """The version in production."""
        return self.version(self.ledger.production)

    def version(self, number: str | None) -> Version | None:
        """Return the version of that number."""
        return next((version for version in self.versions if version.number == number), None)


def read_registry(before: Registry | None) -> Registry:
    """Return the state of the registry; the one from before if nothing has changed. Raises MlflowException."""
    client = mlflow.MlflowClient()
    model = client.get_registered_model(REGISTERED_MODEL)
    aliases = {alias: str(number) for alias, number in model.aliases.items()}
    try:
        entered = ledger.from_model(model)
        notice = entered.disagreement
    except UserError as error:
        entered = Ledger(REGISTERED_MODEL, aliases.get(ledger.CANDIDATE), aliases.get(ALIAS))
        notice = str(error)
    versions = tuple(
        Version(
            number=str(about.version),
            run_id=about.run_id,
            created=datetime.fromtimestamp(about.creation_timestamp / 1000, UTC),
            project=project_of(about),
            tags=dict(about.tags),
            aliases=tuple(sorted(alias for alias, number in aliases.items() if number == str(about.version))),
        )
        for about in sorted(client.search_model_versions(f"name = '{REGISTERED_MODEL}'"), key=lambda v: -int(v.version))
    )
    experiments = {experiment.experiment_id: experiment.name for experiment in client.search_experiments()}
    page = client.search_runs(list(experiments), order_by=["attributes.start_time DESC"], max_results=MOST_RUNS)
    state = [versions, entered, notice, experiments, [run.to_dictionary() for run in page]]
    key = sha256(repr(state).encode()).hexdigest()[:16]
    if before and before.key == key:
        return before
    return Registry(versions, entered, notice, tuple(page), experiments, bool(page.token), key)
