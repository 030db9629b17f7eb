"""Deploy to a real S3 server on loopback: a copy that is complete and verified, or one sentence and no copy."""

import hashlib
import json
import re
from datetime import UTC, datetime

import boto3
import mlflow
import pandas as pd
import pytest
import requests
from mlflow.store.artifact import s3_artifact_repo
from stock_series import load, run_step
from stock_versions import INPUTS, approve, made_windows, new_version

from forecasting import ledger

deploy = load("deploy")
MODEL, BUCKET = "deployed", "models-of-the-tests"
PLACE = f"models/{MODEL}/1"


@pytest.fixture
def s3(endpoint, aws_keys):
    """Return a client of the server, on which there is one empty bucket."""
    requests.post(f"{endpoint}/moto-api/reset", timeout=5).raise_for_status()
    client = boto3.client("s3", endpoint_url=endpoint)
    client.create_bucket(Bucket=BUCKET)
    yield client
    client.close()


@pytest.fixture(scope="module")
def registered(running_servers, tmp_path_factory):
    """Return the number of the version in production, and of one that nobody has approved."""
    folder = tmp_path_factory.mktemp("models")
    numbers = {"good": new_version(MODEL, folder), "unapproved": new_version(MODEL, folder)}
    approve(MODEL, numbers["good"])
    return numbers


@pytest.fixture
def deployed(registered, endpoint, s3, monkeypatch):
    """Return a function that runs deploy.py with options of its own and returns the run's tags."""

    def run(**options):
        # MLflow keeps a client, and boto3 a session, with the credentials of before.
        s3_artifact_repo._cached_get_s3_client.cache_clear()
        monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
        monkeypatch.setenv("MLFLOW_S3_ENDPOINT_URL", "")
        given = {"registered_model": MODEL, "bucket": BUCKET, "endpoint": endpoint} | options
        return run_step("deploy", "Default", **given).data.tags

    return run


@pytest.fixture
def refused(deployed, aws_keys):
    """Return a function that expects deploy.py to end with one sentence, which also is on the run, and returns it."""

    def run(**options):
        with pytest.raises(SystemExit) as stopped:
            deployed(**options)
        sentence = str(stopped.value)
        assert re.match(r"stock.deploy: [^\n]*$", sentence)
        run = mlflow.get_run(mlflow.last_active_run().info.run_id)
        assert (run.info.status, run.data.tags["error"]) == ("FAILED", sentence.removeprefix("stock.deploy: "))
        assert not [value for value in [*aws_keys.values(), "secret-word"] if value in sentence]
        return sentence

    return run


def keys(s3, prefix=""):
    return [item["Key"] for item in s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])]


def content(s3, key):
    return s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()


@pytest.fixture
def is_complete(endpoint, s3, registered, monkeypatch):
    """Return a function that checks that all that the manifest names is there, and predicts as the original.

    It loads the copy as anybody does who knows its address and nothing of deploy.py.
    """
    original = mlflow.pyfunc.load_model(f"models:/{MODEL}@production")

    def look():
        files = json.loads(content(s3, f"{PLACE}/manifest.json"))["files"]
        assert "MLmodel" in files
        assert {f"{PLACE}/{name}" for name in [*files, "manifest.json"]} == set(keys(s3, f"{PLACE}/"))
        for name, digest in files.items():
            assert hashlib.sha256(content(s3, f"{PLACE}/{name}")).hexdigest() == digest, name
        windows = made_windows(20)[INPUTS]
        monkeypatch.setenv("MLFLOW_S3_ENDPOINT_URL", endpoint)
        copy = mlflow.pyfunc.load_model(f"s3://{BUCKET}/{PLACE}")
        pd.testing.assert_frame_equal(copy.predict(windows), original.predict(windows), check_exact=True)
        return True

    return look


def test_the_version_in_production_is_copied_can_be_loaded_from_the_bucket_and_stays_there(
    deployed, s3, is_complete, capsys
):
    beside = ["models/deployed/10/MLmodel", "models/deployed/1.txt", "models/other/1/manifest.json", "readme"]
    for key in beside:
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"mine")
    tags = deployed()
    address = f"s3://{BUCKET}/{PLACE}"
    assert (tags["project"], tags["model"], tags["model_version"]) == ("stock.deploy", MODEL, "1")
    assert tags["deployed_to"] == address
    assert f"deploy: {MODEL} version 1 is copied, and predicts the same: {address}\n" in capsys.readouterr().out
    assert is_complete()
    manifest = json.loads(content(s3, f"{PLACE}/manifest.json"))
    assert (manifest["address"], manifest["model_version"]) == (address, "1")
    written = s3.head_object(Bucket=BUCKET, Key=f"{PLACE}/MLmodel")["LastModified"]
    deployed()
    assert "version 1 was there already, and predicts the same" in capsys.readouterr().out
    assert s3.head_object(Bucket=BUCKET, Key=f"{PLACE}/MLmodel")["LastModified"] == written
    assert is_complete()
    assert [content(s3, key) for key in beside] == [b"mine"] * 4


def test_a_copy_that_was_spoilt_is_made_again(deployed, s3, is_complete, capsys):
    deployed()
    about, manifest = f"{PLACE}/artifacts/about.json", f"{PLACE}/manifest.json"
    for key, spoilt in [
        (about, b'{"sureness": -30.0}'),
        (f"{PLACE}/code/json.py", b"raise SystemExit"),  # a file more, which Python might import
        (manifest, None),
    ]:
        s3.delete_object(Bucket=BUCKET, Key=key)
        if spoilt:
            s3.put_object(Bucket=BUCKET, Key=key, Body=spoilt)
        deployed()
        assert "version 1 is copied" in capsys.readouterr().out, key
    assert is_complete()


