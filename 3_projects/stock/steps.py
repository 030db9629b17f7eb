"""The steps of the project in their order: what each is given, what it is made of, what it reads.

main.py gives this list to the runner of 3_projects/workflow.
"""

import argparse
from pathlib import Path

import mlflow
from approaches import APPROACHES
from cache import Step, digest
from mlflow.exceptions import MlflowException
from sources import last_day

HERE = Path(__file__).resolve().parent
PROJECT_ROOT = HERE.parents[1]
REGISTERED = ("stock_price", "stock_direction")
BASE = ("MLproject", "python_env.yaml")
# What each step is made of, so that a change in one script is no reason to train all models again.
CODE = {
    "ingest": (*BASE, "ingest.py", "prices.py", "sources.py"),
    "transform": (*BASE, "transform.py", "windows.py", "handover.py"),
    "train": (*BASE, "train.py", "approaches.py", "model.py", "windows.py", "handover.py"),
    "evaluate": (*BASE, "evaluate.py", "measures.py", "charts.py", "approaches.py", "windows.py", "handover.py"),
    "deploy": (*BASE, "deploy.py", "bucket.py", "versions.py"),
    "score": (*BASE, "score.py", "versions.py", "window_csv.py"),
    "register": (*BASE, "register.py", "approaches.py", "handover.py", "price_rules.yaml", "direction_rules.yaml"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the parameters that the steps below need."""
    parser.add_argument("--symbol", default="MSFT", help="of the share; for a CSV it is a label only")
    parser.add_argument("--source", default="sample", help="sample, yahoo, or the path of a CSV from the project's top")
    parser.add_argument("--start", default="first", help="first day, such as 2010-01-01")
    parser.add_argument("--end", default="last", help="last day; with yahoo, last is yesterday")
    parser.add_argument("--days", type=int, default=14, help="closing prices in a window")
    parser.add_argument("--holdout-years", type=float, default=2, help="years at the end that no training step sees")
    parser.add_argument("--lstm-units", type=int, default=60, help="cells in each of the two layers of lstm")
    parser.add_argument("--epochs", type=int, default=20, help="passes of lstm over the table, at the most")
    parser.add_argument("--bucket", default="", help="S3 bucket to which the production model is copied at the end")
    parser.add_argument("--endpoint", default="", help="address of an S3 server that is not Amazon's")
    parser.add_argument("--input", default="", help="a CSV of windows that is scored at the end; newest is the holdout")
    parser.add_argument("--output", default="", help="the scored CSV")
    parser.add_argument(
        "--registered-model", default="stock_direction", help="which of the two is copied and scored with"
    )


def aliases(name: str) -> dict[str, str]:
    """Return the versions behind the aliases of a registered model; none if it is not there."""
    try:
        return mlflow.MlflowClient().get_registered_model(name).aliases
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return {}
        raise


def to_use() -> dict[str, str]:
    """Return what register has seen to, so that it judges again if nothing is left.

    A person's rollback alone is no reason to judge the same models again, as that could undo it.
    """
    state = {}
    for name in REGISTERED:
        known = aliases(name)
        state[f"a version of {name} in production"] = "there" if "production" in known else "missing"
        if "candidate" in known:  # a person has to approve it, or nobody has come to it yet
            state[f"the waiting version of {name}"] = known["candidate"]
    return state


def list_steps(options: argparse.Namespace) -> dict[str, Step]:
    """Return the steps by their names. Of several that could start, those listed first do."""
    days = {"start": options.start, "end": last_day(options.source, options.end)}
    csv = options.source not in ("sample", "yahoo")
    models = {name: {"model": name} for name in APPROACHES}
    models["lstm"] |= {"lstm_units": options.lstm_units, "epochs": options.epochs}
    judged = {"candidates": tuple(models), "table_run": ("transform",)}
    found = {
        "ingest": Step(
            "stock",
            "ingest",
            parameters={"symbol": options.symbol, **days, **({} if csv else {"source": options.source})},
            code=CODE["ingest"],
            places={"source": options.source} if csv else {},
            files=(PROJECT_ROOT / options.source,) if csv else (),
            result="prices_sha256",
            artifacts=("prices.parquet",),
            marked=True,
        ),
        "transform": Step(
            "stock",
            "transform",
            parameters={"days": options.days, "holdout_years": options.holdout_years},
            code=CODE["transform"],
            runs={"prices_run": ("ingest",)},
            result="table_sha256",
            artifacts=("table.parquet",),
            marked=True,
        ),
        **{
            name: Step("stock", "train", parameters=own, code=CODE["train"], runs={"table_run": ("transform",)})
            for name, own in models.items()
        },
        "evaluate": Step("stock", "evaluate", code=CODE["evaluate"], runs=judged),
        "register": Step(
            "stock",
            "register",
            code=CODE["register"],
            files=tuple(path for path in sorted((HERE.parent / "registry").glob("*")) if path.name != "rules.yaml"),
            runs=judged,
            after=("evaluate",),
            state=to_use,
        ),
    }
    model = {"registered_model": options.registered_model}
    if options.bucket:
        found["deploy"] = Step(
            "stock",
            "deploy",
            parameters=model | {"bucket": options.bucket, "endpoint": options.endpoint},
            code=CODE["deploy"],
            after=("register",),
            always="it looks whether the copy in the bucket is still whole",
        )
    if options.input:
        output = PROJECT_ROOT / options.output
        found["score"] = Step(
            "stock",
            "score",
            parameters=model,
            code=CODE["score"],
            places={"input": options.input, "output": options.output},
            files=() if options.input == "newest" else (PROJECT_ROOT / options.input,),
            after=("register",),
            state=lambda: {
                "the version in production": aliases(options.registered_model).get("production", "none"),
                "the scored file": digest(output.read_bytes())[:12] if output.is_file() else "missing",
            },
        )
    return found
