"""Register the trained models through the gate of 3_projects/registry, and approve what has passed it.

    mlflow run 3_projects/stock -e register --env-manager local

The models of the price become versions of ``stock_price``, those of the direction of ``stock_direction``. The rules are
price_rules.yaml and direction_rules.yaml. Nobody is asked for the approval, and the ledger says so; with ``by`` and
``reason`` it says who has approved, and why. A gate that lets nothing through is a result, not an error: its reasons
are printed, and kept as the tags ``verdict.*`` of the run.
"""

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import mlflow
from approaches import APPROACHES, DIRECTION, PRICE
from handover import HandoverError, find_candidates, find_run
from mlflow.entities import Run
from mlflow.exceptions import ExecutionException
from mlflow_ftp.preflight import preflight

REGISTRY = Path(__file__).resolve().parent.parent / "registry"
# Rules are found from the top of the project.
RULES = "3_projects/stock/{}_rules.yaml"
REGISTERED = {PRICE: "stock_price", DIRECTION: "stock_direction"}
client = mlflow.MlflowClient()


def run_registry(parent: Run, entry_point: str, env_manager: str, parameters: dict[str, str]) -> Run:
    """Run an entry point of the registry as a child of a run, and return the new run, however it has ended."""
    tags = {"mlflow.parentRunId": parent.info.run_id, "mlflow.user": parent.data.tags.get("mlflow.user", "unknown")}
    name = f"{entry_point} {parameters['registered_model']}"
    # Made here rather than by MLflow, whose exception does not say which run has failed.
    run_id = client.create_run(parent.info.experiment_id, tags=tags, run_name=name).info.run_id
    try:
        mlflow.projects.run(
            str(REGISTRY), entry_point=entry_point, parameters=parameters, run_id=run_id, env_manager=env_manager
        )
    except ExecutionException:
        if client.get_run(run_id).info.status == "RUNNING":  # it could not even be started
            client.set_terminated(run_id, "FAILED")
    return client.get_run(run_id)


def said(run: Run) -> str:
    """Return the verdict of a run of the registry; raises HandoverError if it has come to none."""
    if verdict := run.data.tags.get("verdict"):
        return verdict
    reason = run.data.tags.get("error", "its output is above")
    raise HandoverError(f"{run.info.run_name} has failed (run {run.info.run_id}): {reason}")


def through_the_gate(
    parent: Run, target: str, name: str, runs: dict[str, Run], table_run: Run, options: argparse.Namespace
) -> str:
    """Let the gate judge the models of a target, approve the one that passes, and return the verdict.

    Raises HandoverError if something has failed that is no verdict.
    """
    chosen = [run.info.run_id for step, run in runs.items() if APPROACHES[step.removeprefix("stock.")].target == target]
    if not chosen:
        return "there is no model to judge"
    parameters = {"candidates": ",".join(chosen), "data_run": table_run.info.run_id, "registered_model": name}
    rules = RULES.format(name.removeprefix("stock_"))
    judged = run_registry(parent, "promote", options.env_manager, parameters | {"rules": rules})
    verdict = said(judged)
    if not judged.data.tags.get("candidate_version"):
        return verdict
    who = {"by": options.by, "reason": options.reason} if options.by else {"auto": "true"}
    approved = run_registry(parent, "approve", options.env_manager, who | {"registered_model": name})
    return f"{verdict}. {said(approved)}"


def main() -> None:
    """Register the models of both targets, side by side; a gate that lets nothing through is a result."""
    parser = argparse.ArgumentParser(description="Register the trained models through the gate.")
    parser.add_argument("--candidates", default="newest", help="runs of train with commas between, or newest")
    parser.add_argument("--table-run", default="newest", help="run of transform whose holdout they are judged on")
    parser.add_argument("--by", default="", help="who approves what passes; automatic without a name")
    parser.add_argument("--reason", default="", help="why, in a sentence")
    parser.add_argument("--env-manager", default="local", help="how the registry's steps get their environment")
    options = parser.parse_args()
    if bool(options.by) != bool(options.reason):
        sys.exit("register: expected by= and reason= together, or none of them, found one")
    preflight("stock")
    with mlflow.start_run() as parent:
        mlflow.set_tag("step", "stock.register")
        try:
            if not (REGISTRY / "MLproject").is_file():
                raise HandoverError(f"expected the project that judges the models in {REGISTRY}, found no MLproject.")
            run = find_run(options.table_run, "stock.transform")
            runs = find_candidates(options.candidates, run, [f"stock.{name}" for name in APPROACHES])
            mlflow.set_tags({"data_run": run.info.run_id} | {key: run.data.tags[key] for key in ("symbol", "source")})
            with ThreadPoolExecutor() as threads:
                found = {
                    name: threads.submit(through_the_gate, parent, target, name, runs, run, options)
                    for target, name in REGISTERED.items()
                }
            mlflow.log_dict({name: future.result() for name, future in found.items()}, "verdict.json")
            for name, future in found.items():
                mlflow.set_tag(f"verdict.{name}", future.result()[:5000])
                print(f"register: {name}: {future.result().removesuffix('.')}.")
        except HandoverError as error:
            mlflow.set_tag("error", str(error))
            sys.exit(f"register: {error}")


if __name__ == "__main__":
    main()