class Killed(BaseException):
    """Stands in for kill -9, which no code of the program handles."""


def test_a_deployment_that_dies_leaves_nothing_that_is_taken_for_complete(deployed, s3, is_complete, monkeypatch):
    upload, done = deploy.S3ArtifactRepository._upload_file, []

    def dies(self, **upload_of):
        if len(done) == stop:
            raise Killed
        done.append(upload_of["key"])
        upload(self, **upload_of)

    monkeypatch.setattr(deploy.S3ArtifactRepository, "_upload_file", dies)
    stop = None
    deployed()
    complete, count = keys(s3), len(done)
    assert done[-2:] == [f"{PLACE}/MLmodel", f"{PLACE}/manifest.json"]
    # Over nothing, and over an older copy that is not the same.
    for stop, older in [(count - 1, False), (2, True)]:
        for key in [] if older else keys(s3):
            s3.delete_object(Bucket=BUCKET, Key=key)
        if older:
            s3.put_object(Bucket=BUCKET, Key=f"{PLACE}/requirements.txt", Body=b"mlflow==1.0")
        done.clear()
        with pytest.raises(Killed):
            deployed()
        assert f"{PLACE}/manifest.json" not in keys(s3)
        stop = None
        deployed()
        assert keys(s3) == complete
    assert is_complete()


def test_a_version_that_nobody_has_approved_is_not_deployed(registered, refused, s3):
    number = registered["unapproved"]
    sentence = refused(version=number)
    assert f"found no approval of {MODEL} version {number} in the ledger. Approve it with: mlflow run" in sentence
    assert f"-P registered_model={MODEL}" in sentence
    # An alias that was moved in the MLflow pages is no approval.
    mlflow.MlflowClient().set_registered_model_alias(MODEL, "staging", number)
    assert "found no approval" in refused(version="staging")
    rejection = ledger.Entry("reject", number, None, "Ada", "too moody", False, datetime.now(UTC))
    written = ledger.write(MODEL, rejection)
    try:
        sent_away = f"found {MODEL} version {number} sent away by the reject by Ada at .*: too moody. Name another"
        assert re.search(sent_away, refused(version=number))
    finally:
        mlflow.MlflowClient().delete_registered_model_tag(MODEL, written.key)
    assert keys(s3) == []


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"registered_model": "nobody"}, "make one with: mlflow .*stock .*-e register, or name one with -P"),
        (
            {"registered_model": "deployed#1"},
            "expected letters, digits, and - _ . in the model's name, found 'deployed#",
        ),
        ({"registered_model": ".."}, r"in the model's name, found '\.\.'. Register another"),
        ({"version": "99"}, f"no version of {MODEL} is version 99 on http"),
        ({"bucket": "none"}, "expected the name of a bucket, found 'none'. Give it with -P bucket=NAME"),
        ({"bucket": "missing"}, "the bucket missing can't be used: .*bucket does not exist. Check its name"),
        ({"endpoint": "s3.example.org"}, "expected an endpoint such as https://.* found 's3.example.org'"),
        ({"endpoint": "http://127.0.0.1:port"}, "Custom endpoint `http://127.0.0.1:port` was not a valid"),
        ({"endpoint": "https://exa mple.org"}, "can't be used: Invalid endpoint: https://exa mple.org"),
    ],
)
def test_what_a_person_has_to_correct_is_one_sentence(refused, s3, options, sentence):
    assert re.search(sentence, refused(**options))
    assert keys(s3) == []


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("ftp://127.0.0.1", "ftp://127.0.0.1"),
        ("http://s3.example.org", "http://s3.example.org"),
        ("http://10.0.0.1:9000", "http://10.0.0.1:9000"),
        ("https://me:secret-word@s3.example.org", "s3.example.org"),
    ],
)
def test_only_https_or_this_machine_is_an_endpoint_and_no_password_is_shown(address, shown):
    with pytest.raises(deploy.UserError, match=f"such as https://s3.example.org, without user and .*; found '{shown}'"):
        deploy.check_endpoint(address)


def test_an_endpoint_of_the_environment_has_to_be_safe_as_well(refused, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://s3.example.org")
    assert "expected an endpoint such as https" in refused(endpoint="")


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}, "Unable to locate credentials"),
        ({"AWS_SECRET_ACCESS_KEY": None}, "Partial credentials found"),
        ({"AWS_PROFILE": "nobody"}, "The config profile (nobody) could not be found"),
    ],
)
def test_without_credentials_it_says_what_to_set(refused, monkeypatch, variables, reason):
    for name, value in variables.items():
        monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name)
    sentence = refused()
    assert reason in sentence
    assert "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, and deploy again." in sentence


@pytest.mark.parametrize(
    ("about", "sentence"),
    [
        (
            {"example": False},
            "expected an input example in {title}, to compare the copy on; found none. Train it again",
        ),
        ({"moody": True}, "expected files and predictions of {title} from its copy, found others. Deploy it again"),
    ],
)
def test_a_copy_that_cannot_be_verified_is_not_left_there(refused, s3, tmp_path, about, sentence):
    number = new_version(MODEL, tmp_path, **about)
    before = mlflow.MlflowClient().get_model_version_by_alias(MODEL, "production").version
    approve(MODEL, number)
    try:
        assert sentence.format(title=f"{MODEL} version {number}") in refused()
    finally:
        approve(MODEL, before)
    assert keys(s3) == []
