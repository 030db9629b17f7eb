"""Deploy to a real S3 server on loopback: a copy that is whole and verified, or one sentence and no copy."""

import hashlib
import json
import re
import sys

import boto3
import mlflow
import pandas as pd
import pytest
import requests
from stock_series import STOCK, load
from stock_versions import INPUTS, approve, made_windows, new_version

deploy = load("deploy")
MODEL, BUCKET = "deployed", "models-of-the-tests"
PLACE = f"stock/{MODEL}/1"


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
    """Return the number of the version in production, and those of others, each with what is wrong with it."""
    folder = tmp_path_factory.mktemp("models")
    numbers = {"good": new_version(MODEL, folder), "unapproved": new_version(MODEL, folder)}
    approve(MODEL, numbers["good"])
    return numbers


@pytest.fixture
def deployed(registered, endpoint, s3, monkeypatch):
    """Return a function that runs deploy.py with options of its own and returns the run's tags."""

    def run(**options):
        given = {"registered_model": MODEL, "bucket": BUCKET, "prefix": "stock", "endpoint": endpoint} | options
        arguments = [part for name, value in given.items() for part in (f"--{name.replace('_', '-')}", value)]
        monkeypatch.setattr(sys, "argv", ["deploy.py", *arguments])
        deploy.main()
        return mlflow.get_run(mlflow.last_active_run().info.run_id).data.tags

    return run


@pytest.fixture
def refused(deployed, aws_keys):
    """Return a function that expects deploy.py to end with one sentence, which also is on the run, and returns it."""

    def run(**options):
        with pytest.raises(SystemExit) as stopped:
            deployed(**options)
        sentence = str(stopped.value)
        assert sentence.startswith("deploy: ")
        assert "\n" not in sentence
        run = mlflow.get_run(mlflow.last_active_run().info.run_id)
        assert (run.info.status, run.data.tags["error"]) == ("FAILED", sentence.removeprefix("deploy: "))
        assert not [value for value in aws_keys.values() if value in sentence]
        return sentence

    return run


def keys(s3, prefix=""):
    return [item["Key"] for item in s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])]


def content(s3, key):
    return s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()


@pytest.fixture
def load_copy(endpoint, s3, monkeypatch):
    """Return a function that loads a copy as anybody does who knows its address and nothing of deploy.py."""
    monkeypatch.setenv("MLFLOW_S3_ENDPOINT_URL", endpoint)
    return lambda place=PLACE: mlflow.pyfunc.load_model(f"s3://{BUCKET}/{place}")


@pytest.fixture(scope="module")
def predictions(registered):
    """Return what the version in production predicts for twenty windows."""
    return mlflow.pyfunc.load_model(f"models:/{MODEL}@production").predict(made_windows(20)[INPUTS])


@pytest.fixture
def is_whole(s3, load_copy, predictions):
    """Return a function that says whether all that the manifest names is there, and predicts as the original."""

    def look():
        files = json.loads(content(s3, f"{PLACE}/manifest.json"))["files"]
        assert "MLmodel" in files
        assert {f"{PLACE}/{name}" for name in [*files, "manifest.json"]} == set(keys(s3))
        for name, digest in files.items():
            assert hashlib.sha256(content(s3, f"{PLACE}/{name}")).hexdigest() == digest, name
        pd.testing.assert_frame_equal(load_copy().predict(made_windows(20)[INPUTS]), predictions, check_exact=True)
        return True

    return look


@pytest.fixture
def writes(monkeypatch):
    """Return a list of the keys that are written from now on; with ``stop`` set, that many are, and then it dies."""

    class Writes(list):
        stop = None

    done, write = Writes(), deploy.Bucket.write

    def watched(self, key, content):
        if done.stop == len(done):
            raise KeyboardInterrupt
        write(self, key, content)
        done.append(key)

    monkeypatch.setattr(deploy.Bucket, "write", watched)
    return done


def test_the_version_in_production_is_copied_and_can_be_loaded_from_the_bucket(deployed, s3, is_whole, capsys, writes):
    tags = deployed()
    address = f"s3://{BUCKET}/{PLACE}"
    assert (tags["step"], tags["model"], tags["model_version"]) == ("stock.deploy", MODEL, "1")
    assert tags["deployed_to"] == address
    said = f"deploy: {MODEL} version 1 is copied, and predicts the same for 3 rows: {address}\n"
    assert said in capsys.readouterr().out
    assert is_whole()
    assert writes[-2:] == [f"{PLACE}/MLmodel", f"{PLACE}/manifest.json"]
    manifest = json.loads(content(s3, f"{PLACE}/manifest.json"))
    assert (manifest["address"], manifest["model_version"], manifest["rows_compared"]) == (address, "1", 3)


