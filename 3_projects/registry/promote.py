"""Judge the candidates on the last year, register them, and let the best one into production if it has earned it.

    mlflow run 3_projects/registry --env-manager local

A candidate is the model of the newest run of each training project. All of them become versions of the registered
model; the best one gets the alias ``production`` if, on hours that no training step saw, it is better than both naive
forecasts in both targets and not worse than the model in production.
"""

import argparse
import sys

import mlflow
import pandas as pd
from evaluate import TARGETS, climatology, errors, persistence, recorded
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

client = mlflow.MlflowClient()


def finished_runs(step: str) -> list[Run]:
    """Return the finished runs of a filter on the tag ``step``, the newest first."""
    return mlflow.search_runs(
        search_all_experiments=True,
        filter_string=f"tags.step {step} and attributes.status = 'FINISHED'",
        output_format="list",
    )


def newest_candidates() -> list[Run]:
    """Return the newest run with a logged model of each training project."""
    newest = {}
    for run in finished_runs("!= 'data'"):
        if run.outputs and run.outputs.model_outputs:
            newest.setdefault(run.data.tags["step"], run)
    return list(newest.values())


def production_version(name: str):
    """Return the version in production, or None."""
    try:
        return client.get_model_version_by_alias(name, "production")
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise


def register(name: str, model_id: str, tags: dict[str, str]):
    """Return the version of the registered model that holds this logged model, made if there is none yet."""
    # The server leaves model_id empty in its answers; the source says the same.
    source = f"models:/{model_id}"
    versions = client.search_model_versions(f"name = '{name}'")
    version = next((version for version in versions if version.source == source), None)
    if version is None:
        version = mlflow.register_model(source, name)
    for key, value in tags.items():
        client.set_model_version_tag(name, version.version, key, value)
    return version


def objections(best: dict, naive: dict[str, dict], production: dict | None) -> list[str]:
    """Return why the best candidate may not go into production; an empty list lets it through."""
    reasons = [
        f"{name} is as good in {target} (MAE {scores[f'mae_{target}']:.3f} GW against {best[f'mae_{target}']:.3f})"
        for name, scores in naive.items()
        for target in TARGETS
        if not best[f"mae_{target}"] < scores[f"mae_{target}"]
    ]
    if production and not best["mae"] <= production["mae"]:
        reasons.append(f"the model in production is better (MAE {production['mae']:.3f} GW against {best['mae']:.3f})")
    return reasons


def stop(message: str) -> None:
    """End the step, and leave the reason on its run for the workflow."""
    mlflow.set_tag("error", message)
    sys.exit(f"registry: {message}")


def main() -> None:
    """Evaluate, register, promote; the verdict is printed and logged."""
    parser = argparse.ArgumentParser(description="Judge the candidates and let the best one into production.")
    parser.add_argument("--candidates", default="newest", help="run ids with commas between, or newest")
    parser.add_argument("--data-run", default="newest", help="run of 3_projects/data whose holdout is used, or newest")
    parser.add_argument("--registered-model", default="wind_solar", help="default: %(default)s")
    options = parser.parse_args()
    name = options.registered_model

    with mlflow.start_run():
        mlflow.set_tag("step", "registry")
        if options.data_run == "newest":
            data_runs = finished_runs("= 'data'")
            if not data_runs:
                stop("there is no table to judge on yet; make it with: mlflow run 3_projects/data --env-manager local")
            options.data_run = data_runs[0].info.run_id
        if options.candidates == "newest":
            candidates = newest_candidates()
        else:
            candidates = [client.get_run(run_id) for run_id in options.candidates.split(",")]
        if not candidates:
            stop("no model has been trained yet; train one with: mlflow run 3_projects/lr --env-manager local")
        table = pd.read_parquet(
            mlflow.artifacts.download_artifacts(run_id=options.data_run, artifact_path="table.parquet")
        )
        truth = recorded(table)

        def judge(uri: str) -> dict[str, float]:
            model = mlflow.pyfunc.load_model(uri)
            rows = table.loc[truth.index, model.metadata.get_input_schema().input_names()]
            return errors(model.predict(rows), truth)

        naive = {"persistence": errors(persistence(table), truth), "climatology": errors(climatology(table), truth)}
        judged = {run.info.run_id: judge(f"models:/{run.outputs.model_outputs[0].model_id}") for run in candidates}
        current = production_version(name)
        if current and current.run_id not in judged:
            judged[current.run_id] = judge(f"models:/{name}/{current.version}")

        versions = {}
        for run in candidates:
            scores = judged[run.info.run_id]
            tags = {
                "step": run.data.tags["step"],
                "judged_on": f"{table.attrs['source']}, {truth.index[0]:%Y-%m-%d} to {truth.index[-1]:%Y-%m-%d}",
            }
            tags |= {f"holdout_{key}": f"{value:.4f}" for key, value in scores.items()}
            versions[run.info.run_id] = register(name, run.outputs.model_outputs[0].model_id, tags)

        best = min(candidates, key=lambda run: judged[run.info.run_id]["mae"])
        version = versions[best.info.run_id]
        title = f"{name} version {version.version} ({best.data.tags['step']})"
        reasons = objections(judged[best.info.run_id], naive, judged[current.run_id] if current else None)
        if reasons:
            verdict = f"{title} is not promoted: {'; '.join(reasons)}."
        elif current and current.version == version.version:
            verdict = f"{title} stays in production."
        else:
            client.set_registered_model_alias(name, "production", version.version)
            verdict = f"{title} is in production now" + (f", after version {current.version}." if current else ".")

        rows = [
            {"forecast": f"{run.data.tags['step']} (version {versions[run.info.run_id].version})"}
            | judged[run.info.run_id]
            for run in candidates
        ]
        if current and current.run_id not in versions:
            rows.append({"forecast": f"in production before (version {current.version})"} | judged[current.run_id])
        rows += [{"forecast": forecast} | scores for forecast, scores in naive.items()]
        evaluation = pd.DataFrame(rows).sort_values("mae")
        mlflow.log_table(evaluation, "evaluation.json")
        mlflow.log_metrics(judged[best.info.run_id])
        print(f"registry: MAE in GW on {len(truth)} hours from {truth.index[0]} to {truth.index[-1]}")
        print(evaluation[["forecast", "mae_solar_GW", "mae_wind_GW", "mae"]].round(3).to_string(index=False))

        production = production_version(name)
        if production is None:
            stop(f"{verdict} Nothing is in production.")
        mlflow.set_tags({"verdict": verdict, "production_version": production.version, "data_run": options.data_run})
        print(f"registry: {verdict}")


if __name__ == "__main__":
    main()
