"""Judge the candidates on the holdout; the best one that passes the gate waits for approval as ``candidate``.

    mlflow run 3_projects/registry -e promote --env-manager local

A candidate is the model of the newest run of each training project. All of them become versions of the registered
model. They are tried in the order of their errors until one passes the rules of rules.yaml. What came of each rule is
on the version, as tags, and on this run, as gate.json. Into production it comes by ``approve``.
"""

import argparse
import dataclasses
from collections.abc import Sequence
from datetime import UTC, datetime
from math import isfinite, isnan

import mlflow
import numpy as np
import pandas as pd
import transitions
from candidates import choose_candidates, choose_table, forecast, model_of, read_table, recorded, register
from command import Refused, command
from errors import errors
from judging import Candidate, Ground, choose, make_ground
from lock import lock
from mlflow.entities import Run
from rules import MODES, load
from transitions import CANDIDATE, State

client = mlflow.MlflowClient()
PROMOTE = "mlflow run 3_projects/registry -e promote --env-manager local"


def prepare(name: str, runs: list[Run], table: pd.DataFrame, truth: pd.DataFrame) -> tuple[State, list[Candidate]]:
    """Return the state that is judged against, and the candidates as versions, by their errors, NaN last."""
    with lock(name, "promote"):
        state = transitions.mend_held(name)
        known = client.search_model_versions(f"name = '{name}'")
        versions = [register(name, run, known) for run in runs]
    candidates = []
    for run, version in zip(runs, versions, strict=True):
        found = forecast(model_of(run), table, truth)
        empty = pd.DataFrame(np.nan, truth.index, truth.columns)
        candidates.append(
            Candidate(run, version, found, errors(empty if found.values is None else found.values, truth))
        )
    return state, sorted(candidates, key=lambda candidate: (isnan(mae := candidate.scores["mae"]), mae))


def gate_tags(candidate: Candidate, ground: Ground) -> dict[str, str]:
    """Return what the gate writes on a version that it has judged."""
    run = mlflow.active_run()
    verdict = "off" if ground.rules.mode == "off" else "passed" if candidate.passed else "failed"
    return {
        "gate": verdict,
        "gate.against": ground.production or "",
        "gate.mode": ground.rules.mode,
        "gate.run": run.info.run_id,
        "gate.by": run.data.tags.get("mlflow.user", "unknown"),
        "gate.when": datetime.now(UTC).isoformat(timespec="seconds"),
        "gate.remark": ground.remark,
    } | {f"gate.{result.rule}": f"{result.outcome}: {result.sentence}"[:1000] for result in candidate.results}


def write(
    name: str, before: State, candidates: list[Candidate], best: Candidate | None, ground: Ground, judged_on: str
):
    """Write errors and verdicts on the versions, and move the alias; raises Refused if another command was quicker."""
    with lock(name, "promote") as still_held:
        now = transitions.mend_held(name)
        if moved := transitions.moved_meanwhile(name, before, now):
            raise Refused(f"{moved}; nothing was moved. Judge again with: {PROMOTE}")
        rejected = best and (transitions.version_tags(name, best.version.version) or {}).get("rejected")
        if rejected and rejected != best.version.tags.get("rejected"):
            raise Refused(f"version {best.version.version} was rejected meanwhile ({rejected}); nothing was moved")
        for candidate in candidates:
            tags = {f"holdout_{key}": f"{value:.4f}" for key, value in candidate.scores.items()}
            tags |= {"step": candidate.step, "judged_on": judged_on}
            tags |= gate_tags(candidate, ground) if candidate.results else {}
            for key, value in tags.items():
                still_held()
                client.set_model_version_tag(name, candidate.version.version, key, value)
        if ground.rules.mode == "dry_run":
            return
        still_held()
        if best:
            if rejected:
                client.delete_model_version_tag(name, best.version.version, "rejected")
            client.set_registered_model_alias(name, CANDIDATE, best.version.version)
        elif now.candidate in [candidate.version.version for candidate in candidates]:
            client.delete_registered_model_alias(name, CANDIDATE)  # it has not passed this time


