"""Copy the approved version of a model to an S3 bucket, and load it from there to see that it predicts the same.

    mlflow run 3_projects/stock -e deploy --env-manager local -P bucket=NAME

The command in MLproject:

    python deploy.py --registered-model {registered_model} --version {version} --bucket {bucket} --prefix {prefix}
    --endpoint {endpoint}

The copy is below PREFIX/REGISTERED_MODEL/VERSION in the bucket, where mlflow.pyfunc.load_model("s3://...") finds it. It
is whole if a manifest.json is there: that is written last, when the copy was loaded from the bucket and has predicted
what the original predicts. The file MLmodel is copied last of the others, so no half of a copy can be loaded.
The credentials are those that boto3 finds: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or a role. Without
an endpoint the bucket is Amazon's.
"""

import argparse
import hashlib
import json
import re
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import mlflow
import pandas as pd
from bucket import Bucket, opened
from mlflow.exceptions import MlflowException
from mlflow_ftp.preflight import preflight
from versions import Refused, Version, check_approved, fetch, find_version

MANIFEST, FIRST_READ = "manifest.json", "MLmodel"
TOLERANCE = 1e-6  # relative; the sums of a network's threads may be rounded in another order


def files_of(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file below a folder by its path there, ``MLmodel`` last."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    names = sorted((path.relative_to(folder).as_posix() for path in paths), key=lambda name: name == FIRST_READ)
    found = {}
    for name in names:
        with (folder / name).open("rb") as file:
            found[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def is_listed(bucket: Bucket, place: str, files: dict[str, str]) -> bool:
    """Return whether the manifest in the bucket says that exactly these files are there."""
    try:
        return json.loads(bucket.read(f"{place}/{MANIFEST}") or b"{}").get("files") == files
    except (ValueError, AttributeError):  # it is no manifest of ours
        return False


def withdraw(bucket: Bucket, place: str) -> None:
    """Make sure that nobody can take what is there for a whole copy; raises Refused."""
    bucket.delete([f"{place}/{MANIFEST}", f"{place}/{FIRST_READ}"])


def copy(bucket: Bucket, place: str, folder: Path, files: dict[str, str]) -> None:
    """Put the files below a place in the bucket, and nothing else; raises Refused."""
    withdraw(bucket, place)
    wanted = {f"{place}/{name}" for name in files}
    bucket.delete([key for key in bucket.keys(f"{place}/") if key not in wanted])
    for name in files:
        bucket.write(f"{place}/{name}", folder / name)


def fetch_copy(bucket: Bucket, place: str, folder: Path, files: dict[str, str]) -> Path | None:
    """Return the new folder with what is at this place; None if other files are there; raises Refused."""
    if set(bucket.keys(f"{place}/")) - {f"{place}/{MANIFEST}"} != {f"{place}/{name}" for name in files}:
        return None
    path = Path(tempfile.mkdtemp(dir=folder))
    for name in files:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(bucket.read(f"{place}/{name}") or b"")
    return path if files_of(path) == files else None


def predict_example(folder: Path, title: str) -> pd.DataFrame:
    """Return what the model in a folder predicts for its own input example; raises Refused if it has none."""
    model = mlflow.pyfunc.load_model(str(folder))
    if model.input_example is None or not len(model.input_example):
        raise Refused(f"expected an input example in {title}, to compare the copy on; found none. Train it again.")
    return pd.DataFrame(model.predict(model.input_example))


def is_same(left: pd.DataFrame, right: pd.DataFrame) -> bool:
    """Return whether two predictions are the same, numbers but for their rounding."""
    try:
        pd.testing.assert_frame_equal(left, right, rtol=TOLERANCE, atol=0)
    except AssertionError:
        return False
    return True


def deploy(bucket: Bucket, prefix: str, version: Version, folder: Path) -> dict:
    """Return the manifest of a copy that is whole and predicts as the original; raises Refused.

    A whole copy that is there already stays in use.
    """
    original = fetch(version, folder)
    expected, files = predict_example(original, version.title), files_of(original)
    parts = [*filter(None, prefix.split("/")), version.name, version.number]
    for part in parts:
        # Others mean something in the address of the copy, which would then not be where it says.
        if not re.fullmatch(r"[\w .-]+", part) or part in (".", ".."):
            raise Refused(
                f"expected letters, digits, and - _ . in the prefix and the model's name, found {part!r}. Give another "
                "one with -P prefix="
            )
    place = "/".join(parts)
    copied = fetch_copy(bucket, place, folder, files) if is_listed(bucket, place, files) else None
    said = "was there already" if copied else "is copied"
    if not copied:
        copy(bucket, place, original, files)
        copied = fetch_copy(bucket, place, folder, files)
    same = False
    try:
        same = copied is not None and is_same(predict_example(copied, version.title), expected)
    finally:
        if not same:
            withdraw(bucket, place)
    if not same:
        what = "predictions" if copied else "files"
        raise Refused(
            f"expected the {what} of {version.title} from its copy, found others. It is withdrawn; deploy again."
        )
    manifest = {
        "address": f"s3://{bucket.name}/{place}",
        **version.tags,
        "deployed_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "rows_compared": len(expected),
        "files": files,
    }
    bucket.write(f"{place}/{MANIFEST}", json.dumps(manifest, indent=2).encode())
    rows = f"{len(expected)} row{'s' * (len(expected) != 1)}"
    print(f"deploy: {version.title} {said}, and predicts the same for {rows}: {manifest['address']}")
    return manifest


def run(options: argparse.Namespace) -> None:
    """Deploy what the options say, and note it on the active run; raises Refused."""
    with opened(options.bucket, options.endpoint) as bucket, tempfile.TemporaryDirectory() as folder:
        version = find_version(options.registered_model, options.version)
        check_approved(version)
        manifest = deploy(bucket, options.prefix, version, Path(folder))
    mlflow.set_tags(version.tags | {"deployed_to": manifest["address"]})
    mlflow.log_dict(manifest, MANIFEST)


def main() -> None:
    """Run it; an error that a person can mend is one sentence, and stays on the run."""
    parser = argparse.ArgumentParser(description="Copy the approved version of a model to an S3 bucket.")
    parser.add_argument("--registered-model", default="stock_direction", help="default: %(default)s")
    parser.add_argument("--version", default="production", help="an alias or a number; default: %(default)s")
    parser.add_argument("--bucket", default="", help="the bucket's name; it has to be there")
    parser.add_argument("--prefix", default="models", help="what its keys begin with; default: %(default)s")
    parser.add_argument("--endpoint", default="", help="address of an S3 server that is not Amazon's")
    options = parser.parse_args()
    preflight("deploy")
    with mlflow.start_run():
        mlflow.set_tag("step", "stock.deploy")
        try:
            run(options)
        except (Refused, MlflowException) as error:
            message = str(error).splitlines()[0]
            mlflow.set_tag("error", message)
            sys.exit(f"deploy: {message}")


if __name__ == "__main__":
    main()
