"""The gate: judge the challengers on the holdout; the best one that passes waits for approval as ``candidate``.

    mlflow run 3_projects/registry -e validate --env-manager local

A challenger is the model of the newest run of each training project. All of them become versions of the registered
model. They are tried in the order of their errors until one passes the rules of rules.yaml. Each rule's result is on
the version, as tags, and on this run, as gate.json. The version goes into production by ``approve``.
"""

import argparse
import dataclasses
from collections.abc import Sequence
from datetime import UTC, datetime
from math import inf, isfinite

import mlflow
import pandas as pd
from decisions import check_unmoved, read_ledger
from gate import Challenger, Champion, choose, find_champion
from holdout import Holdout, add_options, errors, forecast, read_holdout
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion
from thresholds import MODES, load

from forecasting.entry_point import command, next_command
from forecasting.errors import UserError
from forecasting.ledger import CANDIDATE
from forecasting.tracking import find_challengers, model_of, project_of


def register(name: str, runs: list[Run]) -> list[ModelVersion]:
    """Return the version of each run's model, made if the registered model has none with it yet."""
    # The server leaves model_id empty in its answers; the source says the same.
    known = {version.source: version for version in mlflow.MlflowClient().search_model_versions(f"name = '{name}'")}
    return [known.get(model_of(run)) or mlflow.register_model(model_of(run), name) for run in runs]


def write_tags(name: str, challenger: Challenger, champion: Champion, holdout: Holdout) -> None:
    """Write the errors on a version, and the verdict with each rule's result if it was judged."""
    tags = {f"holdout_{key}": f"{value:.4f}" for key, value in challenger.scores.items()}
    tags |= {"project": project_of(challenger.run), "judged_on": holdout.title}
    if challenger.results:
        mode = holdout.thresholds.mode
        tags |= {
            "gate": "off" if mode == "off" else "failed" if challenger.failed else "passed",
            "gate.against": champion.version or "",
            "gate.mode": mode,
            "gate.run": mlflow.active_run().info.run_id,
            "gate.when": datetime.now(UTC).isoformat(),
            "gate.remark": champion.remark if champion.version else "",
        }
        tags |= {f"gate.{result.rule}": f"{result.outcome}: {result.sentence}"[:1000] for result in challenger.results}
    for key, value in tags.items():
        mlflow.MlflowClient().set_model_version_tag(name, challenger.number, key, value)


def show(challengers: list[Challenger], champion: Champion, holdout: Holdout) -> None:
    """Print and log the errors of all forecasts, and each rule's result."""
    actuals = holdout.actuals
    rows = [{"forecast": challenger.title} | challenger.scores for challenger in challengers]
    others = champion.version not in [challenger.number for challenger in challengers]
    if others and champion.forecast.values is not None:
        title = f"in production (version {champion.version})"
        rows.append({"forecast": title} | errors(champion.forecast.values, actuals))
    rows += [{"forecast": name} | errors(values, actuals) for name, values in holdout.baselines.items()]
    evaluation = pd.DataFrame(rows).sort_values("mae")
    mlflow.log_table(evaluation, "evaluation.json")
    mlflow.log_metrics({key: value for key, value in challengers[0].scores.items() if isfinite(value)})
    print(f"validate: mean absolute error on {len(actuals)} rows of {holdout.title}")
    columns = [f"mae_{target}" for target in actuals.columns]
    print(evaluation[["forecast", *columns, "mae"]].round(3).to_string(index=False))
    for challenger in challengers:
        for result in challenger.results:
            print(f"validate: {challenger.title}: {result.rule} {result.outcome}: {result.sentence}")
            for key, value in (result.numbers or {}).items():
                mlflow.log_metric(f"{result.rule}_{key}_version_{challenger.number}", value)


def validate(options: argparse.Namespace) -> None:
    """Evaluate, register, judge, and give the alias ``candidate``; the verdict is printed and logged."""
    name, thresholds = options.registered_model, load(options.rules, options.mode)
    before = read_ledger(name)
    holdout = read_holdout(options.data_run, thresholds)
    runs = find_challengers(options.challengers, holdout.table.digest, next_command("lr"))
    versions = register(name, runs)
    models = {str(version.version): model_of(run) for run, version in zip(runs, versions, strict=True)}
    if before.production:
        models.setdefault(before.production, f"models:/{name}/{before.production}")
    forecasts = forecast(models, holdout)
    challengers = [
        Challenger(run, version, about, errors(about.values, holdout.actuals))
        for run, version, about in zip(runs, versions, forecasts.values(), strict=False)  # the champion may come last
    ]
    # The smallest error first, those without one last.
    challengers.sort(key=lambda challenger: challenger.scores["mae"] if isfinite(challenger.scores["mae"]) else inf)
    champion = find_champion(before, holdout, forecasts)
    best, sentences = choose(challengers, champion, holdout, before)
    verdict, dry_run = sentences[-1], thresholds.mode == "dry_run"
    if dry_run:
        sentences.append("This is a dry run: no alias was moved")
    if champion.version and champion.remark:
        sentences.append(f"Note: {champion.remark}")
    show(challengers, champion, holdout)
    judged = [
        {"version": challenger.number, "run": challenger.run.info.run_id, "project": project_of(challenger.run)}
        | {"rules": [dataclasses.asdict(result) for result in challenger.results]}
        for challenger in challengers
    ]
    about = {"verdict": verdict, "mode": thresholds.mode, "judged_on": holdout.title, "remark": champion.remark}
    mlflow.log_dict(about | {"against": champion.version, "challengers": judged}, "gate.json")

    again = next_command("registry -e validate", name)
    check_unmoved(before, f"nothing was moved. Judge again with: {again}")
    for challenger in challengers:
        write_tags(name, challenger, champion, holdout)
    client = mlflow.MlflowClient()
    if best and not dry_run:
        client.set_registered_model_alias(name, CANDIDATE, best.number)
    elif not dry_run and before.candidate in [challenger.number for challenger in challengers]:
        client.delete_registered_model_alias(name, CANDIDATE)  # it has not passed this time
    tags = {"verdict": verdict, "candidate_version": best.number if best and not dry_run else ""}
    mlflow.set_tags(tags | {"data_run": holdout.table.run_id, "mlflow.note.content": "\n\n".join(sentences)})
    print("\n".join(f"validate: {sentence}." for sentence in sentences))
    if not best and champion.version is None and not dry_run:
        raise UserError(f"{sentences[0]}. Nothing is in production, and nothing waits for approval.")


def main(arguments: Sequence[str] | None = None) -> None:
    """Let the gate judge."""
    parser = argparse.ArgumentParser(description="Judge the challengers; the best one that passes waits for approval.")
    parser.add_argument("--mode", default="rules", choices=["rules", *MODES], help="default: as the rules say")
    add_options(parser)
    with command("validate", parser, arguments) as options:
        validate(options)


if __name__ == "__main__":
    main()
