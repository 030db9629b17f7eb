"""Do on this machine what GitHub does with the commands of a workflow, job after job."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import yaml

# What GitHub tells every step.
ABOUT = {
    "GITHUB_SERVER_URL": "https://git.example.org",
    "GITHUB_REPOSITORY": "team/power",
    "GITHUB_RUN_ID": "17",
}
FOLDER = Path(__file__).resolve().parents[1] / ".github" / "workflows"


def load(name: str) -> dict:
    """Return a workflow; its key "on" is no boolean, whatever YAML 1.1 says."""
    text = (FOLDER / name).read_text(encoding="utf-8")
    return yaml.safe_load(re.sub(r"^on:", '"on":', text, flags=re.MULTILINE))


def steps(workflow: dict) -> Iterator[dict]:
    """Yield the steps of all jobs."""
    for job in workflow["jobs"].values():
        yield from job["steps"]


@dataclass
class Runner:
    """A machine of GitHub's that has a copy of the project; it has Python and knows no action."""

    project: Path
    workflow: dict
    secrets: dict[str, str]
    variables: dict[str, str] = field(default_factory=dict)
    inputs: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)  # by "needs.JOB.outputs.NAME"
    summary: str = ""

    def fill(self, text: str, steps: dict[str, str]) -> str:
        """Return a text with its expressions replaced; raises KeyError for one that GitHub would not know."""
        defaults = self.workflow["on"]["workflow_dispatch"]["inputs"]
        known = {f"inputs.{name}": about["default"] for name, about in defaults.items()}
        known |= {f"inputs.{name}": value for name, value in self.inputs.items()} | self.outputs | steps

        def value(match: re.Match) -> str:
            kind, _, name = match[1].partition(".")
            if kind in ("secrets", "vars"):  # GitHub gives nothing for one that is not set
                return (self.secrets if kind == "secrets" else self.variables).get(name, "")
            return known[match[1]]

        return re.sub(r"\$\{\{ ([\w.]+) \}\}", value, text)

    def run(self, name: str) -> str:
        """Run the commands of a job and return what they say; raises CalledProcessError at the first that fails."""
        job, steps, said = self.workflow["jobs"][name], {}, ""
        files = {key: self.project.parent / key for key in ("GITHUB_OUTPUT", "GITHUB_PATH", "GITHUB_STEP_SUMMARY")}
        for file in files.values():
            file.write_text("")
        for step in job["steps"]:
            if "run" not in step:
                continue
            env = {key: value for key, value in os.environ.items() if not key.startswith("MLFLOW")}
            added = [*files["GITHUB_PATH"].read_text().split(), str(Path(sys.executable).parent)]
            env["PATH"] = os.pathsep.join([*added, os.environ["PATH"]])
            env |= {key: str(file) for key, file in files.items()} | {"RUNNER_TEMP": str(self.project.parent)} | ABOUT
            env |= {key: self.fill(str(value), steps) for key, value in step.get("env", {}).items()}
            done = subprocess.run(
                ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", self.fill(step["run"], steps)],
                cwd=self.project,
                env=env,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=600,
                check=False,
            )
            said += done.stdout
            if done.returncode:
                print(done.stdout)
                raise subprocess.CalledProcessError(done.returncode, step["run"], said)
            for line in files["GITHUB_OUTPUT"].read_text().splitlines():
                key, value = line.split("=", 1)
                steps[f"steps.{step.get('id')}.outputs.{key}"] = value
            files["GITHUB_OUTPUT"].write_text("")
        for key, value in job.get("outputs", {}).items():
            self.outputs[f"needs.{name}.outputs.{key}"] = self.fill(value, steps)
        self.summary = files["GITHUB_STEP_SUMMARY"].read_text()
        return said
