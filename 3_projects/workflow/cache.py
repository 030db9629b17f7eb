"""Which earlier run of a step can stand in for a new one, and why or why not.

A run is described by three tags: ``cache.code`` (digest of the files of its project), ``cache.parameters`` (as JSON)
and ``cache.input`` (digest of what it read). They are set when the step has succeeded, so a failed run never matches.
"""

import hashlib
import json
from pathlib import Path

from mlflow.entities import Run

REASONS = {"cache.code": "its code changed", "cache.input": "its input changed"}


def digest_of_files(paths: list[Path]) -> str:
    """Return a digest of the names and the contents of files."""
    digest = hashlib.sha256()
    for path in sorted(paths):
        content = path.read_bytes()
        digest.update(f"{path.name} {len(content)} ".encode() + content)
    return digest.hexdigest()


def digest_of_project(folder: Path) -> str:
    """Return a digest of a project's files, without what Python and notebooks leave beside them."""
    files = [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    return digest_of_files([path for path in files if not path.name.startswith(".")])


def describe(folder: Path, parameters: dict, digest_of_input: str) -> dict[str, str]:
    """Return the three tags of a step."""
    return {
        "cache.code": digest_of_project(folder),
        "cache.parameters": json.dumps(parameters, sort_keys=True),
        "cache.input": digest_of_input,
    }


def difference(run: Run, description: dict[str, str]) -> str | None:
    """Return what has changed since a run, or None if it can stand in."""
    changes = [reason for tag, reason in REASONS.items() if run.data.tags.get(tag) != description[tag]]
    before = json.loads(run.data.tags["cache.parameters"])
    now = json.loads(description["cache.parameters"])
    for name in sorted(before.keys() | now.keys()):
        if before.get(name) != now.get(name):
            changes.append(f"{name} changed from {before.get(name)} to {now.get(name)}")
    return "; ".join(changes) or None


def match(runs: list[Run], description: dict[str, str]) -> tuple[Run | None, str]:
    """Return the newest run that can stand in, or None, and why. ``runs`` are those of one step, newest first."""
    if not runs:
        return None, "no workflow has run it yet"
    for run in runs:
        if difference(run, description) is None:
            return run, "same code, parameters and input"
    return None, difference(runs[0], description)
