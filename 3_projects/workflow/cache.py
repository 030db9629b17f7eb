"""What a step is, which earlier run of it can be reused, and why or why not.

A run says in its tags what it was made of: ``cache.files`` (a digest for each file of its project),
``cache.parameters``, ``cache.input`` and ``cache.environment``, as JSON, and ``cache.key``, a digest of it all. It gets
them before it starts, so that the reason can name what changed since, and which run failed. No server is asked here.
"""

import contextlib
import hashlib
import json
import platform
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from modulefinder import ModuleFinder
from pathlib import Path

from mlflow.entities import Run

import forecasting

SHARED = Path(forecasting.__file__).parent
ALWAYS = ("MLproject", "python_env.yaml")  # files of a project that every step of it is made of
SAME = "same code, parameters and input"


@dataclass(frozen=True)
class Step:
    """An entry point of a project, what it is given, what it reads and what it leaves behind."""

    project: str  # a folder beside this one
    entry_point: str = "main"
    parameters: Mapping[str, object] = field(default_factory=dict)  # with others it has to run again
    code: tuple[str, ...] = ()  # files of the project that it is made of, beside what they import; by default all
    places: Mapping[str, object] = field(default_factory=dict)  # parameters that name a file, and don't count
    files: tuple[Path, ...] = ()  # files outside the project whose content counts, each of another name
    runs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # parameters that name the runs of other steps
    after: tuple[str, ...] = ()  # further steps that have to be done before
    result: str = ""  # tag of its run with a digest of what it made; the run gets the tag used_at whenever it is used
    artifact: str = ""  # what must still exist, beside the models that it logged
    state: Callable[[], dict[str, str]] | None = None  # what it changes outside its run
    always: str = ""  # why it is never reused, if so

    @property
    def needs(self) -> set[str]:
        """The names of the steps that come before."""
        return {name for names in self.runs.values() for name in names} | set(self.after)


def digest(content: bytes) -> str:
    """Return a digest as hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def digests_of_files(paths: Iterable[Path]) -> dict[str, str]:
    """Return the digest of each file that exists, by its name."""
    digests = {}
    for path in filter(Path.is_file, paths):
        try:
            digests[path.name] = digest(path.read_bytes())
        except OSError:
            digests[path.name] = "unreadable"  # the step fails with a message of its own
    return digests


def imported(paths: Iterable[Path]) -> set[Path]:
    """Return Python files with all that they import from their own folders and from the package forecasting."""
    complete = set()
    for path in paths:
        if path.suffix == ".py":
            finder = ModuleFinder([str(path.parent), str(SHARED.parent)])
            with contextlib.suppress(SyntaxError):  # the step fails with a message of its own
                finder.load_file(str(path))
            complete |= {path, *(Path(module.__file__) for module in finder.modules.values() if module.__file__)}
    return complete


def digests_of_code(folder: Path, step: Step) -> dict[str, str]:
    """Return the digest of each file that a step is made of: by its path in the project, or in forecasting.

    What Python and notebooks leave in the folder doesn't count, nor does what the projects write into ``output``.
    """
    own = {path for path in folder.rglob("*") if path.is_file()}
    own -= {path for path in own if any(re.match(r"\.|__|output$", part) for part in path.relative_to(folder).parts)}
    if step.code:
        chosen = own & {folder / name for name in (*ALWAYS, *step.code)}
        own &= chosen | imported(chosen)
    shared = {path for path in imported({*own, *step.files}) if path.is_relative_to(SHARED)}
    names = {path: path.relative_to(folder) for path in own} | {
        path: path.relative_to(SHARED.parent) for path in shared
    }
    return {name.as_posix(): digest(path.read_bytes())[:12] for path, name in sorted(names.items())}


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


def describe(name: str, step: Step, folder: Path, inputs: dict[str, str], surroundings: dict[str, str]) -> dict:
    """Return the tags of a step: its name, what it is made of, and the key, a digest of all that."""
    parts = {
        "cache.files": digests_of_code(folder, step),
        "cache.parameters": {key: str(value) for key, value in step.parameters.items()}
        | {"entry point": step.entry_point},
        "cache.input": digests_of_files(step.files) | inputs,
        "cache.environment": surroundings,
    }
    key = digest(json.dumps([name, parts], sort_keys=True).encode())
    return {"cache.step": name, "cache.key": key} | {tag: json.dumps(part) for tag, part in parts.items()}


def different(before: dict, now: dict) -> list[str]:
    """Return the names of what differs, marked where it is new or gone."""
    names = {name: name for name in before.keys() & now.keys() if before[name] != now[name]}
    names |= {name: f"{name} (gone)" for name in before.keys() - now.keys()}
    names |= {name: f"{name} (new)" for name in now.keys() - before.keys()}
    return [names[name] for name in sorted(names)]


def read_tag(run: Run, tag: str) -> dict:
    """Return the content of a run's tag; nothing if it was deleted, overwritten or, because it was long, cut off."""
    try:
        return dict(json.loads(run.data.tags[tag]))
    except (LookupError, TypeError, ValueError):
        return {}


