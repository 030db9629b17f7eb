"""A bounded search for the settings of the boosting, which resumes where it was stopped.

Each trial is a child run. A later search in the same experiment, with the same code, data and seed, copies the finished
trials of earlier searches, killed ones too, below its own run and does the rest. The runs are the study: nothing else
has to survive.
"""

import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from itertools import count, takewhile
from pathlib import Path

import mlflow
import optuna
import pandas as pd
from capacity import TARGETS, features_of, fit_mean
from mlflow.entities import Run
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
    """Return a digest of code, requirements, table and seed; searches with the same digest share their trials."""
    folder = Path(__file__).parent
    digest = hashlib.sha256(f"{table_sha256} {seed}".encode())
    for path in sorted([*folder.glob("*.py"), folder / "python_env.yaml"]):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def kept_trials(digest: str) -> list[Run]:
    """Return the finished trials of earlier searches in their order, up to the first one that is missing."""
    runs = mlflow.search_runs(
        filter_string=f"tags.search = '{digest}' and attributes.status = 'FINISHED'",
        output_format="list",
    )
    by_number = {int(run.data.params["trial"]): run for run in runs}
    return [by_number[number] for number in takewhile(by_number.__contains__, count())]


def add_kept(study: optuna.Study, run: Run, target: str) -> None:
    """Add the finished trial of a child run to a study."""
    params = {name: json.loads(run.data.params[f"{target}.{name}"]) for name in [*SPACE, "max_iter"]}
    trees = {"max_iter": params.pop("max_iter")}
    mae = run.data.metrics[f"validation_mae_{target}"]
    study.add_trial(optuna.create_trial(params=params, distributions=SPACE, value=mae, user_attrs=trees))


def fit_trial(hours: pd.DataFrame, target: str, growth: float, settings: dict) -> tuple[int, float]:
    """Return the number of trees with the smallest error on the validation weeks, and its MAE in GW."""
    boosting = fit_mean(
        hours, target, growth, **settings, max_iter=MOST_TREES, early_stopping=True, n_iter_no_change=10
    )
    kept = hours[hours["split"] == "validation"]
    power = boosting.predict(kept[features_of(hours, target)].to_numpy()).clip(min=0)
    size = size_of(kept, target, growth, hours["trend"].iloc[-1])
    return boosting.n_iter_, mean_absolute_error(kept[target], power * size)


def run_trial(studies: dict[str, optuna.Study], hours: pd.DataFrame, growth: dict[str, float], number: int, seed: int):
    """Try one set of settings for each target, in parallel."""
    with ThreadPoolExecutor(os.cpu_count(), initializer=threadpool_limits, initargs=(1, "openmp")) as threads:
        trials, fits = {}, {}
        for target, study in studies.items():
            # A seed for each trial, so that a resumed search tries what an uninterrupted one would have tried.
            study.sampler = optuna.samplers.TPESampler(seed=seed + number)
            trials[target] = study.ask(SPACE)
            settings = {**trials[target].params, "random_state": seed}
            fits[target] = threads.submit(fit_trial, hours, target, growth[target], settings)
        for target, study in studies.items():
            trees, mae = fits[target].result()
            trials[target].set_user_attr("max_iter", trees)
            study.tell(trials[target], mae)


def log_trial(studies: dict[str, optuna.Study], number: int) -> None:
    """Log a trial of each study to the active run."""
    mlflow.log_param("trial", number)
    for target, study in studies.items():
        trial = study.trials[number]
        mlflow.log_params({f"{target}.{name}": value for name, value in (trial.params | trial.user_attrs).items()})
        mlflow.log_metric(f"validation_mae_{target}", trial.value)


def search(
    hours: pd.DataFrame, growth: dict[str, float], trials: int, seed: int, digest: str
) -> dict[str, optuna.Study]:
    """Return a study of each target with that many trials, those of earlier searches included.

    ``hours`` are the training part of the table, with its weeks of training and of validation in ``split``.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    studies = {target: optuna.create_study(direction="minimize") for target in TARGETS}
    kept = kept_trials(digest)[:trials]
    mlflow.log_metric("kept_trials", len(kept))
    if kept:
        print(f"boosting: {len(kept)} of {trials} trials are copied from an earlier search", flush=True)
    else:
        for study in studies.values():
            study.enqueue_trial(USUAL)
    for number in range(trials):
        # The run counts once it is finished: what is killed in between is tried again.
        with mlflow.start_run(run_name=f"trial {number + 1}", nested=True, tags={"search": digest}):
            if number < len(kept):
                mlflow.set_tag("copied_from", kept[number].info.run_id)
                for target, study in studies.items():
                    add_kept(study, kept[number], target)
            else:
                run_trial(studies, hours, growth, number, seed)
            log_trial(studies, number)
        if number >= len(kept):
            errors = [
                f"{name} {study.trials[-1].value:.3f} (best {study.best_value:.3f})" for name, study in studies.items()
            ]
            print(f"boosting: trial {number + 1} of {trials}: MAE in GW: {', '.join(errors)}", flush=True)
    return studies


def best_settings(study: optuna.Study, seed: int) -> dict:
    """Return the best settings and their number of trees, as arguments of the boosting."""
    return {**study.best_params, "max_iter": study.best_trial.user_attrs["max_iter"], "random_state": seed}
