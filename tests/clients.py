"""Client processes that can be killed: forked from a process that has imported MLflow, so that each starts at once.

A child says that it begins, and its exit status is what came of it.
"""

import multiprocessing
import os
import random
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

FAILED = 3  # exit status of a client that got an MlflowException


def forked(deed: Callable, *arguments):
    """Return a process that is ready to do something and the event that it sets when it begins; skips on Windows."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        pytest.skip("Windows does not fork, and a hundred processes that import MLflow take minutes")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["mlflow.pyfunc", "mlflow.sklearn", "mlflow_ftp", "pytest", "sklearn.linear_model"])
    begun = context.Event()
    return context.Process(target=do, args=(dict(os.environ), begun, deed, *arguments)), begun


def do(environment: dict[str, str], begun, deed: Callable, *arguments) -> None:
    """Do something in a child with the environment of now, not with that of the process that it is forked from."""
    from mlflow.exceptions import MlflowException

    os.environ.clear()
    os.environ.update(environment)
    begun.set()
    try:
        deed(*arguments)
    except MlflowException:
        sys.exit(FAILED)


def upload(address: str, source: Path, artifact_path: str) -> None:
    """Upload a folder with the plugin."""
    from mlflow_ftp import FTPArtifactRepository

    FTPArtifactRepository(address).log_artifacts(str(source), artifact_path)


def upload_with_stock_client(address: str, source: Path, artifact_path: str) -> None:
    """Upload a folder with MLflow's own client, which takes user and password from the address only."""
    from urllib.parse import quote

    from mlflow.store.artifact.ftp_artifact_repo import FTPArtifactRepository

    user, password = (quote(os.environ[f"MLFLOW_FTP_{name}"], safe="") for name in ("USERNAME", "PASSWORD"))
    address = address.replace("://", f"://{user}:{password}@")
    FTPArtifactRepository(address).log_artifacts(str(source), artifact_path)


def upload_in_a_fork_too(address: str, folder: Path) -> None:
    """Upload fifty files, and in a child another fifty, with a repository that both have from the parent."""
    from mlflow_ftp import FTPArtifactRepository

    repository = FTPArtifactRepository(address)
    repository.list_artifacts()
    child = os.fork()
    for number in range(50):
        file = folder / f"{'parent' if child else 'child'} {number}"
        file.write_text(file.name)
        repository.log_artifact(file, "forked")
    if child == 0:
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        sys.exit(FAILED)


def log_and_register(tracking_uri: str, experiment: str, model_name: str, seed: int) -> None:
    """Log a model of half a MB and register it."""
    import mlflow
    import numpy
    from sklearn.linear_model import LinearRegression

    mlflow.set_tracking_uri(tracking_uri)
    model = LinearRegression()
    model.coef_, model.intercept_ = numpy.random.default_rng(seed).random(60_000), float(seed)
    with mlflow.start_run(experiment_id=experiment):
        mlflow.sklearn.log_model(
            model,
            name="model",
            registered_model_name=model_name,
            pip_requirements=["scikit-learn"],
            serialization_format="cloudpickle",
        )


def metrics_of(number: int) -> dict[int, dict[str, float]]:
    """Return the 50 metrics of a client as 5 names at 10 steps; no two clients have a value in common."""
    values = random.Random(number)
    return {step: {f"metric_{name}": number + values.random() for name in range(5)} for step in range(10)}


def files_of(number: int) -> dict[str, bytes]:
    """Return the 7 files of a client's model; no two clients have a file in common."""
    content = random.Random(number)
    names = ("conda.yaml", "python_env.yaml", "requirements.txt", "input_example.json", "code/model.py")
    sizes = {"MLmodel": 900, "model.pkl": 400_000} | dict.fromkeys(names, 2000)
    return {name: content.randbytes(size) for name, size in sizes.items()}


def log_run(tracking_uri: str, run_id: str, number: int, source: Path) -> None:
    """Log the metrics of a client, a batch for each step, and a folder."""
    import mlflow

    mlflow.set_tracking_uri(tracking_uri)
    with mlflow.start_run(run_id):
        for step, metrics in metrics_of(number).items():
            mlflow.log_metrics(metrics, step=step)
        mlflow.log_artifacts(str(source), "model")
