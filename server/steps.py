"""How a step of a chapter says that it is not done yet, and what several chapters look at.

A step is a function in the `checks.py` of its chapter's folder. Its docstring is the line that a learner reads. It
gets an MlflowClient, and returns once it is done: nothing, or a remark. Until then it raises NotYet with one hint, and
the line to type, which has to work as it is. server/check.py prints them all.
"""

import difflib
import functools
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from mlflow import MlflowClient
from mlflow.entities import LoggedModel, Run
from mlflow.entities.model_registry import ModelVersion

from forecasting.errors import UserError

WORKFLOW = "mlflow run 3_projects/workflow --env-manager local --experiment-name wind_solar"


class NotYet(UserError):
    """A step that nobody has done so far."""

    def __init__(self, hint: str, line: str = ""):
        """Say in a sentence what to do; ``line`` is the command or the line of Python for it."""
        super().__init__(hint)
        self.hint, self.line = hint, line


class Wrong(NotYet):
    """A step that somebody has done, but not as it is asked for; the hint says what is different."""


class Skipped(UserError):
    """A step that nobody needs to do here; the message says why, or how to do it all the same."""


def plain(name: str) -> str:
    """Return the name without what is easily mistaken in it: case, dashes, blanks and the like."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def similar(wanted: str, names: Iterable[str], also: Iterable[str] = ()) -> str | None:
    """Return the one of the ``names`` that was probably meant to be the wanted one.

    ``also`` are other names that people give it. What has another number is another thing.
    """
    known = {plain(name): name for name in names}
    same_number = [name for name in known if re.sub(r"\D", "", name) == re.sub(r"\D", "", wanted)]
    if close := difflib.get_close_matches(plain(wanted), same_number, n=1, cutoff=0.8):
        return known[close[0]]
    return next((known[plain(name)] for name in also if plain(name) in known), None)


def kept(experiment_name: str) -> Callable:
    """Let a step stay done whose evidence goes when a program ends: what was seen becomes a tag of the experiment."""

    def decorate(look: Callable) -> Callable:
        @functools.wraps(look)
        def looked(client: MlflowClient) -> str:
            experiment = client.get_experiment_by_name(experiment_name)
            key, tags = f"check.{look.__name__}", experiment.tags if experiment else {}
            try:
                text = look(client)
            except NotYet:
                if key in tags:
                    return tags[key]
                raise
            if experiment and experiment.lifecycle_stage == "active" and key not in tags:
                when = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
                client.set_experiment_tag(experiment.experiment_id, key, f"{text}, seen on {when}")
            return text

        return looked

    return decorate


def recorded(run: Run, kind: str, name: str, line: str = "", also: Iterable[str] = ()) -> str | float:
    """Return the value that a run has as tag, parameter or metric (its ``kind``) of that name.

    Raises NotYet, or Wrong if the run has it as another kind or under another name.
    """
    kinds = {"tag": run.data.tags, "parameter": run.data.params, "metric": run.data.metrics}
    if name in kinds[kind]:
        return kinds[kind][name]
    title = run.info.run_name
    for other in kinds:
        if name in kinds[other]:
            raise Wrong(f"Run `{title}` has `{name}` as a {other}; log it as a {kind}.", line)
    for other in sorted(kinds, key=lambda other: other != kind):  # first where it should be
        if close := similar(name, (entry for entry in kinds[other] if not entry.startswith("mlflow.")), also):
            raise Wrong(f"Run `{title}` has the {other} `{close}`; log a {kind} and name it `{name}`.", line)
    raise NotYet(f"Run `{title}` has no {kind} `{name}`.", line)


def runs_in(client: MlflowClient, name: str) -> list[Run]:
    """Return the runs of an experiment, the newest first, none if it is not there.

    Raises Wrong if the experiment is deleted or has another spelling.
    """
    experiments = {experiment.name: experiment for experiment in client.search_experiments()}
    if name in experiments:
        return client.search_runs([experiments[name].experiment_id], max_results=1000)
    if deleted := client.get_experiment_by_name(name):
        command = f"mlflow experiments restore --experiment-id {deleted.experiment_id}"
        raise Wrong(f"The experiment `{name}` was deleted. Bring it back.", command)
    if close := similar(name, experiments):
        command = f"mlflow experiments rename --experiment-id {experiments[close].experiment_id} --new-name {name}"
        raise Wrong(f"There is an experiment `{close}`; its name should be `{name}`. Rename it.", command)
    return []


def models_of(client: MlflowClient, run: Run) -> list[LoggedModel]:
    """Return the models that a run has logged, the newest first; deleted ones are still among the run's outputs."""
    return client.search_logged_models([run.info.experiment_id], f"source_run_id = '{run.info.run_id}'")


def logged_model(client: MlflowClient, run: Run, name: str, line: str = "") -> LoggedModel:
    """Return the newest model of a run of that name; raises NotYet, or Wrong if it has another name or failed."""
    title, models = run.info.run_name, models_of(client, run)
    ready = [model for model in models if model.status == "READY"]
    if not models:
        raise NotYet(f"Run `{title}` has logged no model.", line)
    if not ready:
        raise Wrong(f"Run `{title}` began to log its model and failed; the notebook shows why. Log it again.", line)
    for model in ready:
        if model.name == name:
            return model
    raise Wrong(f"Run `{title}` has logged its model as `{ready[0].name}`; name it `{name}`.", line)


def version_with_alias(client: MlflowClient, name: str, alias: str, line: str = "") -> ModelVersion:
    """Return the version of a registered model that has the alias.

    Raises NotYet, with ``line`` to type, or Wrong if it has an alias of another spelling.
    """
    models = client.search_registered_models(f"name = '{name}'")
    if not models:
        raise NotYet(f"There is no registered model `{name}`.", line)
    aliases = models[0].aliases
    if alias in aliases:
        return client.get_model_version(name, aliases[alias])
    if close := similar(alias, aliases):
        version = aliases[close]
        give = f'mlflow.MlflowClient().set_registered_model_alias("{name}", "{alias}", {version})'
        raise Wrong(f"Version {version} has the alias `{close}`; its name should be `{alias}`.", give)
    raise NotYet(f"No version of `{name}` has the alias `{alias}`.", line)
