"""Find what lies in the artifact store and nothing refers to any more, and remove it when told to.

    python server/sweep.py             shows it
    python server/sweep.py --delete    shows it and removes it

``mlflow gc`` removes deleted runs and logged models with their files. When it removes a deleted experiment, the files
of the experiment's models and traces stay behind, and nothing in MLflow's database knows of them any more.

A store belongs to one MLflow server. What the server does not know is a leftover here, even if another server wrote it.
"""

import argparse
import ftplib
import os
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

# A server that is not there is said so at once instead of after minutes.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")

from mlflow import MlflowClient, get_tracking_uri
from mlflow.entities import ViewType
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repo import ArtifactRepository
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.tracking._tracking_service.utils import _get_store

# Where MLflow puts what, below its artifact root. Only folders that look like this are ever removed.
EXPERIMENT = re.compile(r"\d+")
KINDS = {
    "run": re.compile(r"\d+/([0-9a-f]{32})"),
    "logged model": re.compile(r"\d+/models/(m-[0-9a-f]{32})"),
    "trace": re.compile(r"\d+/traces/(tr-[0-9a-f]{32})"),
}
# The identifiers in an address, whatever host, user and root it names.
IDENTIFIER = re.compile(r"\b(?:m-|tr-)?[0-9a-f]{32}\b")


@dataclass
class Folder:
    """A folder in the store: where, of what kind, with which identifier, and what is in it."""

    path: str
    kind: str
    identifier: str
    files: int = 0
    size: int = 0

    def __str__(self) -> str:
        """Return the line that is shown."""
        return f"    {self.path:75} {self.kind:12} {self.files:6} files {self.size / 1e6:10.1f} MB"


class SweepError(Exception):
    """Why nothing more is removed; one sentence for a person."""


def public(text: object) -> str:
    """Return a text without user and password in the addresses in it."""
    return re.sub(r"//[^/\s]*@", "//", str(text))


def place(address: str) -> tuple:
    """Return what is the same for all spellings of an artifact root."""
    parts = urlsplit(address)
    host = "127.0.0.1" if parts.hostname == "localhost" else parts.hostname
    if parts.scheme in ("ftp", "ftps"):
        return "ftp", host, parts.port or 21, parts.path.strip("/")
    return parts.scheme, host, parts.port, parts.path.strip("/")


