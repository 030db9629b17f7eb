"""Register the trained models through the gate of 3_projects/registry, and approve what has passed it.

    mlflow run 3_projects/stock -e register --env-manager local

The models of the price become versions of ``stock_price``, those of the direction of ``stock_direction``. The rules are
price_rules.yaml and direction_rules.yaml. Nobody is asked for the approval, and the ledger says so; with ``by`` and
``reason`` it says who has approved, and why. That nothing passes the gate is a result, not an error: the reasons are
printed, and logged as the tags ``verdict.*`` of the run.
"""

import argparse
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import mlflow
from approaches import APPROACHES, DIRECTION, PRICE
from lineage import find_models, find_step
from mlflow.entities import Run

from forecasting.entry_point import command, run_child
from forecasting.errors import UserError
from forecasting.tracking import data_title_of

REGISTRY = Path(__file__).resolve().parent.parent / "registry"
# The gate finds rules from the top of the project.
RULES = "3_projects/stock/{}_rules.yaml"
REGISTERED = {PRICE: "stock_price", DIRECTION: "stock_direction"}


def run_registry(parent: Run, entry_point: str, env_manager: str, parameters: dict[str, str]) -> tuple[Run, str]:
    """Run an entry point of the registry as a child of a run; return its run and verdict.

    Raises UserError if it has come to no verdict.
    """
    name = f"{entry_point} {parameters['registered_model']}"
    run = run_child(parent, name, REGISTRY, entry_point, parameters, env_manager)
    if "verdict" not in run.data.tags:
        reason = run.data.tags.get("error", "its output is above")
        raise UserError(f"{name} has failed (run {run.info.run_id}): {reason}")
    return run, run.data.tags.get("mlflow.note.content", run.data.tags["verdict"])


def through_the_gate(
    parent: Run, target: str, challengers: dict[str, Run], table_run: Run, options: argparse.Namespace
) -> str:
    """Let the gate judge the models of a target, approve the one that passes, and return the verdict.

    Raises UserError if something has failed that is not a verdict.
    """
    chosen = [run.info.run_id for model, run in challengers.items() if APPROACHES[model].target == target]
    if not chosen:
        return "there is no model to judge"
    name = REGISTERED[target]
    parameters = {"challengers": ",".join(chosen), "data_run": table_run.info.run_id, "registered_model": name}
    rules = RULES.format(name.removeprefix("stock_"))
    judged, verdict = run_registry(parent, "validate", options.env_manager, parameters | {"rules": rules})
    if not judged.data.tags.get("candidate_version"):
        return verdict
    nobody = options.by == options.reason == "none"
    who = {"auto": "true"} if nobody else {"by": options.by, "reason": options.reason}
    _, approval = run_registry(parent, "approve", options.env_manager, who | {"registered_model": name})
    return f"{verdict}\n\n{approval}"


def main() -> None:
    """Register the models of both targets, side by side."""
    parser = argparse.ArgumentParser(description="Register the trained models through the gate.")
    parser.add_argument("--challengers", default="newest", help="runs of train with commas between, or newest")
    parser.add_argument("--table-run", default="newest", help="run of transform whose holdout they are judged on")
    parser.add_argument("--by", default="none", help="who approves what passes; automatic without a name")
    parser.add_argument("--reason", default="none", help="why, in a sentence")
    parser.add_argument("--env-manager", default="local", help="how the registry's steps get their environment")
    with command("stock.register", parser) as options:
        if (options.by == "none") != (options.reason == "none"):
            raise UserError("expected by= and reason= together, or neither, found one")
        parent = mlflow.active_run()
        run = find_step(options.table_run, "stock.transform")
        challengers = find_models(options.challengers, run, APPROACHES)
        about = {"data_run": run.info.run_id, "data_title": data_title_of(run), "symbol": run.data.tags["symbol"]}
        mlflow.set_tags(about)
        with ThreadPoolExecutor() as threads:
            gates = {
                name: threads.submit(through_the_gate, parent, target, challengers, run, options)
                for target, name in REGISTERED.items()
            }
        verdicts = {name: gate.result() for name, gate in gates.items()}
        mlflow.log_dict(verdicts, "verdict.json")
        mlflow.set_tags({f"verdict.{name}": text[:5000] for name, text in verdicts.items()})
        sentences = [f"{name}: {sentence}" for name, text in verdicts.items() for sentence in text.split("\n\n")]
        mlflow.set_tag("mlflow.note.content", "\n\n".join(sentences)[:5000])
        print("\n".join(f"register: {sentence}." for sentence in sentences))


if __name__ == "__main__":
    main()
