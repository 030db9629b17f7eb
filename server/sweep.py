"""List artifacts that nothing refers to any more, and delete them on request.

    python server/sweep.py             lists them
    python server/sweep.py --delete    lists and deletes them

``mlflow gc`` removes deleted runs and logged models with their files. When it removes a deleted experiment, the files
of the experiment's models and traces stay behind, and MLflow's database no longer knows about them.

A store belongs to one MLflow server. Whatever that server does not know counts as unused, even if another server wrote
it.
"""

import argparse
import ftplib
import os
import re
import sys

# A server that is away is reported at once instead of after minutes.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")

from mlflow import MlflowClient, get_tracking_uri
from mlflow.entities import ViewType
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repo import ArtifactRepository
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.tracking._tracking_service.utils import _get_store
from mlflow.utils import get_results_from_paginated_fn

from forecasting.errors import UserError, explain
from forecasting.tracking import server_address, without_password

# The folders that MLflow makes below its artifact root, and how to look up the owner. No other folder is ever deleted.
KINDS = {
    "experiment": (r"\d+", lambda store, name: store.get_experiment(name)),
    "run": (r"\d+/[0-9a-f]{32}", lambda store, name: store.get_run(name)),
    # A deleted model stays in the database until mlflow gc removes it with its files.
    "logged model": (
        r"\d+/models/m-[0-9a-f]{32}",
        lambda store, name: store.get_logged_model(name, allow_deleted=True),
    ),
    "trace": (r"\d+/traces/tr-[0-9a-f]{32}", lambda store, name: store.get_trace_info(name)),
}
PARENT = re.compile(r"\d+(/models|/traces)?")  # a folder that holds the others
IDENTIFIER = re.compile(r"\b(?:m-|tr-)?[0-9a-f]{32}\b")  # in an address, whatever host, user and root it names


def known(kind: str, path: str) -> bool:
    """Check whether the MLflow server has the owner of a folder, even one that is deleted and can be restored.

    Raises MlflowException if the answer is neither yes nor no.
    """
    try:
        KINDS[kind][1](_get_store(), path.rpartition("/")[2])
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return False
        raise
    return True


def scan(repository: ArtifactRepository) -> tuple[dict[str, str], list[str]]:
    """Return the kind of each folder in an artifact root that MLflow made, by path, and the paths of all else."""
    folders, foreign, waiting = {}, [], repository.list_artifacts(None)
    for entry in waiting:
        kind = next((kind for kind, (pattern, _) in KINDS.items() if re.fullmatch(pattern, entry.path)), None)
        if entry.is_dir and PARENT.fullmatch(entry.path):
            waiting += repository.list_artifacts(entry.path)
        elif not (entry.is_dir and kind):
            foreign.append(entry.path)
        if entry.is_dir and kind:
            folders[entry.path] = kind
    return folders, foreign


def identifiers_in_use(client: MlflowClient, locations: dict[str, str]) -> set[str]:
    """Return the identifiers in the addresses of all registered versions and all experiments."""
    addresses = list(locations.values())
    for version in get_results_from_paginated_fn(
        lambda count, token: client.search_model_versions(max_results=count, page_token=token), 1000
    ):
        # "models:/m-ID" or "runs:/ID/model", and where that is in the store.
        addresses += [version.source, client.get_model_version_download_uri(version.name, version.version)]
    return {identifier for address in addresses for identifier in IDENTIFIER.findall(address or "")}


def file_sizes(repository: ArtifactRepository, path: str) -> list[int]:
    """Return the size of each file below a path, in bytes."""
    return [entry.file_size or 0 for entry in repository._iter_artifacts_recursive(path) if not entry.is_dir]


def sweep(client: MlflowClient, locations: dict[str, str], root: str, delete: bool) -> None:
    """List the unused folders in one artifact root, and delete them if asked to; raises UserError."""
    repository, shown = get_artifact_repository(root), without_password(root)
    folders, foreign = scan(repository)
    # Asked after the scan: whatever was logged in between is in the database by now.
    in_use = identifiers_in_use(client, locations)
    unused, used = {}, []
    for path, kind in sorted(folders.items(), key=lambda folder: folder[0].count("/"), reverse=True):
        if kind == "experiment":  # comes after everything inside
            if not (any(inside.startswith(f"{path}/") for inside in (*used, *foreign)) or known(kind, path)):
                unused[path] = []
        elif path.rpartition("/")[2] in in_use or known(kind, path):
            used.append(path)
        elif any(entry.path != f"{path}/artifacts" for entry in repository.list_artifacts(path)):
            foreign.append(path)
        else:
            unused[path] = file_sizes(repository, path)
    print(f"{shown}: {len(unused)} unused folders, {sum(map(sum, unused.values())) / 1e6:.1f} MB")
    for path, sizes in unused.items():
        print(f"    {path:75} {folders[path]:12} {len(sizes):6} files {sum(sizes) / 1e6:10.1f} MB")
    for path in sorted(foreign):
        print(f"    {path:75} not made by MLflow, left alone")
    if not (unused and delete):
        return
    if not used:
        raise UserError(
            f"Nothing in {shown} belongs to the MLflow server at {server_address()}, so it may be another server's "
            "store; nothing was removed. If none of it is needed, delete the folder that the artifact store serves."
        )
    for path in unused:
        # SQLite gives the number of a removed experiment to the next one, which may have logged by now.
        if folders[path] != "experiment" or not (file_sizes(repository, path) or known("experiment", path)):
            repository.delete_artifacts(path)
    print(f"{shown}: removed")


def main() -> None:
    """Sweep every artifact root of the MLflow server."""
    parser = argparse.ArgumentParser(
        description="List what lies in the artifact store and no run, logged model, trace or registered version refers "
        "to any more. The MLflow server is named by MLFLOW_TRACKING_URI; where it asks for a login, use the "
        "administrator's, who sees everything.",
        epilog="Exit status: 0 if the store was searched (and cleaned, if asked to), 1 if a server did not answer, "
        "refused or may be the wrong one, 2 for a wrong option. Whenever it is not 0, what is not reported as removed "
        "is still there.",
    )
    parser.add_argument("--delete", action="store_true", help="delete what is listed (default: only list it)")
    delete = parser.parse_args().delete
    try:
        if not re.match(r"https?://", get_tracking_uri()):
            raise UserError("MLFLOW_TRACKING_URI has to be the address of the MLflow server, as http://127.0.0.1:5000.")
        client = MlflowClient()
        experiments = get_results_from_paginated_fn(
            lambda count, token: client.search_experiments(ViewType.ALL, max_results=count, page_token=token), 1000
        )
        locations = {each.experiment_id: each.artifact_location.rstrip("/") for each in experiments}
        # An experiment that was given a location of its own is left alone.
        roots = {place.removesuffix(number) for number, place in locations.items() if place.endswith(f"/{number}")}
        for root in sorted(roots):
            sweep(client, locations, root, delete)
    except UserError as error:
        sys.exit(f"sweep: {error}")
    except (MlflowException, *ftplib.all_errors) as error:
        sys.exit(f"sweep: {without_password(explain(error))}")
    if not delete:
        print("Nothing was removed. To remove it, add --delete.")


if __name__ == "__main__":
    main()
