"""The steps of the workflow: which project each one runs, with which parameters, and what it reads.

This is the only file here that knows of wind and solar. For a workflow of your own write another list, in a folder
beside this one, and name it with ``--steps``; 3_projects/stock does so.
"""

import argparse
from functools import partial
from pathlib import Path

from cache import Step
from states import in_production, to_use

from forecasting.production import REGISTERED_MODEL

PROJECT_ROOT = Path(__file__).resolve().parents[2]
# The slowest first, because they start in this order.
MODELS = ("boosting", "keras", "rf", "lr")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the parameters that the steps below need."""
    parser.add_argument("--csv", default="1_starting_point/germany.csv", help="relative to the top of the project")
    parser.add_argument("--holdout-days", type=float, default=365.0, help="days at the end that no training step sees")
    parser.add_argument("--n-estimators", type=int, default=64, help="trees of the forest")
    parser.add_argument("--max-depth", type=int, default=10, help="levels of each of its trees")
    parser.add_argument("--epochs", type=int, default=30, help="passes of the network over the table, at most")
    parser.add_argument("--trials", type=int, default=20, help="settings that the search of boosting tries")


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
            places={"csv": str(csv)},
            files=(csv, csv.with_name("datapackage.json")),
            result="table_sha256",
            artifact="table.parquet",
        ),
        **{model: Step(model, parameters=parameters[model], runs={"data_run": ("data",)}) for model in MODELS},
        "validate": Step(
            "registry",
            "validate",
            runs={"challengers": MODELS, "data_run": ("data",)},
            state=partial(to_use, REGISTERED_MODEL),
        ),
        "approve": Step(
            "registry",
            "approve",
            parameters={"auto": "true"},
            after=("validate",),
            state=partial(in_production, REGISTERED_MODEL),
        ),
    }
