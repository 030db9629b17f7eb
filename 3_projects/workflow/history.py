"""What the tracking server knows of earlier runs, and what that means for the steps now; nothing is changed."""

from collections.abc import Collection
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
        """Take the steps of the workflow in a folder; those in ``forced`` have to run."""
        self.name, self.projects, self.steps = workflow.name, workflow.parent, steps
        always = {name: step.always for name, step in steps.items() if step.always}
        self.forced = always | dict.fromkeys(forced, "forced")
        self.surroundings = cache.environment(env_manager, workflow.parents[1] / "requirements.txt")

    def earlier_runs(self, tags: dict[str, str]) -> list[Run]:
        """Find runs of a step that workflows started in this experiment, newest first: of the same key, else any."""
        for condition in (f"tags.`cache.key` = '{tags['cache.key']}'", f"tags.`cache.step` = '{tags['cache.step']}'"):
            if runs := mlflow.search_runs(filter_string=condition, max_results=50, output_format="list"):
                return runs
        return []

    def describe(self, name: str, done: dict[str, Run]) -> dict[str, str]:
        """Return the tags of a step, whose inputs are what the steps before it have made."""
        step, inputs = self.steps[name], {}
        for need in step.needs & done.keys():
            result = self.steps[need].result
            inputs[need] = done[need].data.tags[result] if result else done[need].info.run_id
        return cache.describe(f"{self.name}/{name}", step, self.projects / step.project, inputs, self.surroundings)

    def decide(self, name: str, tags: dict[str, str], missing: Collection[str] = ()) -> tuple[Run | None, str]:
        """Return the run that can be reused for a step, or None, and why; ``missing`` are as in cache.match."""
        if name in self.forced:
            return None, self.forced[name]
        return cache.match(self.earlier_runs(tags), tags, lambda run: self.lost(name, run), missing)

    def lost(self, name: str, run: Run) -> str | None:
        """Return what a run of a step has lost since, or None."""
        step = self.steps[name]
        if step.result and step.result not in run.data.tags:
            return f"its tag {step.result} is gone"
        if step.artifact and step.artifact not in {file.path for file in client.list_artifacts(run.info.run_id)}:
            return f"its artifact {step.artifact} is gone"
        try:
            for output in run.outputs.model_outputs if run.outputs else []:
                if not client.list_logged_model_artifacts(output.model_id):
                    return "its model is gone"
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return "its model is gone"
            raise
        return cache.moved(run, step.state()) if step.state else None

    def show(self) -> None:
        """Print for each step whether it would run, and why; change nothing."""
        done = {}
        for name, step in self.steps.items():
            run, reason = self.decide(name, self.describe(name, done), sorted(step.needs - done.keys()))
            if run:
                done[name] = run
            print(f"workflow: {name}: would {f'reuse run {run.info.run_id}' if run else 'run'}: {reason}")
        count = len(self.steps) - len(done)
        print(f"workflow: dry run: {count} of {len(self.steps)} steps would run; nothing was started")