def changes(run: Run, tags: dict[str, str], missing: Collection[str] = ()) -> list[str]:
    """Return the changes since a run, in words; ``missing`` are steps whose results will be its input."""
    before = {tag: read_tag(run, tag) for tag in tags if tags[tag].startswith("{")}
    now = {tag: json.loads(tags[tag]) for tag in before}
    reasons = []
    if files := different(before["cache.files"], now["cache.files"]):
        reasons.append(f"code changed: {', '.join(files)}")
    for tag in ("cache.parameters", "cache.environment"):
        for name in sorted(before[tag].keys() | now[tag].keys()):
            if before[tag].get(name) != now[tag].get(name):
                reasons.append(f"{name} changed from {before[tag].get(name)} to {now[tag].get(name)}")
    known = {name: made for name, made in before["cache.input"].items() if name not in missing}
    if inputs := different(known, now["cache.input"]):
        reasons.append(f"its input changed: {', '.join(inputs)}")
    if missing:
        reasons.append(f"its input may change: {', '.join(missing)} would run")
    return reasons


def moved(run: Run, state: dict[str, str]) -> str | None:
    """Return how the state that a step left outside its run has changed since, or None."""
    before = read_tag(run, "cache.state")
    changed = [
        f"{name} is {now}, and was {before[name]} when it ended" if name in before else f"{name} was not recorded"
        for name, now in state.items()
        if before.get(name) != now
    ]
    return "; ".join(changed) or None


def ending(run: Run) -> str:
    """Return how a run that can't be reused has ended."""
    if run.info.status == "FAILED":
        return f"its last run failed (run {run.info.run_id}: {run.data.tags.get('error', 'what it printed says why')})"
    if run.info.status == "KILLED":
        return f"its last run was stopped before its end (run {run.info.run_id})"
    return f"run {run.info.run_id} has started and has not ended"


def match(
    runs: list[Run], tags: dict[str, str], lost: Callable[[Run], str | None], missing: Collection[str] = ()
) -> tuple[Run | None, str]:
    """Return the newest run that can be reused, or None, and why.

    ``runs`` are those of one step, newest first, whatever their status. ``lost`` tells what a run has lost since. In a
    dry run, ``missing`` are the steps before it that would run.
    """
    same = [run for run in runs if run.data.tags.get("cache.key") == tags["cache.key"]]
    losses = []
    for run in same:
        if run.info.status == "FINISHED":
            if (loss := lost(run)) is None:
                return run, SAME
            losses.append(loss)
    if losses or same:
        return None, losses[0] if losses else ending(same[0])
    if finished := [run for run in runs if run.info.status == "FINISHED"]:
        return None, "; ".join(changes(finished[0], tags, missing))
    return None, ending(runs[0]) if runs else "no workflow has run it yet"
