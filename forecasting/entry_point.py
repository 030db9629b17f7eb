"""The frame of a project's command: its options, a check of both servers, its run, and one sentence for a mistake.

MLflow puts the parameters of ``mlflow run`` into a shell's command, where cmd on Windows takes blanks and quotation
marks apart. It also writes them to the run that it begins. So a command in MLproject has no values, only
``--from-run``, and the program reads them there.
"""

import contextlib
import io
import os
import re
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path

import mlflow
from mlflow.entities import Param, Run
from mlflow.exceptions import ExecutionException, MlflowException
from mlflow_ftp.preflight import preflight

from forecasting.errors import UserError, explain
from forecasting.production import REGISTERED_MODEL

# MLflow reads these too. Left over from other work, they lead to runs, models and servers that nobody meant.
MISLEADING = ("MLFLOW_RUN_ID", "MLFLOW_ACTIVE_MODEL_ID", "MLFLOW_REGISTRY_URI")
# Tags that a child's run gets from its parent's.
INHERITED = ("mlflow.user", "mlflow.source.git.commit", "mlflow.source.git.repoURL")


@contextlib.contextmanager
def command(program: str, parser: ArgumentParser, arguments: Sequence[str] | None = None) -> Generator[Namespace]:
    """Give the options inside a run of a command; the mistake of a user ends the program with one sentence.

    The run gets the tag ``project``: the program's name, or the option ``action`` if there is one. The sentence is
    also left on the run, as its tag ``error``, for the workflow.
    """
    name = program
    try:
        options = begin(program, parser, arguments)
        name = getattr(options, "action", None) or program
        with mlflow.start_run(run_name=name):
            mlflow.set_tag("project", name)
            try:
                yield options
            except UserError as error:
                mlflow.set_tag("error", str(error))
                sys.exit(f"{name}: {error}")
            except KeyboardInterrupt:
                mlflow.set_tag("error", "stopped")
                mlflow.end_run("KILLED")  # `mlflow run` calls it FAILED afterwards
                sys.exit(f"{name}: stopped")
    except KeyboardInterrupt:  # before the run has begun
        sys.exit(f"{name}: stopped")
    except (MlflowException, OSError) as error:
        sys.exit(f"{name}: {explain(error)}")


def begin(program: str, parser: ArgumentParser, arguments: Sequence[str] | None = None) -> Namespace:
    """Parse the options, which ``--from-run`` takes from the run that ``mlflow run`` has begun, and check both servers.

    Ends the program with one sentence if a server is away, or if a variable would mislead it.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # MLflow prints emoji, which few encodings have
    parser.add_argument("--from-run", action="store_true", help="for MLproject: take the options from MLflow's run")
    typed = sys.argv[1:] if arguments is None else arguments
    options = parser.parse_args(typed)
    for name in MISLEADING[options.from_run :]:
        if os.environ.get(name, "") not in ("", os.environ.get("MLFLOW_TRACKING_URI")):
            sys.exit(f"{program}: {name} is set, left over from other work, and would mislead this command. Unset it.")
    if options.from_run:
        # The run's experiment is in MLFLOW_EXPERIMENT_ID; a name left over from other work would contradict it.
        os.environ.pop("MLFLOW_EXPERIMENT_NAME", None)
    preflight(program)
    if options.from_run:
        begun = f"attributes.run_id = '{os.environ.get('MLFLOW_RUN_ID')}' and attributes.status = 'RUNNING'"
        if not (runs := mlflow.search_runs(filter_string=begun, output_format="list")):
            sys.exit(f"{program}: --from-run is for mlflow run, whose run MLFLOW_RUN_ID does not name. Leave it out.")
        given = [f"--{name.replace('_', '-')}={unquote(value)}" for name, value in runs[0].data.params.items()]
        options = parser.parse_args([*given, *typed])
    return options


def run_child(
    parent: Run,
    name: str,
    folder: Path,
    entry_point: str,
    parameters: Mapping[str, object],
    env_manager: str,
    tags: Mapping[str, str] | None = None,
) -> Run:
    """Run an entry point of the project in a folder as a child of a run, and return its run, whatever its status.

    The run is created here, so that it has its tags whatever happens: of a run that MLflow creates itself nobody knows
    the id if the command fails. Why it could not even be started is its tag ``error``.
    """
    client = mlflow.MlflowClient()
    about = {
        "mlflow.parentRunId": parent.info.run_id,
        "mlflow.project.entryPoint": entry_point,
        "mlflow.source.name": str(folder),
        "mlflow.source.type": "PROJECT",
        **{tag: parent.data.tags[tag] for tag in INHERITED if tag in parent.data.tags},
        **(tags or {}),
    }
    run_id = client.create_run(parent.info.experiment_id, tags=about, run_name=name).info.run_id
    try:
        if not (folder / "MLproject").is_file():
            raise ExecutionException(f"expected a project in {folder}, found no MLproject there")
        command = mlflow.projects.load_project(str(folder)).get_entry_point(entry_point)
        values, _ = command.compute_parameters(dict(parameters), storage_dir=None)
        client.log_batch(run_id, params=[Param(name, value) for name, value in values.items()])
        mlflow.projects.run(
            str(folder), entry_point=entry_point, parameters=dict(parameters), run_id=run_id, env_manager=env_manager
        )
    except (ExecutionException, OSError) as error:
        if client.get_run(run_id).info.status == "RUNNING":
            client.set_tag(run_id, "error", str(error))
            client.set_terminated(run_id, "FAILED")
    return client.get_run(run_id)


def unquote(text: str) -> str:
    """Undo the quoting of a parameter: MLflow writes it to the run as it does for bash, or on Windows for cmd."""
    if text.startswith("'") and os.name != "nt":
        return text[1:-1].replace("'\"'\"'", "'")
    if not text.startswith('"'):
        text = re.sub(r"\^(.)", r"\1", text, flags=re.DOTALL)
    # After an odd number of backslashes, a quotation mark is part of the value.
    return re.sub(r'(\\*)"', lambda match: "\\" * (len(match[1]) // 2) + '"' * (len(match[1]) % 2), text)


def next_command(project: str, registered_model: str = REGISTERED_MODEL) -> str:
    """Return the command to type next, for the same registered model and in the same experiment."""
    model = "" if registered_model == REGISTERED_MODEL else f" -P registered_model={registered_model}"
    run = mlflow.active_run()
    experiment = f" --experiment-name {mlflow.get_experiment(run.info.experiment_id).name}" if run else ""
    return f"mlflow run 3_projects/{project} --env-manager local{model}{experiment}"
