"""Which version of a registered model is meant, and whether anybody has approved it."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

import mlflow
from mlflow.exceptions import MlflowException

GONE = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
MAIN = "mlflow run 3_projects/stock --env-manager local"
REGISTER = "mlflow run 3_projects/stock -e register --env-manager local"
APPROVE = "mlflow run 3_projects/registry -e approve --env-manager local"
LEDGER = "mlflow run 3_projects/registry -e ledger --env-manager local"


class Refused(Exception):
    """What a person has to mend; the message names it, what was expected, what was found, and what to do."""


@dataclass(frozen=True)
class Version:
    """A version of a registered model."""

    name: str
    number: str
    run_id: str  # of the run that trained it

    @property
    def title(self) -> str:
        """Return what people call it."""
        return f"{self.name} version {self.number}"

    @property
    def tags(self) -> dict[str, str]:
        """Return what is noted on a run that uses it."""
        return {"model": self.name, "model_version": self.number, "model_run": self.run_id}


def find_version(name: str, version: str) -> Version:
    """Return a version by its alias or its number; raises Refused if there is none."""
    client = mlflow.MlflowClient()
    try:
        if version.isdecimal():
            found = client.get_model_version(name, version)
        else:
            found = client.get_model_version_by_alias(name, version)
    except MlflowException as error:
        if error.error_code not in GONE:
            raise
        what = f"is version {version}" if version.isdecimal() else f"has the alias {version}"
        raise Refused(
            f"no version of {name} {what}. Let the gate look for one with: {REGISTER}, or name one with "
            "-P version=NUMBER"
        ) from None
    return Version(name, str(found.version), found.run_id or "")


def check_approved(version: Version) -> None:
    """Raise Refused unless the ledger of 3_projects/registry says that the version was approved, and it still is.

    An alias alone proves nothing: anybody can move one in the MLflow pages.
    """
    client = mlflow.MlflowClient()
    if rejected := client.get_model_version(version.name, version.number).tags.get("rejected"):
        raise Refused(
            f"expected an approved version, found {version.title} rejected ({rejected}). Name another with -P version="
        )
    tags = client.get_registered_model(version.name).tags
    try:
        entries = [json.loads(text) for key, text in tags.items() if re.fullmatch(r"ledger\.\d+", key)]
        approved = {entry["to"] for entry in entries if entry["action"] in ("approve", "rollback")}
    except (ValueError, KeyError, TypeError):
        raise Refused(f"the ledger of {version.name} can't be read any more; look at it with: {LEDGER}") from None
    if version.number not in approved:
        raise Refused(
            f"expected an approved version, found no approval of {version.title} in the ledger. Approve it with: "
            f"{APPROVE} -P registered_model={version.name} -P version={version.number} -P by=NAME -P reason=WHY"
        )


def fetch(version: Version, folder: Path) -> Path:
    """Return the new folder below ``folder`` into which the version's files were downloaded."""
    path = folder / "model"
    path.mkdir()
    return Path(mlflow.artifacts.download_artifacts(f"models:/{version.name}/{version.number}", dst_path=str(path)))
