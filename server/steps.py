"""How a step of a chapter says that it is not done yet, and what several chapters look at.

A step is a function in the `checks.py` of its chapter's folder. Its docstring is the line that a learner reads. It
gets an MlflowClient, and returns once it is done: nothing, or what was found there. Until then it raises NotYet with
one hint, and the line to write, if there is one. server/check.py prints them all.
"""

import difflib
import re
from collections.abc import Iterable

from mlflow import MlflowClient
from mlflow.entities import Experiment, LoggedModel, Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException


class NotYet(Exception):
    """A step that nobody has done so far."""

    def __init__(self, hint: str, line: str = ""):
        """Say in a sentence what to do; ``line`` is the command or the line of Python for it."""
        super().__init__(hint)
        self.hint, self.line = hint, line


class Wrong(NotYet):
    """A step that somebody has done, but not as it is asked for; the hint says what is different."""


class Skipped(Exception):
    """A step that nobody needs to do here; the message says why, or how to do it all the same."""


def plain(name: str) -> str:
    """Return a name without what is easily mistaken in it: case, dashes, blanks and the like."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def similar(wanted: str, found: Iterable[str], also: Iterable[str] = ()) -> str | None:
    """Return the name among those found that was probably meant to be the wanted one.

    ``also`` are other names that people give it.
    """
    names = {plain(name): name for name in found}
    if close := difflib.get_close_matches(plain(wanted), names, n=1, cutoff=0.8):
        return names[close[0]]
    return next((names[plain(name)] for name in also if plain(name) in names), None)


def within(run: Run, line: str) -> str:
    """Return a line of Python as it has to be written now: a run that has ended is entered again for it."""
    if run.info.status == "RUNNING":
        return line
    return f'with mlflow.start_run(run_id="{run.info.run_id}"):\n    {line}'


def recorded(run: Run, kind: str, name: str, line: str, also: Iterable[str] = ()) -> str | float:
    """Return what a run has as tag, parameter or metric (its ``kind``) of that name.

    Raises NotYet, or Wrong if the run has it as another kind or under another name.
    """
    kinds = {"tag": run.data.tags, "parameter": run.data.params, "metric": run.data.metrics}
    if name in kinds[kind]:
        return kinds[kind][name]
    title, line = run.info.run_name, within(run, line)
    others = {kind: kinds[kind], **kinds}
    for other, entries in others.items():
        if name in entries:
            raise Wrong(f"Run `{title}` has `{name}` as a {other}; log it as a {kind}.", line)
    for other, entries in others.items():
        if found := similar(name, (entry for entry in entries if not entry.startswith("mlflow.")), also):
            raise Wrong(f"Run `{title}` has the {other} `{found}`; log a {kind} and name it `{name}`.", line)
    raise NotYet(f"Run `{title}` has no {kind} `{name}`.", line)


def find_experiment(client: MlflowClient, name: str, line: str) -> Experiment:
    """Return the experiment of that name; raises NotYet, or Wrong if it is deleted or has another spelling."""
    experiment = client.get_experiment_by_name(name)
    if experiment and experiment.lifecycle_stage == "deleted":
        command = f"mlflow experiments restore --experiment-id {experiment.experiment_id}"
        raise Wrong(f"The experiment `{name}` was deleted. Bring it back.", command)
    if experiment:
        return experiment
    if found := similar(name, (other.name for other in client.search_experiments())):
        raise Wrong(f"There is an experiment `{found}`; its name should be `{name}`.", line)
    raise NotYet(f"There is no experiment `{name}`.", line)


def logged_model(client: MlflowClient, run: Run, name: str, line: str) -> LoggedModel:
    """Return the model that a run has logged under that name; raises NotYet, or Wrong if it is under another one."""
    title, line = run.info.run_name, within(run, line)
    models = [client.get_logged_model(output.model_id) for output in run.outputs.model_outputs]
    if not models:
        raise NotYet(f"Run `{title}` has logged no model.", line)
    named = [model for model in models if model.name == name]
    if not named:
        raise Wrong(f"Run `{title}` has logged its model as `{models[0].name}`; name it `{name}`.", line)
    ready = [model for model in named if model.status == "READY"]
    if not ready:
        raise Wrong(f"Run `{title}` began to log its model and failed; the notebook shows why. Log it again.", line)
    return ready[-1]


def registered(client: MlflowClient, run_id: str, name: str, line: str) -> list[ModelVersion]:
    """Return the versions of a registered model that hold a run's model; raises NotYet.

    Wrong says that the run's model is registered under another name, or another run's under this one.
    """
    versions = client.search_model_versions(f"run_id = '{run_id}'")
    if own := [version for version in versions if version.name == name]:
        return own
    if versions:
        raise Wrong(f"The model is registered as `{versions[0].name}`; register it as `{name}`.", line)
    if others := client.search_model_versions(f"name = '{name}'"):
        raise Wrong(f"Version {others[0].version} of `{name}` holds the model of another run; register this one.", line)
    raise NotYet(f"The model is not registered as `{name}`.", line)


def version_with_alias(client: MlflowClient, name: str, alias: str, line: str) -> ModelVersion:
    """Return the version of a registered model that has the alias.

    Raises NotYet, or Wrong if it has an alias of another spelling, or a stage as in older tutorials.
    """
    try:
        model = client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        raise NotYet(f"There is no registered model `{name}`.") from None
    if alias in model.aliases:
        return client.get_model_version(name, model.aliases[alias])
    if found := similar(alias, model.aliases):
        raise Wrong(f"Version {model.aliases[found]} has the alias `{found}`; its name should be `{alias}`.", line)
    for version in client.search_model_versions(f"name = '{name}'"):
        if version.current_stage.lower() == alias:
            raise Wrong(
                f"Version {version.version} has the stage {version.current_stage}, as in older tutorials. MLflow gives "
                "stages up; give it an alias.",
                line,
            )
    raise NotYet(f"No version of `{name}` has the alias `{alias}`.", line)
