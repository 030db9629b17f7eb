"""A bounded search for the settings of the boosting, which goes on where it was stopped.

Each trial is a child run. A later search with the same code, data and seed takes the finished ones over, also those of
a run that was killed, and tries what is left: the runs are the study, so nothing else has to survive.
"""

import hashlib
import os
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import count, takewhile
from pathlib import Path

import mlflow
import optuna
import pandas as pd
from capacity import TARGETS, features_of, fit_mean
from mlflow.entities import Metric, Param, Run
from model import size_of
from optuna.distributions import FloatDistribution, IntDistribution
from sklearn.metrics import mean_absolute_error
from threadpoolctl import threadpool_limits

MOST_TREES = 250
SPACE = {
    "learning_rate": FloatDistribution(0.05, 0.2, log=True),
    "max_leaf_nodes": IntDistribution(8, 40, log=True),
    "min_samples_leaf": IntDistribution(10, 200, log=True),
    "l2_regularization": FloatDistribution(0.01, 100.0, log=True),
    "max_features": FloatDistribution(0.3, 1.0),
}
# The first trial, so that few trials are good as well.
USUAL = {
    "learning_rate": 0.06,
    "max_leaf_nodes": 15,
    "min_samples_leaf": 20,
    "l2_regularization": 0.01,
    "max_features": 1.0,
}


def digest_of_search(table_sha256: str, seed: int) -> str:
    """Return what two searches must have in common to share their trials: code, requirements, table and seed."""
    folder = Path(__file__).parent
    digest = hashlib.sha256(f"{table_sha256} {seed}".encode())
    for path in sorted([*folder.glob("*.py"), folder / "python_env.yaml"]):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def kept_trials(digest: str) -> list[Run]:
    """Return the finished trials of earlier searches in their order, up to the first one that is missing."""
    runs = mlflow.search_runs(
        search_all_experiments=True,
        filter_string=f"tags.search = '{digest}' and attributes.status = 'FINISHED'",
        output_format="list",
    )
    by_number = {int(run.data.params["trial"]): run for run in runs}
    return [by_number[number] for number in takewhile(by_number.__contains__, count())]


def add_kept(study: optuna.Study, run: Run, target: str) -> None:
    """Take a finished trial over into a study."""
    texts = {name: run.data.params[f"{target}.{name}"] for name in SPACE}
    study.add_trial(
        optuna.create_trial(
            params={name: float(text) if "." in text else int(text) for name, text in texts.items()},
            distributions=SPACE,
            value=run.data.metrics[f"validation_mae_{target}"],
            user_attrs={"max_iter": int(run.data.params[f"{target}.max_iter"])},
        )
    )


def fit_trial(hours: pd.DataFrame, target: str, growth: float, settings: dict) -> tuple[int, float]:
    """Return with how many trees the weeks of validation are met best, and the MAE of that in GW."""
    boosting = fit_mean(
        hours, target, growth, **settings, max_iter=MOST_TREES, early_stopping=True, n_iter_no_change=10
    )
    kept = hours[hours["split"] == "validation"]
    power = boosting.predict(kept[features_of(hours, target)].to_numpy()).clip(min=0)
    size = size_of(kept, target, growth, hours["trend"].iloc[-1])
    return boosting.n_iter_, mean_absolute_error(kept[target], power * size)


def run_trial(studies: dict[str, optuna.Study], hours: pd.DataFrame, growth: dict[str, float], number: int, seed: int):
    """Try one set of settings for each target, side by side."""
    with ThreadPoolExecutor(os.cpu_count(), initializer=threadpool_limits, initargs=(1, "openmp")) as threads:
        trials, fits = {}, {}
        for target, study in studies.items():
            # A seed for each trial: a search that was stopped goes on as if it had not been.
            study.sampler = optuna.samplers.TPESampler(seed=seed + number)
            trials[target] = study.ask(SPACE)
            settings = {**trials[target].params, "random_state": seed}
            fits[target] = threads.submit(fit_trial, hours, target, growth[target], settings)
        for target, study in studies.items():
            trees, mae = fits[target].result()
            trials[target].set_user_attr("max_iter", trees)
            study.tell(trials[target], mae)


def keep_trial(studies: dict[str, optuna.Study], number: int, digest: str, started: int) -> None:
    """Note the last trial of each study in a child run, which counts when it is finished."""
    client, parent = mlflow.MlflowClient(), mlflow.active_run().info
    tags = {"mlflow.parentRunId": parent.run_id, "search": digest}
    run = client.create_run(parent.experiment_id, started, tags, f"trial {number + 1}").info.run_id
    params, metrics = [Param("trial", str(number))], []
    for target, study in studies.items():
        trial = study.trials[-1]
        params += [Param(f"{target}.{name}", str(value)) for name, value in (trial.params | trial.user_attrs).items()]
        metrics.append(Metric(f"validation_mae_{target}", trial.value, started, 0))
    client.log_batch(run, metrics, params)
    client.set_terminated(run)


def search(
    hours: pd.DataFrame, growth: dict[str, float], trials: int, seed: int, digest: str
) -> dict[str, optuna.Study]:
    """Return a study of each target with that many trials, those of earlier searches included.

    ``hours`` are the training part of the table, with its weeks of training and of validation in ``split``.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    studies = {target: optuna.create_study(direction="minimize") for target in TARGETS}
    kept = kept_trials(digest)[:trials]
    for target, study in studies.items():
        for run in kept:
            add_kept(study, run, target)
        if not kept:
            study.enqueue_trial(USUAL)
    if kept:
        print(f"boosting: {len(kept)} of {trials} trials are kept from an earlier search", flush=True)
    mlflow.log_metric("kept_trials", len(kept))
    for number in range(len(kept), trials):
        started = int(1000 * time.time())
        run_trial(studies, hours, growth, number, seed)
        keep_trial(studies, number, digest, started)
        found = [
            f"{target} {study.trials[-1].value:.3f} (best {study.best_value:.3f})" for target, study in studies.items()
        ]
        print(f"boosting: trial {number + 1} of {trials}: MAE in GW: {', '.join(found)}", flush=True)
    return studies


def best_settings(study: optuna.Study, seed: int) -> dict:
    """Return the settings that did best, with the number of trees that they took."""
    return {**study.best_params, "max_iter": study.best_trial.user_attrs["max_iter"], "random_state": seed}
