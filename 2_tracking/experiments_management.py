"""Manage an experiment and its runs from a program, and show the call behind each step.

    python 2_tracking/experiments_management.py

What the MLflow pages do with clicks, a program does with MlflowClient. Each call is printed before its answer, after
`>>>`. Copy it into a program or a notebook of your own, after these two lines:

    from mlflow import MlflowClient
    client = MlflowClient()

To do the same from a terminal: mlflow experiments --help, mlflow runs --help
"""

import os
import sys
from datetime import datetime

from mlflow import MlflowClient
from mlflow.entities import ViewType
from mlflow_ftp.preflight import preflight


def call(method: str, *arguments, **named):
    """Print a call of the client, make it, and return its answer."""
    shown = [repr(argument) for argument in arguments] + [f"{name}={value!r}" for name, value in named.items()]
    print(f">>> client.{method}({', '.join(shown)})")
    return getattr(MlflowClient(), method)(*arguments, **named)


if not os.environ.get("MLFLOW_TRACKING_URI"):
    sys.exit("experiments_management: Where is the server? Type: export MLFLOW_TRACKING_URI=http://127.0.0.1:5000")
preflight("experiments_management")

print("1. Create an experiment, and give it a tag and another name.")
name = f"notes of {datetime.now():%Y-%m-%d %H.%M.%S}"
number = call("create_experiment", name)
call("set_experiment_tag", number, "owner", "me")
call("rename_experiment", number, f"my {name}")

print("2. Create a run, log to it, and finish it. Until then it counts as running.")
run = call("create_run", number, run_name="a first try").info.run_id
call("log_param", run, "depth", 3)
call("log_metric", run, "error", 0.5)
call("set_terminated", run)

print("3. Search for runs: a filter, an order, and how many at most.")
for match in call("search_runs", [number], "metrics.error < 1", order_by=["metrics.error ASC"], max_results=5):
    print(match.info.run_name, match.data.params, match.data.metrics)

print("4. Delete the experiment. That marks it; `mlflow gc` removes what is marked. Until then it can be restored.")
call("delete_experiment", number)
call("restore_experiment", number)
call("delete_experiment", number)

print("5. List all experiments, those that are deleted as well.")
for experiment in call("search_experiments", order_by=["experiment_id ASC"], view_type=ViewType.ALL):
    print(f"{experiment.experiment_id:>4}  {experiment.name}  ({experiment.lifecycle_stage})  {experiment.tags}")
