"""Look after experiments and their runs from a terminal, and show the Python call behind each step.

    python 2_tracking/experiments_management.py list
    python 2_tracking/experiments_management.py create notes --tag owner=me
    python 2_tracking/experiments_management.py run notes --param depth=3 --metric error=0.5
    python 2_tracking/experiments_management.py runs notes --filter "metrics.error < 1"

What the MLflow pages do with clicks, a program does with MlflowClient. Each call is printed before its answer, after
`>>>`. So you can copy it into a program or a notebook of your own, after these two lines:

    from mlflow import MlflowClient
    client = MlflowClient()
"""

import argparse
import math
import os
import sys

from mlflow import MlflowClient
from mlflow.entities import Experiment, Run, ViewType
from mlflow.exceptions import MlflowException
from mlflow_ftp.preflight import preflight

PROGRAM = "experiments_management"


def call(method: str, *arguments, **named):
    """Print a call of the client, make it, and return what it returns."""
    shown = [repr(argument) for argument in arguments] + [f"{name}={value!r}" for name, value in named.items()]
    print(f">>> client.{method}({', '.join(shown)})")
    return getattr(MlflowClient(), method)(*arguments, **named)


def find(name: str, deleted: bool = False) -> Experiment:
    """Return the experiment of that name; ends the program if there is none, or if it is (or is not) deleted."""
    experiment = call("get_experiment_by_name", name)
    if experiment is None:
        sys.exit(f"{PROGRAM}: There is no experiment {name!r}. To see what there is: list --all")
    if deleted and experiment.lifecycle_stage != "deleted":
        sys.exit(f"{PROGRAM}: The experiment {name!r} is not deleted.")
    if not deleted and experiment.lifecycle_stage == "deleted":
        sys.exit(f"{PROGRAM}: The experiment {name!r} is deleted. To get it back: restore {name}")
    return experiment


def show(experiment: Experiment) -> None:
    """Print an experiment in one line, and its tags below."""
    print(f"{experiment.experiment_id:>4}  {experiment.name}  ({experiment.lifecycle_stage})")
    for key, value in sorted(experiment.tags.items()):
        print(f"          {key} = {value}")


def show_run(run: Run) -> None:
    """Print a run: its id, what was chosen, and what came out."""
    print(f"{run.info.run_id}  {run.info.run_name}  {run.info.status}")
    for key, value in sorted({**run.data.params, **run.data.metrics}.items()):
        print(f"          {key} = {value}")


def list_experiments(options: argparse.Namespace) -> None:
    """Print all experiments."""
    view = {"view_type": ViewType.ALL} if options.all else {}  # 3; without it, those that are not deleted
    for experiment in call("search_experiments", order_by=["experiment_id ASC"], **view):
        show(experiment)


def create(options: argparse.Namespace) -> None:
    """Make an experiment; ends the program if the name is taken, also by a deleted one."""
    if there := call("get_experiment_by_name", options.name):
        sys.exit(f"{PROGRAM}: There is an experiment {options.name!r} already ({there.lifecycle_stage}).")
    number = call("create_experiment", options.name, tags=options.tag)
    show(call("get_experiment", number))


def tag(options: argparse.Namespace) -> None:
    """Give tags to an experiment."""
    number = find(options.name).experiment_id
    for key, value in options.tag.items():
        call("set_experiment_tag", number, key, value)
    show(call("get_experiment", number))


def rename(options: argparse.Namespace) -> None:
    """Give another name to an experiment; its number, its runs and the place of its artifacts stay."""
    number = find(options.name).experiment_id
    call("rename_experiment", number, options.new_name)
    show(call("get_experiment", number))


def run(options: argparse.Namespace) -> None:
    """Make a run, log to it what is given, and finish it."""
    number = find(options.name).experiment_id
    made = call("create_run", number, run_name=options.run_name).info.run_id
    try:
        for key, value in options.tag.items():
            call("set_tag", made, key, value)
        for key, value in options.param.items():
            call("log_param", made, key, value)
        for key, value in options.metric.items():
            call("log_metric", made, key, value)
    except MlflowException:
        call("set_terminated", made, "FAILED")  # or it would count as running for ever
        raise
    call("set_terminated", made)
    show_run(call("get_run", made))