def show(candidates: list[Candidate], ground: Ground) -> None:
    """Print the errors of all, and each rule's result."""
    rows = [{"forecast": candidate.title} | candidate.scores for candidate in candidates]
    versions = [candidate.version.version for candidate in candidates]
    if ground.forecast and ground.forecast.values is not None and ground.production not in versions:
        title = f"in production (version {ground.production})"
        rows.append({"forecast": title} | errors(ground.forecast.values, ground.truth))
    rows += [{"forecast": name} | errors(values, ground.truth) for name, values in ground.naive.items()]
    evaluation = pd.DataFrame(rows).sort_values("mae")
    mlflow.log_table(evaluation, "evaluation.json")
    index = ground.truth.index
    print(f"promote: mean absolute error on {len(index)} rows from {index[0]} to {index[-1]}")
    columns = [f"mae_{target}" for target in ground.truth.columns]
    print(evaluation[["forecast", *columns, "mae"]].round(3).to_string(index=False))
    for candidate in candidates:
        for result in candidate.results:
            print(f"promote: {candidate.title}: {result.rule} {result.outcome}: {result.sentence}")
            for key, value in (result.numbers or {}).items():
                mlflow.log_metric(f"{result.rule}_{key}_version_{candidate.version.version}", value)


def promote(options: argparse.Namespace) -> None:
    """Evaluate, register, judge, and give the alias; the verdict is printed and logged."""
    name, rules = options.registered_model, load(options.rules, options.mode)
    transitions.mend(name)
    data = choose_table(options.data_run)
    digest = data.data.tags["table_sha256"]
    runs = choose_candidates(options.candidates, digest)
    table = read_table(data.info.run_id)
    truth = recorded(table, list(rules.targets))
    judged_on = f"{table.attrs.get('source', 'unknown')}, {truth.index[0]:%Y-%m-%d} to {truth.index[-1]:%Y-%m-%d}"

    state, candidates = prepare(name, runs, table, truth)
    ground = make_ground(name, state, candidates, table, truth, rules, digest)
    best, verdict = choose(name, candidates, ground)
    if rules.mode == "dry_run":
        verdict += ". This is a dry run: no alias was moved"
    if ground.remark:
        verdict += f". Note: {ground.remark}"
    show(candidates, ground)
    report = [
        {"version": candidate.version.version, "run": candidate.run.info.run_id, "step": candidate.step}
        | {"rules": [dataclasses.asdict(result) for result in candidate.results]}
        for candidate in candidates
    ]
    about = {"verdict": verdict, "mode": rules.mode, "against": state.production, "judged_on": judged_on}
    mlflow.log_dict(about | {"remark": ground.remark, "candidates": report}, "gate.json")
    mlflow.log_metrics({key: value for key, value in candidates[0].scores.items() if isfinite(value)})
    write(name, state, candidates, best, ground, judged_on)
    waiting = best.version.version if best and rules.mode != "dry_run" else ""
    mlflow.set_tags({"verdict": verdict, "candidate_version": waiting, "data_run": data.info.run_id})
    if not best and state.production is None and rules.mode != "dry_run":
        raise Refused(f"{verdict}. Nothing is in production, and nothing waits for approval.")
    print(f"promote: {verdict}.")


def main(arguments: Sequence[str] | None = None) -> None:
    """Promote, as a step of its own."""
    parser = argparse.ArgumentParser(description="Judge the candidates; the best one that passes waits for approval.")
    parser.add_argument("--candidates", default="newest", help="run ids with commas between, or newest")
    parser.add_argument("--data-run", default="newest", help="run of 3_projects/data whose holdout is used, or newest")
    parser.add_argument("--rules", default="rules.yaml", help="a file beside this one, or from the top of the project")
    parser.add_argument("--mode", default="", choices=["", *MODES], help="default: as the rules say")
    parser.add_argument("--registered-model", default="wind_solar", help="default: %(default)s")
    options = parser.parse_args(arguments)
    with command("promote"):
        promote(options)


if __name__ == "__main__":
    main()
