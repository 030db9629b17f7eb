"""Copy the approved version of a model to an S3 bucket, and check that the copy predicts what the original predicts.

    mlflow run 3_projects/stock -e deploy --env-manager local -P bucket=NAME

The copy is at models/REGISTERED_MODEL/VERSION in the bucket, where mlflow.pyfunc.load_model("s3://...") finds it. It is
complete if it has a manifest.json: that is written last, after the copy was loaded from the bucket and compared. The
file MLmodel is the last of the others, so that half a copy can't be loaded.
boto3 finds the credentials: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or a role. Without an endpoint
the bucket is Amazon's.
"""

import argparse
import contextlib
import json
import os
import re
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import mlflow
import pandas as pd
from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.s3_artifact_repo import S3ArtifactRepository

from forecasting import ledger
from forecasting.entry_point import command, next_command
from forecasting.errors import UserError
from forecasting.files import sha256
from forecasting.production import ALIAS, find_version

MANIFEST = "manifest.json"
TOLERANCE = 1e-6  # relative; the threads of a network may add in another order


def find_approved(name: str, version: str) -> ModelVersion:
    """Find a version by its alias or number; raises UserError unless the ledger says that it was approved.

    An alias alone proves nothing: anybody can move one in the MLflow pages.
    """
    about = find_version(name, version, f"{next_command('stock')} -e register, or name one with -P version=NUMBER")
    number = str(about.version)
    decision = ledger.read(name).decision_on(number)
    if decision is None:
        raise UserError(
            f"expected an approved version, found no approval of {name} version {number} in the ledger. Approve it "
            f"with: {next_command('registry -e approve', name)} -P version={number} -P by=NAME -P reason=WHY"
        )
    if decision.to_version != number:
        raise UserError(
            f"expected an approved version, found {name} version {number} sent away by {decision.title}: "
            f"{decision.reason}. Name another with -P version=NUMBER"
        )
    return about


def check_endpoint(address: str) -> None:
    """Raise UserError unless a model, which is code, may go to this address: by https, or to this machine."""
    parts = urlsplit(address)
    local = parts.scheme == "http" and parts.hostname in ("localhost", "127.0.0.1", "::1")
    if not parts.hostname or "@" in address or not (parts.scheme == "https" or local):
        raise UserError(
            "expected an endpoint such as https://s3.example.org, without user and password, or http://127.0.0.1:9000; "
            f"found {address.rpartition('@')[2]!r}. Give it with -P endpoint="
        )


