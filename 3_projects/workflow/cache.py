"""What a step is, which earlier run of it can stand in for a new one, and why or why not.

A run says in its tags what it was made of: ``cache.files`` (a digest for each file of its project),
``cache.parameters``, ``cache.input`` and ``cache.environment``, as JSON, and ``cache.key``, a digest of it all. It gets
them before it starts, so that the reason can name what changed since, and which run failed. No server is asked here.
"""

import hashlib
import json
import platform
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mlflow.entities import Run

SAME = "same code, parameters and input"
LONGEST_TAG = 7500  # characters; MLflow takes 8000


@dataclass(frozen=True)
class Step:
    """An entry point of a project, what it is given, what it reads and what it leaves behind."""

    project: str  # a folder beside this one
    entry_point: str = "main"
    parameters: Mapping[str, object] = field(default_factory=dict)  # with others it has to run again
    code: tuple[str, ...] = ()  # the files of the project that it is made of; all of them if none is named
    places: Mapping[str, object] = field(default_factory=dict)  # parameters that say where a file is; they do not count
    files: tuple[Path, ...] = ()  # files that it reads, each of another name; what is in them counts
    runs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # parameters that name the runs of other steps
    after: tuple[str, ...] = ()  # steps that have to be done before, though their runs are not named
    result: str = ""  # tag of its run with a digest of what it made; without one, others follow the run's id
    artifacts: tuple[str, ...] = ()  # what has to be there still, beside the models that it logged
    state: Callable[[], dict[str, str]] | None = None  # what it changes outside its run
    always: str = ""  # why it is never reused, if it is not
    marked: bool = False  # its run gets the tag used_at whenever it is used, for those who want the newest

    @property
    def needs(self) -> set[str]:
        """Return the names of the steps that come before."""
        return {name for names in self.runs.values() for name in names} | set(self.after)


def digest(content: bytes) -> str:
    """Return a digest as hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def digests_of_files(paths: Iterable[Path]) -> dict[str, str]:
    """Return the digest of each file that there is, by its name."""
    digests = {}
    for path in paths:
        try:
            if path.is_file():
                digests[path.name] = digest(path.read_bytes())
        except OSError:
            digests[path.name] = "unreadable"  # the step that reads it says why
    return digests


def digests_of_project(folder: Path, code: tuple[str, ...] = ()) -> dict[str, str]:
    """Return the digest of each file of a project by its path, or of those named in ``code``.

    What Python and notebooks leave beside them does not count.
    """
    paths = {path.relative_to(folder): path for path in folder.rglob("*") if path.is_file()}
    return {
        own.as_posix(): digest(path.read_bytes())
        for own, path in sorted(paths.items())
        if not any(part == "__pycache__" or part.startswith(".") for part in own.parts)
        and (not code or own.as_posix() in code)
    }


def environment(env_manager: str, lock: Path) -> dict[str, str]:
    """Return what a step's environment is made of.

    The local one comes from ``lock``, requirements.txt at the top of the project. Any other one is built from the
    step's own python_env.yaml, which is among its files.
    """
    if env_manager != "local":
        return {"environment manager": env_manager}
    locked = digest(lock.read_bytes())[:12] if lock.is_file() else "none"
    python = ".".join(platform.python_version_tuple()[:2])
    return {"environment manager": "local", "Python": python, "locked requirements": locked}


def shorten(digests: dict[str, str]) -> dict[str, str]:
    """Return the first digits of each digest; files that would be too many for a tag share an entry."""
    room, kept, rest = LONGEST_TAG, {}, {}
    for name, value in sorted(digests.items()):
        room -= len(json.dumps({name: value[:12]}))
        (kept if room > 0 else rest)[name] = value[:12]
    return kept | ({"one of the further files": digest(json.dumps(rest).encode())[:12]} if rest else {})


def plain(value: object) -> str:
    """Return a parameter as text; 365 and 365.0 are the same."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def describe(name: str, step: Step, folder: Path, inputs: dict[str, str], surroundings: dict[str, str]) -> dict:
    """Return the tags of a step: its name, what it is made of, and the key to all of that."""
    parts = {
        "cache.files": digests_of_project(folder, step.code),
        "cache.parameters": {key: plain(value) for key, value in step.parameters.items()}
        | {"entry point": step.entry_point},
        "cache.input": digests_of_files(step.files) | inputs,
        "cache.environment": surroundings,
    }
    tags = {tag: json.dumps(shorten(part) if tag == "cache.files" else part) for tag, part in parts.items()}
    key = digest(json.dumps([name, parts], sort_keys=True).encode())
    return {"cache.step": name, "cache.key": key, **tags}


def different(before: dict, now: dict) -> list[str]:
    """Return the names of what is different, each with a word on what is new or gone."""
    names = {name: name for name in before.keys() & now.keys() if before[name] != now[name]}
    names |= {name: f"{name} (gone)" for name in before.keys() - now.keys()}
    names |= {name: f"{name} (new)" for name in now.keys() - before.keys()}
    return [names[name] for name in sorted(names)]


def changes(run: Run, tags: dict[str, str], unknown: Iterable[str] = ()) -> list[str]:
    """Return what has changed since a run, in words; inputs that are not known yet are left out."""

    def read(tag: str) -> tuple[dict, dict]:
        return json.loads(run.data.tags.get(tag, "{}")), json.loads(tags[tag])

    found = []
    if files := different(*read("cache.files")):
        found.append(f"code changed: {', '.join(files)}")
    for tag in ("cache.parameters", "cache.environment"):
        before, now = read(tag)
        for name in sorted(before.keys() | now.keys()):
            if before.get(name) != now.get(name):
                found.append(f"{name} changed from {before.get(name)} to {now.get(name)}")
    before, now = ({name: part[name] for name in part.keys() - set(unknown)} for part in read("cache.input"))
    if inputs := different(before, now):
        found.append(f"its input changed: {', '.join(inputs)}")
    return found


def moved(run: Run, state: dict[str, str]) -> str | None:
    """Return how the state that a run has left outside of itself differs from that of now, or None."""
    before = json.loads(run.data.tags.get("cache.state", "{}"))
    changed = [
        f"{name} is {now}, and was {before[name]} when it ended" if name in before else f"{name} was not noted"
        for name, now in state.items()
        if before.get(name) != now
    ]
    return "; ".join(changed) or None


def ending(run: Run) -> str:
    """Return how a run that can't stand in has ended."""
    if run.info.status == "FAILED":
        return f"its last run failed (run {run.info.run_id}: {run.data.tags.get('error', 'what it printed says why')})"
    if run.info.status == "KILLED":
        return f"its last run was stopped before its end (run {run.info.run_id})"
    return f"run {run.info.run_id} has begun it and has not ended"


def match(runs: list[Run], tags: dict[str, str], lost: Callable[[Run], str | None]) -> tuple[Run | None, str]:
    """Return the newest run that can stand in, or None, and why.

    ``runs`` are those of one step, newest first, ended well or not. ``lost`` says what a run has lost since.
    """
    same = [run for run in runs if run.data.tags["cache.key"] == tags["cache.key"]]
    losses = []
    for run in same:
        if run.info.status == "FINISHED":
            if (loss := lost(run)) is None:
                return run, SAME
            losses.append(loss)
    if losses or same:
        return None, losses[0] if losses else ending(same[0])
    if finished := [run for run in runs if run.info.status == "FINISHED"]:
        return None, "; ".join(changes(finished[0], tags))
    return None, ending(runs[0]) if runs else "no workflow has run it yet"