def test_the_project_deploys_with_its_own_command(registered, endpoint, is_whole):
    parameters = {"registered_model": MODEL, "bucket": BUCKET, "prefix": "stock", "endpoint": endpoint}
    run = mlflow.projects.run(str(STOCK), "deploy", parameters=parameters, env_manager="local")
    assert mlflow.get_run(run.run_id).data.tags["deployed_to"] == f"s3://{BUCKET}/{PLACE}"
    assert is_whole()


def test_deployed_again_it_stays_in_use_and_is_looked_at_again(deployed, is_whole, capsys, writes):
    deployed()
    writes.clear()
    deployed()
    assert "version 1 was there already, and predicts the same for 3 rows" in capsys.readouterr().out
    assert writes == [f"{PLACE}/manifest.json"]
    assert is_whole()


def test_a_copy_that_was_spoilt_is_made_anew(deployed, s3, is_whole, capsys):
    deployed()
    about, manifest = f"{PLACE}/artifacts/about.json", f"{PLACE}/manifest.json"
    for key, content in [
        (about, b'{"sureness": -30.0}'),
        (about, None),
        (f"{PLACE}/code/json.py", b"raise SystemExit"),  # a file more, which Python might import
        (manifest, None),
        (manifest, b"[1, 2"),
    ]:
        s3.delete_object(Bucket=BUCKET, Key=key)
        if content:
            s3.put_object(Bucket=BUCKET, Key=key, Body=content)
        deployed()
        assert "version 1 is copied" in capsys.readouterr().out, key
        assert is_whole(), key


def test_a_deployment_that_dies_leaves_nothing_that_is_taken_for_whole(deployed, s3, load_copy, is_whole, writes):
    deployed()
    count, whole = len(writes), keys(s3)
    # Over nothing, and over an older copy that is not the same.
    for stop, older in [(count - 2, False), (count - 1, False), (2, True)]:
        for key in keys(s3):
            if not older:
                s3.delete_object(Bucket=BUCKET, Key=key)
        if older:
            s3.put_object(Bucket=BUCKET, Key=f"{PLACE}/requirements.txt", Body=b"mlflow==1.0")
        writes.clear()
        writes.stop = stop
        with pytest.raises(KeyboardInterrupt):
            deployed()
        assert f"{PLACE}/manifest.json" not in keys(s3)
        if stop < count - 1:
            with pytest.raises(mlflow.exceptions.MlflowException, match="MLmodel"):
                load_copy()
        writes.stop = None
        deployed()
        assert keys(s3) == whole
        assert is_whole()


def test_what_is_beside_it_in_the_bucket_stays(deployed, s3):
    others = ["stock/deployed/10/MLmodel", "stock/deployed/1.txt", "stock/other/1/manifest.json", "readme"]
    for key in others:
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"mine")
    deployed()
    assert [content(s3, key) for key in others] == [b"mine"] * 4


@pytest.mark.parametrize("prefix", ["", "/a//b/"])
def test_the_prefix_may_have_slashes_or_be_empty(deployed, s3, load_copy, prefix):
    deployed(prefix=prefix)
    place = f"a/b/{MODEL}/1" if prefix else f"{MODEL}/1"
    assert f"{place}/manifest.json" in keys(s3)
    load_copy(place)


def test_a_version_that_nobody_has_approved_is_not_deployed(registered, refused, s3):
    number = registered["unapproved"]
    sentence = refused(version=number)
    assert f"found no approval of {MODEL} version {number} in the ledger. Approve it with: mlflow run" in sentence
    assert f"-P registered_model={MODEL} -P version={number}" in sentence
    # An alias that was moved in the MLflow pages is no approval.
    mlflow.MlflowClient().set_registered_model_alias(MODEL, "staging", number)
    assert "found no approval" in refused(version="staging")
    mlflow.MlflowClient().set_model_version_tag(MODEL, number, "rejected", "reject by Ada: too moody")
    assert f"found {MODEL} version {number} rejected (reject by Ada: too moody)" in refused(version=number)
    assert keys(s3) == []


