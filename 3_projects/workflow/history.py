"""What the tracking server knows of earlier runs, and what that means for the steps of today; nothing is changed."""

from pathlib import Path

import cache
import mlflow
from cache import Step
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

client = mlflow.MlflowClient()


class History:
    """What the tracking server knows of earlier runs, and what that means for the steps of today."""

    def __init__(self, workflow: Path, steps: dict[str, Step], env_manager: str, forced: set[str]):
        """Look at the steps of the workflow in a folder; those that are forced have to run."""
        self.name, self.projects, self.steps = workflow.name, workflow.parent, steps
        always = {name: step.always for name, step in steps.items() if step.always}
        self.forced = always | dict.fromkeys(forced, "forced")
        self.surroundings = cache.environment(env_manager, workflow.parents[1] / "requirements.txt")
        self.experiments = [experiment.experiment_id for experiment in client.search_experiments()]

    def earlier_runs(self, tags: dict[str, str]) -> list[Run]:
        """Return runs of a step that workflows started, newest first: those with the same key, else the last ones."""
        for condition in (f"tags.`cache.key` = '{tags['cache.key']}'", f"tags.`cache.step` = '{tags['cache.step']}'"):
            if runs := client.search_runs(self.experiments, condition, max_results=50):
                return runs
        return []

    def describe(self, name: str, done: dict[str, Run]) -> dict[str, str]:
        """Return the tags of a step; a step follows what those before it have made."""
        step, inputs = self.steps[name], {}
        for need in step.needs & done.keys():
            result = self.steps[need].result
            inputs[need] = done[need].data.tags[result] if result else done[need].info.run_id
        return cache.describe(f"{self.name}/{name}", step, self.projects / step.project, inputs, self.surroundings)

    def decide(self, name: str, tags: dict[str, str]) -> tuple[Run | None, str]:
        """Return the run that can stand in for a step, or None, and why."""
        if name in self.forced:
            return None, self.forced[name]
        return cache.match(self.earlier_runs(tags), tags, lambda run: self.lost(name, run))

    def lost(self, name: str, run: Run) -> str | None:
        """Return what a run that could stand in has lost since, or None."""
        step = self.steps[name]
        if step.artifacts:
            there = {file.path for file in client.list_artifacts(run.info.run_id)}
            if gone := [artifact for artifact in step.artifacts if artifact not in there]:
                return f"its artifact {', '.join(gone)} is gone"
        try:
            for output in run.outputs.model_outputs if run.outputs else []:
                if not client.list_logged_model_artifacts(output.model_id):
                    return "its model is gone"
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return "its model is gone"
            raise
        return cache.moved(run, step.state()) if step.state else None

    def foresee(self, name: str, done: dict[str, Run]) -> tuple[Run | None, str]:
        """Return what decide() would, when some of the steps before have still to run."""
        tags, step = self.describe(name, done), self.steps[name]
        if not (missing := sorted(step.needs - done.keys())):
            return self.decide(name, tags)
        if name in self.forced:
            return None, self.forced[name]
        finished = [run for run in self.earlier_runs(tags) if run.info.status == "FINISHED"]
        if not finished:
            return self.decide(name, tags)
        # What a step makes anew can turn out to be the same, but its run has another id.
        word = "may" if all(self.steps[need].result for need in missing) else "will"
        verb = "runs" if len(missing) == 1 else "run"
        changes = cache.changes(finished[0], tags, missing)
        return None, "; ".join([*changes, f"its input {word} change: {', '.join(missing)} {verb}"])

    def show(self) -> None:
        """Print for each step whether it would run, and why; change nothing."""
        done = {}
        for name in self.steps:
            run, reason = self.foresee(name, done)
            if run:
                done[name] = run
            print(f"workflow: {name}: would {f'reuse run {run.info.run_id}' if run else 'run'}: {reason}")
        count = len(self.steps) - len(done)
        print(f"workflow: dry run: {count} of {len(self.steps)} steps would run; nothing was started")