def digests(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file of a model by its path in the folder."""
    files = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(folder).as_posix(): sha256(path) for path in sorted(files)}


def predict_example(folder: Path, title: str) -> pd.DataFrame:
    """Return what the model in a folder predicts for its own input example; raises UserError if it has none."""
    model = mlflow.pyfunc.load_model(str(folder))
    if model.input_example is None or not len(model.input_example):
        raise UserError(f"expected an input example in {title}, to compare the copy on; found none. Train it again.")
    return pd.DataFrame(model.predict(model.input_example))


def holds_the_same(repository: S3ArtifactRepository, original: Path, title: str, folder: Path) -> bool:
    """Check that the copy in a bucket has the original's files and predicts the same, apart from rounding."""
    copy = Path(repository.download_artifacts("", tempfile.mkdtemp(dir=folder)))
    (copy / MANIFEST).unlink(missing_ok=True)
    if digests(copy) != digests(original):
        return False
    predictions = (predict_example(each, title) for each in (copy, original))
    try:
        pd.testing.assert_frame_equal(*predictions, rtol=TOLERANCE, atol=0)
    except AssertionError:
        return False
    return True


def copy_model(repository: S3ArtifactRepository, original: Path, title: str, folder: Path) -> bool:
    """Make sure that the bucket has a whole copy of a model, and return whether it had to be copied.

    Raises UserError if the copy differs; then it is removed.
    """
    files = [file.path for file in repository.list_artifacts()]
    if MANIFEST in files and holds_the_same(repository, original, title, folder):
        return False
    predict_example(original, title)  # refuses a model without an example before anything is copied
    if MANIFEST in files:
        repository.delete_artifacts(MANIFEST)  # first of all, so that nobody takes the rest for complete
    repository.delete_artifacts()
    last = (original / "MLmodel").rename(folder / "MLmodel")
    repository.log_artifacts(str(original))
    repository.log_artifact(str(last))
    last.rename(original / "MLmodel")
    if not holds_the_same(repository, original, title, folder):
        repository.delete_artifacts()
        raise UserError(f"expected files and predictions of {title} from its copy, found others. Deploy it again.")
    return True


@contextlib.contextmanager
def explained(bucket: str) -> Iterator[None]:
    """Turn an error of the bucket's server into a UserError."""
    try:
        yield
    except (BotoCoreError, Boto3Error, ClientError, MlflowException, ValueError) as error:
        reason = str(error).splitlines()[0].removesuffix(".")
        raise UserError(
            f"the bucket {bucket} can't be used: {reason}. Check its name, the endpoint and your rights "
            "(s3:ListBucket, GetObject, PutObject, DeleteObject). Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or "
            "AWS_PROFILE, and deploy again."
        ) from None


def deploy(options: argparse.Namespace, folder: Path) -> None:
    """Deploy the version that the options name, and log it on the active run; raises UserError."""
    if not re.fullmatch(r"[\w.-]+", options.bucket) or options.bucket == "none":
        raise UserError(f"expected the name of a bucket, found {options.bucket!r}. Give it with -P bucket=NAME.")
    name = options.registered_model
    if not re.fullmatch(r"[\w .-]+", name) or name in (".", ".."):  # MLflow would take another folder of the bucket
        raise UserError(f"expected letters, digits, and - _ . in the model's name, found {name!r}. Register another.")
    if options.endpoint not in ("", "none"):
        os.environ["MLFLOW_S3_ENDPOINT_URL"] = options.endpoint
    for variable in ("MLFLOW_S3_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"):
        if os.environ.get(variable):
            with explained(options.bucket):
                check_endpoint(os.environ[variable])
    version = find_approved(name, options.version)
    title = f"{version.name} version {version.version}"
    address = f"s3://{options.bucket}/models/{version.name}/{version.version}"
    uri = f"models:/{version.name}/{version.version}"
    original = Path(mlflow.artifacts.download_artifacts(uri, dst_path=tempfile.mkdtemp(dir=folder)))
    about = {"model": version.name, "model_version": str(version.version), "model_run": version.run_id or ""}
    manifest = {"address": address, **about, "deployed_at": datetime.now(UTC).isoformat(timespec="seconds")}
    path = folder / MANIFEST
    path.write_text(json.dumps(manifest | {"files": digests(original)}, indent=2), encoding="utf-8")
    repository = S3ArtifactRepository(address)
    with explained(options.bucket):
        was_copied = copy_model(repository, original, title, folder)
        repository.log_artifact(str(path))
    mlflow.log_artifact(str(path))
    mlflow.set_tags(about | {"deployed_to": address})
    print(f"deploy: {title} {'is copied' if was_copied else 'was there already'}, and predicts the same: {address}")


def main() -> None:
    """Deploy; an error that a person can correct is one sentence, and stays on the run."""
    parser = argparse.ArgumentParser(description="Copy the approved version of a model to an S3 bucket.")
    parser.add_argument("--registered-model", default="stock_direction", help="default: %(default)s")
    parser.add_argument("--version", default=ALIAS, help="an alias or a number; default: %(default)s")
    parser.add_argument("--bucket", default="none", help="the bucket's name; it has to exist")
    parser.add_argument("--endpoint", default="none", help="address of an S3 server that is not Amazon's")
    with command("stock.deploy", parser) as options, tempfile.TemporaryDirectory() as folder:
        deploy(options, Path(folder))


if __name__ == "__main__":
    main()
