"""The steps of the workflow: which project each one runs, with which parameters, and what it reads.

This is the only file that knows of wind and solar. For a workflow of your own copy the folder and write another list.
"""

import argparse
from pathlib import Path

import mlflow
from cache import Step
from mlflow.exceptions import MlflowException

PROJECT_ROOT = Path(__file__).resolve().parents[2]
# The longest first, as they start in this order.
MODELS = ("boosting", "keras", "rf", "lr")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the parameters that the steps below need."""
    parser.add_argument("--csv", required=True, help="the file; a relative path starts at the top of the project")
    parser.add_argument("--holdout-days", type=float, default=365, help="days at the end that no training step sees")
    parser.add_argument("--n-estimators", type=int, default=64, help="trees of the forest")
    parser.add_argument("--max-depth", type=int, default=10, help="levels of each of its trees")
    parser.add_argument("--epochs", type=int, default=30, help="passes of the network over the table, at the most")
    parser.add_argument("--trials", type=int, default=20, help="settings that the search of boosting tries")


def aliases() -> dict[str, str]:
    """Return the version behind each alias of wind_solar; nothing if there is no such model."""
    try:
        return mlflow.MlflowClient().get_registered_model("wind_solar").aliases
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return {}
        raise


def in_production() -> dict[str, str]:
    """Return what approve has decided, so that it decides again after a person has decided something else."""
    return {"the version in production": aliases().get("production", "none")}


def to_use() -> dict[str, str]:
    """Return what promote has seen to, so that it judges again if nothing is left, or if its verdict can't be used.

    A version that waits was judged against the production of then. A person's rollback alone is no reason to judge the
    same candidates again, as that could undo it.
    """
    known = aliases()
    state = {"a version in production or waiting": "there" if {"production", "candidate"} & known.keys() else "missing"}
    if "candidate" in known:
        state["the version in production, while another waits,"] = known.get("production", "none")
    return state


def list_steps(options: argparse.Namespace) -> dict[str, Step]:
    """Return the steps by their names. Of several that could start, those listed first do."""
    csv = PROJECT_ROOT / options.csv
    parameters = {
        "boosting": {"trials": options.trials},
        "keras": {"epochs": options.epochs},
        "rf": {"n_estimators": options.n_estimators, "max_depth": options.max_depth},
        "lr": {},
    }
    return {
        "data": Step(
            "data",
            parameters={"holdout_days": options.holdout_days},
            places={"csv": options.csv},
            files=(csv, csv.with_name("datapackage.json")),
            result="table_sha256",
            artifacts=("table.parquet",),
            marked=True,
        ),
        **{model: Step(model, parameters=parameters[model], runs={"data_run": ("data",)}) for model in MODELS},
        "promote": Step("registry", "promote", runs={"candidates": MODELS, "data_run": ("data",)}, state=to_use),
        "approve": Step("registry", "approve", parameters={"auto": "true"}, after=("promote",), state=in_production),
    }
