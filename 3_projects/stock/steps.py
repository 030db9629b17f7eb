"""The steps of the project in their order, for the runner of 3_projects/workflow.

The modules ``cache`` and ``states`` are the runner's.
"""

import argparse
import runpy
from functools import partial
from pathlib import Path

from cache import Step
from states import to_use

HERE = Path(__file__).resolve().parent
PROJECT_ROOT = HERE.parents[1]
REGISTERED = ("stock_price", "stock_direction")
# The runner's modules are found by their names, and so the project's own are not.
APPROACHES = runpy.run_path(str(HERE / "approaches.py"))["APPROACHES"]
last_day = runpy.run_path(str(HERE / "sources.py"))["last_day"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the parameters that the steps below need."""
    parser.add_argument("--symbol", default="MSFT", help="of the share; for a CSV it is a label only")
    parser.add_argument("--source", default="sample", help="sample, yahoo, or the path of a CSV from the project's top")
    parser.add_argument("--start", default="first", help="first day, such as 2010-01-01")
    parser.add_argument("--end", default="last", help="last day; with yahoo, last is yesterday")
    parser.add_argument("--days", type=int, default=14, help="closing prices in a window")
    parser.add_argument("--holdout-years", type=float, default=2.0, help="years at the end that no training step sees")
    parser.add_argument("--lstm-units", type=int, default=60, help="cells in each of the two layers of lstm")
    parser.add_argument("--epochs", type=int, default=20, help="passes of lstm over the table, at most")
    parser.add_argument("--bucket", default="none", help="S3 bucket to which the production model is copied at the end")
    parser.add_argument("--endpoint", default="none", help="address of an S3 server that is not Amazon's")
    parser.add_argument("--registered-model", default="stock_direction", help="which of the two is copied")


def list_steps(options: argparse.Namespace) -> dict[str, Step]:
    """Return the steps by their names. Of several that could start, those listed first do."""
    step = partial(Step, "stock")
    days = {"start": options.start, "end": last_day(options.source, options.end)}
    csv = options.source not in ("sample", "yahoo")
    models = {name: {"model": name} for name in APPROACHES}
    models["lstm"] |= {"lstm_units": options.lstm_units, "epochs": options.epochs}
    judged = {"challengers": tuple(models), "table_run": ("transform",)}
    # A step is made of its script and what that imports, so a change in another script doesn't train all models again.
    steps = {
        "ingest": step(
            "ingest",
            parameters={"symbol": options.symbol, **days, **({} if csv else {"source": options.source})},
            code=("ingest.py",),
            places={"source": options.source} if csv else {},
            files=(PROJECT_ROOT / options.source,) if csv else (),
            result="prices_sha256",
            artifact="prices.parquet",
        ),
        "transform": step(
            "transform",
            parameters={"days": options.days, "holdout_years": options.holdout_years},
            code=("transform.py",),
            runs={"prices_run": ("ingest",)},
            result="table_sha256",
            artifact="table.parquet",
        ),
        **{
            name: step("train", parameters=own, code=("train.py",), runs={"table_run": ("transform",)})
            for name, own in models.items()
        },
        "evaluate": step("evaluate", code=("evaluate.py",), runs=judged),
        "register": step(
            "register",
            code=("register.py", "price_rules.yaml", "direction_rules.yaml"),
            files=tuple(path for path in sorted((HERE.parent / "registry").glob("*")) if path.name != "rules.yaml"),
            runs=judged,
            after=("evaluate",),
            state=lambda: {what: value for name in REGISTERED for what, value in to_use(name).items()},
        ),
    }
    if options.bucket != "none":
        given = {name: getattr(options, name) for name in ("registered_model", "bucket", "endpoint")}
        why = "it checks that the copy in the bucket is still complete"
        steps["deploy"] = step("deploy", parameters=given, code=("deploy.py",), after=("register",), always=why)
    return steps