@pytest.mark.parametrize("text", ["{}", "[]", "5", "no JSON"])
def test_a_ledger_that_can_not_be_read_is_told(registered, refused, text):
    client = mlflow.MlflowClient()
    client.set_registered_model_tag(MODEL, "ledger.999999", text)
    try:
        assert f"the ledger of {MODEL} can't be read any more" in refused()
    finally:
        client.delete_registered_model_tag(MODEL, "ledger.999999")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"registered_model": "nobody"}, "no version of nobody has the alias production. Let the gate look for one"),
        ({"version": "99"}, f"no version of {MODEL} is version 99. Let the gate look"),
        ({"version": "retired"}, f"no version of {MODEL} has the alias retired"),
        ({"bucket": ""}, "expected the name of a bucket, found none. Give it with -P bucket=NAME"),
        ({"bucket": "no such/bucket"}, "expected the name of a bucket, found 'no such/bucket'"),
        ({"bucket": "missing"}, r"there is no bucket missing on http://127.0.0.1:\d+. Make it there"),
        ({"endpoint": "s3.example.org"}, "expected an endpoint such as https://.*, found 's3.example.org'"),
        ({"endpoint": "http://127.0.0.1:port"}, "found 'http://127.0.0.1:port'"),
        ({"endpoint": "ftp://127.0.0.1"}, "found 'ftp://127.0.0.1'"),
        ({"endpoint": "http://s3.example.org"}, "expected an endpoint with https, .* found http://s3.example.org"),
        ({"endpoint": "http://10.0.0.1:9000"}, "expected an endpoint with https"),
        ({"endpoint": "https://exa mple.org"}, "expected an endpoint such as https://s3.example.org in -P endpoint="),
        ({"prefix": "stock/../other"}, r"expected letters, digits, and - _ \. in the prefix .*, found '\.\.'"),
        ({"prefix": "mo#dels"}, "found 'mo#dels'"),
        ({"endpoint": "https://me:secret-word@s3.example.org"}, "without user and password, found one with them"),
    ],
)
def test_what_a_person_has_to_mend_is_one_sentence(refused, s3, options, sentence):
    said = refused(**options)
    assert re.search(sentence, said), said
    assert "secret-word" not in said
    assert keys(s3) == []


def test_an_endpoint_that_is_away_is_named(refused, free_port):
    address = f"http://127.0.0.1:{free_port()}"
    assert f"the S3 server {address} does not answer. Is it up" in refused(endpoint=address)


def test_an_endpoint_of_the_environment_has_to_be_safe_as_well(refused, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://s3.example.org")
    assert "expected an endpoint with https" in refused(endpoint="")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "https://me:secret-word@host_x")
    said = refused(endpoint="")
    assert "in AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL, found none" in said
    assert "secret-word" not in said


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}, f"no credentials for the bucket {BUCKET}. Set"),
        ({"AWS_SECRET_ACCESS_KEY": None}, "Partial credentials found"),
        ({"AWS_PROFILE": "nobody"}, "The config profile (nobody) could not be found"),
    ],
)
def test_without_credentials_it_says_what_to_set(refused, monkeypatch, variables, sentence):
    for name, value in variables.items():
        monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name)
    said = refused()
    assert sentence in said
    assert "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, and deploy again." in said


@pytest.fixture
def reader(endpoint, s3, monkeypatch):
    """Be somebody who may look at the bucket and read from it, on a server that asks for rights."""
    iam = boto3.client("iam", endpoint_url=endpoint)
    iam.create_user(UserName="reader")
    statement = {"Effect": "Allow", "Action": ["s3:List*", "s3:Head*", "s3:Get*"], "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName="reader", PolicyName="reads", PolicyDocument=policy)
    key = iam.create_access_key(UserName="reader")["AccessKey"]
    iam.close()
    requests.post(f"{endpoint}/moto-api/reset-auth", data=b"0", timeout=5).raise_for_status()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
    yield
    requests.post(f"{endpoint}/moto-api/reset-auth", data=b"Infinity", timeout=5).raise_for_status()


def test_whoever_may_not_write_is_told_which_rights_it_takes(refused, reader):
    sentence = refused()
    assert f"the bucket {BUCKET} on http://127.0.0.1:" in sentence
    assert "does not let these credentials in (AccessDenied). They need s3:ListBucket, s3:GetObject" in sentence


def test_a_wrong_key_is_told_so(refused, reader, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody-else")
    assert "does not let these credentials in (403)" in refused()


@pytest.mark.parametrize(
    ("about", "sentence"),
    [
        (
            {"example": False},
            "expected an input example in {title}, to compare the copy on; found none. Train it again",
        ),
        ({"moody": True}, "expected the predictions of {title} from its copy, found others. It is withdrawn"),
    ],
)
def test_a_copy_that_cannot_be_verified_is_not_left_there(refused, s3, tmp_path, monkeypatch, about, sentence):
    number = new_version(MODEL, tmp_path, **about)
    monkeypatch.setattr(deploy, "check_approved", lambda version: None)
    assert sentence.format(title=f"{MODEL} version {number}") in refused(version=number)
    assert not [key for key in keys(s3) if key.endswith(("MLmodel", "manifest.json"))]
