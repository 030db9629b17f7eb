"""What a project's programs see of the parameters that are typed, on any system, and whose run they write into."""

import json
import os
import shlex
import subprocess
import sys
import uuid
from argparse import ArgumentParser
from pathlib import Path

import mlflow
import pytest
from mlflow.entities import Param
from mlflow.utils import string_utils
from windows import through_cmd

from forecasting.entry_point import command

ROOT = Path(__file__).resolve().parents[2]
LESSONS = {"data", "lr", "rf", "keras", "boosting"}  # test_lessons.py has these
PROJECTS = {path.parent.name: path.parent for path in sorted((ROOT / "3_projects").glob("*/MLproject"))}
PROJECTS = {name: folder for name, folder in PROJECTS.items() if name not in LESSONS}
AWKWARD = 'so it\'s "50 %" of $(x); a & b | %PATH% <ä^ö>! `y` \\"C:\\my data\\\\'
VARIABLES = {"PATH": r"C:\Windows"}

# Runs programs until each has its options, and prints these.
SEE = """
import json, os, runpy, sys
from forecasting import entry_point

class Seen(BaseException):
    pass

def begin(program, parser, arguments=None):
    for action in parser._actions:
        action.choices = None  # any text is to be seen
    options = real(program, parser, arguments)
    raise Seen({name: value for name, value in vars(options).items() if name != "from_run"})

real, entry_point.begin, entry_point.preflight = entry_point.begin, begin, lambda program: None
projects = os.getcwd()
for folder, run_id, words in json.load(sys.stdin):
    for name, module in list(sys.modules.items()):  # projects have modules of the same names
        if (getattr(module, "__file__", None) or "").startswith(projects):
            del sys.modules[name]
    os.chdir(folder)
    sys.path.insert(0, os.path.dirname(os.path.abspath(words[0])))
    os.environ.pop("MLFLOW_RUN_ID", None)
    os.environ |= {"MLFLOW_RUN_ID": run_id} if run_id else {}
    sys.argv = words
    try:
        runpy.run_path(words[0], run_name="__main__")
    except Seen as seen:
        print(json.dumps(seen.args[0]))
"""


@pytest.fixture(scope="module")
def experiment(running_servers) -> str:
    return mlflow.create_experiment(f"entry points {uuid.uuid4()}")


def value_of(kind: str, text: str) -> str:
    return {"int": "7", "float": "7.5"}.get(kind, text)


def begun(experiment: str, entry_point, values: dict[str, str]) -> str:
    """Return the id of a run that is begun as MLflow begins it before it starts the command of a project."""
    client = mlflow.MlflowClient()
    run_id = client.create_run(experiment).info.run_id
    given, _ = entry_point.compute_parameters(values, storage_dir=None)
    client.log_batch(run_id, params=[Param(name, value) for name, value in given.items()])
    return run_id


@pytest.mark.slow
def test_a_program_sees_the_very_values_that_are_typed_and_has_the_defaults_of_mlproject(experiment, monkeypatch):
    cases, commands, expected = [], [], []
    for project, folder in PROJECTS.items():
        for point in mlflow.projects.load_project(folder)._entry_points.values():
            declared = {key: each.default for key, each in point.parameters.items() if each.default is not None}
            for windows in (False, True):
                monkeypatch.setattr(string_utils, "is_windows", lambda windows=windows: windows)
                for text in (AWKWARD, "", None):
                    given = {key: value_of(each.type, text or "") for key, each in point.parameters.items()}
                    if text is None:
                        given = dict.fromkeys(given.keys() - declared.keys(), "")
                    line = point.compute_command(given, None)
                    words = through_cmd(line, VARIABLES) if windows else shlex.split(line)
                    cases.append(f"{project} {point.name} with {text!r}, {'cmd' if windows else 'bash'}")
                    commands.append((str(folder), begun(experiment, point, given), words[1:]))
                    expected.append(declared | given)
            cases.append(f"{project} {point.name} without MLflow")
            commands.append((str(folder), None, [word for word in point.command.split()[1:] if word != "--from-run"]))
            expected.append(declared)
    done = subprocess.run(
        [sys.executable, "-c", SEE],
        cwd=ROOT / "3_projects",
        env=os.environ | {"MLFLOW_EXPERIMENT_ID": experiment},
        input=json.dumps(commands),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    seen = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert len(seen) == len(cases), done.stderr
    for case, values, found in zip(cases, expected, seen, strict=True):
        numbers = {key: type(found[key])(value) for key, value in values.items()}
        assert {key: found[key] for key in values} == numbers, case


def test_the_emulation_of_cmd_shows_what_people_report_of_quoted_values():
    """These are mlflow#8435 and its like: an empty value as two quotation marks, blanks and variables taken apart."""
    quote = string_utils.mslex_quote
    assert through_cmd(f"python a.py --mode {quote('')}", {}) == ["python", "a.py", "--mode", '""']
    assert through_cmd(f"python a.py --reason {quote('better in winter')} --by Ada", {}) == [
        *("python", "a.py", "--reason", '"better', "in", 'winter"', "--by", "Ada")
    ]
    assert through_cmd("python a.py --text a^&b %HOME% %PATH%", VARIABLES)[3:] == ["a&b", "%HOME%", r"C:\Windows"]


def test_a_run_left_over_in_the_environment_is_neither_read_nor_written_into(experiment, monkeypatch):
    def typed(*words: str, **variables: str) -> str:
        with monkeypatch.context() as patch:
            for name, value in variables.items():
                patch.setenv(name, value)
            with pytest.raises(SystemExit) as ended, command("evaluate", ArgumentParser(), words):
                pytest.fail("it has begun")
        return str(ended.value)

    client = mlflow.MlflowClient()
    run_id = client.create_run(experiment).info.run_id
    going_on = client.get_run(run_id).to_dictionary()
    for name in ("MLFLOW_RUN_ID", "MLFLOW_ACTIVE_MODEL_ID", "MLFLOW_REGISTRY_URI"):
        unset = f"{name} is set, left over from other work, and would mislead this command. Unset it."
        assert typed(**{name: run_id}) == f"evaluate: {unset}"
    assert client.get_run(run_id).to_dictionary() == going_on
    client.set_terminated(run_id)
    ended = client.get_run(run_id).to_dictionary()
    sentence = "evaluate: --from-run is for mlflow run, whose run MLFLOW_RUN_ID does not name. Leave it out."
    assert typed("--from-run", MLFLOW_RUN_ID=run_id, MLFLOW_EXPERIMENT_ID=experiment) == sentence
    assert typed("--from-run") == sentence
    assert client.get_run(run_id).to_dictionary() == ended