def runs(options: argparse.Namespace) -> None:
    """Print the runs of an experiment."""
    number = find(options.name).experiment_id
    found = call("search_runs", [number], options.filter, order_by=[options.order_by], max_results=options.most)
    for one in found:
        show_run(one)
    print(f"{len(found)} found")


def delete(options: argparse.Namespace) -> None:
    """Mark an experiment as deleted; nothing is lost until mlflow gc removes what is marked."""
    call("delete_experiment", find(options.name).experiment_id)
    print(f"To get it back: restore {options.name}")


def restore(options: argparse.Namespace) -> None:
    """Take the mark off again."""
    number = find(options.name, deleted=True).experiment_id
    call("restore_experiment", number)
    show(call("get_experiment", number))


def number(text: str) -> float:
    """Return a number that can be written as Python; raises ValueError."""
    if not math.isfinite(float(text)):
        raise ValueError
    return float(text)


class Pairs(argparse.Action):
    """Collect what is given as KEY=VALUE, as often as it is given."""

    def __call__(self, parser, namespace, text, option_string=None):
        """Add one pair; with a ``const``, that turns the text into the value, or raises ValueError."""
        key, equals, value = text.partition("=")
        if not (key and equals):
            parser.error(f"argument {option_string or self.dest}: expected KEY=VALUE, found {text!r}")
        if self.const:
            try:
                value = self.const(value)
            except ValueError:
                parser.error(f"argument {option_string}: expected a number after {key}=, found {value!r}")
        setattr(namespace, self.dest, {**getattr(namespace, self.dest), key: value})


def parse() -> argparse.Namespace:
    """Return what was asked for."""
    parser = argparse.ArgumentParser(description="Look after experiments and their runs; each call is shown.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(function, text: str, name: str = "") -> argparse.ArgumentParser:
        made = commands.add_parser(name or function.__name__, help=text, description=text)
        made.set_defaults(function=function)
        if function is not list_experiments:
            made.add_argument("name", help="of the experiment")
        return made

    def pairs(to: argparse.ArgumentParser, option: str, text: str, const=None) -> None:
        to.add_argument(option, action=Pairs, const=const, default={}, metavar="KEY=VALUE", help=text)

    command(list_experiments, "all experiments", "list").add_argument(
        "--all", action="store_true", help="the deleted ones, too"
    )
    pairs(command(create, "make an experiment"), "--tag", "a tag; may be given again")
    pairs(command(tag, "give tags to an experiment"), "--tag", "a tag; may be given again")
    command(rename, "give another name to an experiment").add_argument("new_name")
    new = command(run, "make a run, log to it, and finish it")
    new.add_argument("--run-name", help="default: one that MLflow makes up")
    pairs(new, "--param", "what was chosen; may be given again")
    pairs(new, "--metric", "a number that came out; may be given again", number)
    pairs(new, "--tag", "what else there is to say; may be given again")
    search = command(runs, "the runs of an experiment")
    search.add_argument("--filter", default="", help="such as: metrics.mae_wind_GW < 2.1 and tags.chapter = '2'")
    search.add_argument("--order-by", default="attributes.start_time DESC", help="default: %(default)s")
    search.add_argument("--most", type=int, default=20, metavar="NUMBER", help="of runs to show (default: 20)")
    command(delete, "mark an experiment as deleted")
    command(restore, "take that mark off again")
    return parser.parse_args()


if __name__ == "__main__":
    chosen = parse()
    if not os.environ.get("MLFLOW_TRACKING_URI"):
        sys.exit(f"{PROGRAM}: Where is the server? Type: export MLFLOW_TRACKING_URI=http://127.0.0.1:5000")
    preflight(PROGRAM)
    try:
        chosen.function(chosen)
    except MlflowException as error:
        sys.exit(f"{PROGRAM}: {error.message.splitlines()[0]}")
