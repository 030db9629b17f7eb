"""Judge the candidates on the last year, register them, and let the best one into production if it has earned it.

    mlflow run 3_projects/registry --env-manager local

A candidate is the model of the newest run of each training project. All of them become versions of the registered
model; the best one gets the alias ``production`` if, on hours that no training step saw, it is better than both naive
forecasts in both targets and not worse than the model in production.
"""

import argparse
import functools
import sys
import tempfile
from math import isnan
from typing import NoReturn

import mlflow
import pandas as pd
from evaluate import TARGETS, climatology, errors, persistence, recorded
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow_ftp.preflight import preflight

client = mlflow.MlflowClient()


def stop(message: str) -> NoReturn:
    """End the step, and leave the reason on its run for the workflow."""
    mlflow.set_tag("error", message)
    sys.exit(f"registry: {message}")


def finished_runs(step: str, order: str = "attributes.start_time DESC") -> list[Run]:
    """Return the finished runs that a condition on the tag ``step`` holds for."""
    return mlflow.search_runs(
        search_all_experiments=True,
        filter_string=f"tags.step {step} and attributes.status = 'FINISHED'",
        order_by=[order],
        output_format="list",
    )


def choose_table(data_run: str) -> Run:
    """Return the run of 3_projects/data whose table is judged on; ``newest`` stands for the one used last."""
    if data_run != "newest":
        return client.get_run(data_run)
    runs = finished_runs("= 'data'", "tags.used_at DESC")
    if not runs:
        stop("there is no table to judge on yet; make it with: mlflow run 3_projects/data --env-manager local")
    return runs[0]


@functools.cache
def digest_of(data_run: str | None) -> str | None:
    """Return the digest of the table of a run of 3_projects/data, None if no run is named."""
    return client.get_run(data_run).data.tags.get("table_sha256") if data_run else None


def choose_candidates(run_ids: str, digest: str) -> list[Run]:
    """Return the runs whose models are judged; ``newest`` stands for the newest one of each training project.

    All of them have to be trained on the table that they are judged on: another one may have had another holdout, and
    the judged hours in its training.
    """
    if run_ids == "newest":
        newest = {}
        for run in finished_runs("!= 'data'"):
            if run.outputs and run.outputs.model_outputs and digest_of(run.data.tags.get("data_run")) == digest:
                newest.setdefault(run.data.tags["step"], run)
        if not newest:
            stop("no model was trained on this table; train one with: mlflow run 3_projects/lr --env-manager local")
        return list(newest.values())
    candidates = []
    for run_id in run_ids.split(","):
        try:
            run = client.get_run(run_id)
        except MlflowException:
            stop(f"the candidate {run_id} is no run on this tracking server; give the id of a training run")
        if not (run.outputs and run.outputs.model_outputs):
            stop(f"the candidate {run_id} has no model; give the id of a training run")
        if digest_of(run.data.tags.get("data_run")) != digest:
            stop(f"the candidate {run_id} was trained on another table than it would be judged on; train it again")
        candidates.append(run)
    return candidates


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


def judge(uri: str, table: pd.DataFrame) -> dict[str, float]:
    """Return the errors of a model on the recorded hours of the holdout, in GW."""
    with tempfile.TemporaryDirectory() as folder:
        model = mlflow.pyfunc.load_model(uri, dst_path=folder)
    truth = recorded(table)
    rows = table.loc[truth.index, model.metadata.get_input_schema().input_names()]
    return errors(model.predict(rows), truth)


def main() -> None:
    """Evaluate, register, promote; the verdict is printed and logged."""
    parser = argparse.ArgumentParser(description="Judge the candidates and let the best one into production.")
    parser.add_argument("--candidates", default="newest", help="run ids with commas between, or newest")
    parser.add_argument("--data-run", default="newest", help="run of 3_projects/data whose holdout is used, or newest")
    parser.add_argument("--registered-model", default="wind_solar", help="default: %(default)s")
    options = parser.parse_args()
    name = options.registered_model

    preflight("registry")
    with mlflow.start_run(), tempfile.TemporaryDirectory() as folder:
        mlflow.set_tag("step", "registry")
        data = choose_table(options.data_run)
        candidates = choose_candidates(options.candidates, data.data.tags["table_sha256"])
        path = mlflow.artifacts.download_artifacts(
            run_id=data.info.run_id, artifact_path="table.parquet", dst_path=folder
        )
        table = pd.read_parquet(path)
        truth = recorded(table)
        judged_on = f"{table.attrs['source']}, {truth.index[0]:%Y-%m-%d} to {truth.index[-1]:%Y-%m-%d}"

        naive = {"persistence": errors(persistence(table), truth), "climatology": errors(climatology(table), truth)}
        rows, versions, scores = [], {}, {}
        for run in candidates:
            run_id, step, model_id = run.info.run_id, run.data.tags["step"], run.outputs.model_outputs[0].model_id
            scores[run_id] = judge(f"models:/{model_id}", table)
            tags = {f"holdout_{key}": f"{value:.4f}" for key, value in scores[run_id].items()}
            versions[run_id] = register(name, model_id, tags | {"step": step, "judged_on": judged_on})
            rows.append({"forecast": f"{step} (version {versions[run_id].version})"} | scores[run_id])

        current, remark = production_version(name), ""
        same = [run_id for run_id in scores if current and versions[run_id].version == current.version]
        current_scores = scores[same[0]] if same else None
        if current and not current_scores:
            # A model that is gone, or that wants columns which are gone, must not stand in the way of its successor.
            try:
                current_scores = judge(f"models:/{name}/{current.version}", table)
                rows.append({"forecast": f"in production (version {current.version})"} | current_scores)
            except Exception as error:
                reason = (str(error) or type(error).__name__).splitlines()[0]
                remark = f" Version {current.version} could not be judged any more: {reason}"

        best = min(candidates, key=lambda run: (isnan(mae := scores[run.info.run_id]["mae"]), mae))
        best_scores, version = scores[best.info.run_id], versions[best.info.run_id]
        title = f"{name} version {version.version} ({best.data.tags['step']})"
        reasons = objections(best_scores, naive, current_scores)
        if reasons:
            verdict = f"{title} is not promoted: {'; '.join(reasons)}."
        elif current and current.version == version.version:
            verdict = f"{title} stays in production."
        else:
            client.set_registered_model_alias(name, "production", version.version)
            verdict = f"{title} is in production now" + (f", after version {current.version}." if current else ".")
        verdict += remark

        rows += [{"forecast": forecast} | naive_scores for forecast, naive_scores in naive.items()]
        evaluation = pd.DataFrame(rows).sort_values("mae")
        mlflow.log_table(evaluation, "evaluation.json")
        mlflow.log_metrics(best_scores)
        print(f"registry: MAE in GW on {len(truth)} hours from {truth.index[0]} to {truth.index[-1]}")
        print(evaluation[["forecast", "mae_solar_GW", "mae_wind_GW", "mae"]].round(3).to_string(index=False))

        production = production_version(name)
        if production is None:
            stop(f"{verdict} Nothing is in production.")
        mlflow.set_tags({"verdict": verdict, "production_version": production.version, "data_run": data.info.run_id})
        print(f"registry: {verdict}")


if __name__ == "__main__":
    main()