def pages(search: Callable, **arguments) -> Iterator:
    """Yield what an MLflow search finds, page after page."""
    token = None
    while True:
        page = search(**arguments, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def artifact_roots(locations: dict[str, str]) -> dict[tuple, str]:
    """Return the roots in which experiments, given as identifier and location, have the folders that MLflow gave them.

    The place of an experiment that was given a location of its own is left alone.
    """
    roots = {}
    for identifier, location in locations.items():
        root, _, folder = location.rstrip("/").rpartition("/")
        if folder == identifier:
            roots.setdefault(place(root), f"{root}/")
    return roots


def look(repository: ArtifactRepository) -> tuple[list[Folder], list[str]]:
    """Return the folders in an artifact root that MLflow made, and the paths of all else."""
    folders, unknown = [], []
    for experiment in repository.list_artifacts(None):
        if not (experiment.is_dir and EXPERIMENT.fullmatch(experiment.path)):
            unknown.append(experiment.path)
            continue
        folders.append(Folder(experiment.path, "experiment", experiment.path))
        entries = []
        for entry in repository.list_artifacts(experiment.path):
            shared = entry.is_dir and entry.path.rpartition("/")[2] in ("models", "traces")
            entries += repository.list_artifacts(entry.path) if shared else [entry]
        for entry in entries:
            found = [(kind, match) for kind, regex in KINDS.items() if (match := regex.fullmatch(entry.path))]
            if entry.is_dir and found:
                folders.append(Folder(entry.path, found[0][0], found[0][1][1]))
            else:
                unknown.append(entry.path)
    return folders, unknown


def kept_for_models(client: MlflowClient) -> set[str]:
    """Return the identifiers in the addresses of all registered versions."""
    kept = set()
    for version in pages(client.search_model_versions):
        # "models:/m-ID" or "runs:/ID/model", and where that is in the store.
        for address in (version.source, client.get_model_version_download_uri(version.name, version.version)):
            kept.update(IDENTIFIER.findall(address or ""))
    return kept


def known(folder: Folder) -> bool:
    """Return whether the MLflow server has the folder's owner, even as a deleted one that can be restored.

    Raises MlflowException if the answer is neither yes nor no.
    """
    store = _get_store()
    ask = {
        "experiment": store.get_experiment,
        "run": store.get_run,
        # A deleted model stays in the database until mlflow gc removes it with its files.
        "logged model": lambda identifier: store.get_logged_model(identifier, allow_deleted=True),
        "trace": store.get_trace_info,
    }
    try:
        ask[folder.kind](folder.identifier)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return False
        raise
    return True


def measure(repository: ArtifactRepository, folder: Folder, path: str) -> None:
    """Count the files below a path into the folder."""
    for entry in repository.list_artifacts(path):
        if entry.is_dir:
            measure(repository, folder, entry.path)
        else:
            folder.files += 1
            folder.size += entry.file_size or 0


def leftovers(
    client: MlflowClient, locations: dict[str, str], repository: ArtifactRepository
) -> tuple[list[Folder], list[str], bool]:
    """Return the folders that nothing refers to, the paths that MLflow did not make, and whether any folder is in use.

    Folders come before the one of their experiment, which is a leftover only if nothing else is in it.
    """
    # The store is looked at before the database is asked: what comes in between is in the database when it is asked.
    folders, unknown = look(repository)
    kept = kept_for_models(client)
    kept.update(*(IDENTIFIER.findall(location) for location in locations.values()))
    experiments, owned, lost = [], [], []
    for folder in folders:
        if folder.kind == "experiment":
            experiments.append(folder)
        elif folder.identifier in kept or known(folder):
            owned.append(folder.path)
        elif any(entry.path != f"{folder.path}/artifacts" for entry in repository.list_artifacts(folder.path)):
            unknown.append(folder.path)
        else:
            measure(repository, folder, folder.path)
            lost.append(folder)
    for folder in experiments:
        rest = [path for path in (*owned, *unknown) if path.startswith(f"{folder.path}/")]
        if not rest and not known(folder):
            lost.append(folder)
    return lost, unknown, bool(owned)


def sweep(client: MlflowClient, locations: dict[str, str], root: str, delete: bool) -> None:
    """Show what is left over in one artifact root, and remove it if ``delete``; raises SweepError."""
    repository = get_artifact_repository(root)
    lost, unknown, in_use = leftovers(client, locations, repository)
    print(f"{public(root)}: {len(lost)} leftovers, {sum(folder.size for folder in lost) / 1e6:.1f} MB")
    for line in lost:
        print(line)
    for path in sorted(unknown):
        print(f"    {path:75} not known, left alone")
    if not (lost and delete):
        return
    if not in_use:
        raise SweepError(
            f"Nothing that lies in {public(root)} belongs to the MLflow server at {public(get_tracking_uri())}, so it "
            "may be another server's store; nothing was removed. If it is all rubbish, delete the folder that the "
            "artifact store serves."
        )
    for folder in lost:
        if folder.kind == "experiment":
            left = Folder(folder.path, folder.kind, folder.identifier)
            measure(repository, left, folder.path)
            # SQLite gives the number of a removed experiment to the next one.
            if left.files or known(folder):
                continue
        repository.delete_artifacts(folder.path)
    print(f"{public(root)}: removed")


def parse() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(
        description="Show what lies in the artifact store and no run, logged model, trace or registered version refers "
        "to any more. The MLflow server is named by MLFLOW_TRACKING_URI; where it asks for a login, take the "
        "administrator's, who sees everything.",
        epilog="Exit status: 0 if the store was looked at (and cleaned, if asked to), 1 if a server did not answer, "
        "refused or may be the wrong one, 2 for a wrong option. Whenever it is not 0, what is not shown as removed is "
        "still there.",
    )
    parser.add_argument("--delete", action="store_true", help="remove what is shown (default: only show it)")
    parser.add_argument("--root", metavar="ADDRESS", help="only this artifact root (default: those of all experiments)")
    return parser.parse_args()


def main() -> None:
    """Sweep every artifact root of the MLflow server."""
    options = parse()
    try:
        if not re.match(r"https?://", get_tracking_uri()):
            raise SweepError(
                "MLFLOW_TRACKING_URI has to be the address of the MLflow server, as http://127.0.0.1:5000."
            )
        client = MlflowClient()
        experiments = pages(client.search_experiments, view_type=ViewType.ALL)
        locations = {experiment.experiment_id: experiment.artifact_location for experiment in experiments}
        roots = artifact_roots(locations)
        if options.root:
            if place(options.root) not in roots:
                raise SweepError(
                    f"No experiment of the MLflow server at {public(get_tracking_uri())} has its artifacts in "
                    f"{public(options.root)}, expected one of: {', '.join(map(public, roots.values())) or 'none'}."
                )
            roots = {place(options.root): options.root}
        for root in roots.values():
            sweep(client, locations, root, options.delete)
    except (SweepError, MlflowException, *ftplib.all_errors) as error:
        sys.exit(f"sweep: {public(error)}")
    if not options.delete:
        print("Nothing was removed; with --delete it is.")


if __name__ == "__main__":
    main()
