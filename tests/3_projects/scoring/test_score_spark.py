import json
import os
import re
import subprocess
import sys
from pathlib import Path, PurePosixPath, PureWindowsPath

import mlflow
import numpy as np
import pandas as pd
import pytest
import score_spark
from conftest import ROOT
from files import location
from pyarrow import parquet
from score import score_file

from forecasting.errors import UserError
from server.processes import process
from server.servers import listens

FEATURES = ["windspeed", "temperature", "rad_horizontal"]
TARGETS = ["solar_GW", "wind_GW"]
SCRIPT = ROOT / "3_projects" / "scoring" / "score_spark.py"


@pytest.fixture(scope="module")
def java() -> None:
    """Need a Java that Spark takes; CI has to have one."""
    said = subprocess.run("java -version", shell=True, capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "(\d+)', said)
    if version is None or int(version[1]) < 17:
        reason = "Spark needs Java 17 or newer on the PATH"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)


@pytest.fixture(scope="module")
def session(java):
    """Share one session, with the loopback and Python settings that the project itself makes."""
    with pytest.MonkeyPatch.context() as environment:
        for name in ["PYSPARK_PYTHON", *(name for name in os.environ if "SPARK_" in name)]:
            environment.setenv(name, "")
            environment.delenv(name)
        started = score_spark.start("local[2]")
        gateway = started.sparkContext._gateway
        yield started
        started.stop()
        gateway.shutdown()
        gateway.proc.stdin.close()
        gateway.proc.wait(60)


@pytest.fixture
def with_spark(session, job):
    """Return a function that scores a path into ``spark.parquet`` of the test's folder."""
    return lambda path: score_spark.score_files(session, job(path, "spark.parquet"))


def in_order(path: Path) -> pd.DataFrame:
    return pd.read_parquet(path).sort_values("utc_timestamp", kind="stable").reset_index(drop=True)


def same(left: pd.DataFrame, right: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(left, right, check_exact=True)


def test_both_engines_give_the_same_numbers_in_the_same_order_and_set_the_same_lines_aside(
    nasty, job, with_spark, tmp_path
):
    content, reasons = nasty
    (tmp_path / "rows.csv").write_bytes(content)
    assert with_spark(tmp_path / "rows.csv") == score_file(job(tmp_path / "rows.csv"))
    same(*(pd.read_parquet(tmp_path / name) for name in ("spark.parquet", "scored.parquet")))
    aside = [pd.read_parquet(tmp_path / f"{name}.rejected.parquet") for name in ("spark", "scored")]
    same(aside[0], aside[1].drop(columns="row"))
    assert aside[0]["reason"].tolist() == reasons


def test_a_folder_of_parquet_files_keeps_its_keys_and_their_types(rows, job, with_spark, tmp_path):
    spoilt = rows.assign(windspeed=rows["windspeed"].mask(rows.index == 7))
    spoilt.to_parquet(tmp_path / "all.parquet")
    (tmp_path / "rows").mkdir()
    for part in range(5):
        spoilt.iloc[part * 100 : part * 100 + 100].to_parquet(tmp_path / "rows" / f"{part}.parquet", index=False)
    assert with_spark(tmp_path / "rows") == score_file(job(tmp_path / "all.parquet")) == (499, 1)
    same(in_order(tmp_path / "spark.parquet"), in_order(tmp_path / "scored.parquet"))
    aside = [pd.read_parquet(tmp_path / f"{name}.rejected.parquet") for name in ("spark", "scored")]
    same(aside[0], aside[1].drop(columns="row"))
    schema = parquet.read_schema(next((tmp_path / "spark.parquet").glob("part-*")))
    fields = json.loads(schema.metadata[b"org.apache.spark.sql.parquet.row.metadata"])["fields"]
    metadata = {field["name"]: field["metadata"] for field in fields}
    for target in TARGETS:
        assert (metadata[target]["model"], metadata[target]["model_version"]) == ("wind_solar", "7")
        assert metadata[target]["model_run"] == "the run that trained it"
    assert not list(tmp_path.glob(".*"))


def test_a_folder_of_csv_files_needs_one_header(rows, job, with_spark, tmp_path):
    rows.to_csv(tmp_path / "all.csv", index=False)
    (tmp_path / "rows").mkdir()
    rows.head(300).to_csv(tmp_path / "rows" / "1.csv", index=False)
    rows.tail(200).to_csv(tmp_path / "rows" / "2.csv", index=False)
    assert with_spark(tmp_path / "rows") == score_file(job(tmp_path / "all.csv")) == (500, 0)
    same(in_order(tmp_path / "spark.parquet"), in_order(tmp_path / "scored.parquet"))
    rows[rows.columns[::-1]].to_csv(tmp_path / "rows" / "3.csv", index=False)
    with pytest.raises(UserError, match=r"3.csv: expected the header of .*1.csv, found another one"):
        with_spark(tmp_path / "rows")


def test_an_older_output_is_replaced_by_a_whole_one_only(rows, with_spark, tmp_path):
    rows.to_parquet(tmp_path / "rows.parquet")
    rows.assign(windspeed=np.nan).to_parquet(tmp_path / "bad.parquet")
    rows.head(10).to_parquet(tmp_path / "few.parquet")
    with_spark(tmp_path / "rows.parquet")
    (tmp_path / ".spark.parquet.partial").mkdir()  # of a job that was killed
    with pytest.raises(UserError, match="only bad ones, the first because: expected a number in windspeed, found n"):
        with_spark(tmp_path / "bad.parquet")
    assert len(pd.read_parquet(tmp_path / "spark.parquet")) == 500
    assert with_spark(tmp_path / "few.parquet") == (10, 0)
    assert len(pd.read_parquet(tmp_path / "spark.parquet")) == 10
    names = ["bad.parquet", "few.parquet", "rows.parquet", "spark.parquet"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda folder: None, "Path does not exist: file:{path}"),
        (lambda folder: (folder / "rows").mkdir(), "{path}: [UNABLE_TO_INFER_SCHEMA]"),
        (lambda folder: (folder / "rows").write_bytes(b"PAR1 nothing"), "while reading file file:{path}"),
        (lambda folder: pd.DataFrame({"a": [1.0]}).to_parquet(folder / "rows"), "expected the columns windspeed, temp"),
        (lambda folder: pd.DataFrame(columns=FEATURES).to_parquet(folder / "rows"), "a column that tells the rows ap"),
    ],
    ids=["no file", "an empty folder", "no Parquet", "other columns", "no key"],
)
def test_an_input_that_cannot_be_used_is_named_in_one_line(session, job, monkeypatch, tmp_path, make, sentence):
    make(tmp_path)
    monkeypatch.setattr(score_spark, "start", lambda master: session)
    monkeypatch.setattr(session, "stop", lambda: None)
    options = score_spark.argparse.Namespace(master="local[2]")
    with pytest.raises(UserError) as caught:
        score_spark.with_spark(job(tmp_path / "rows", "spark.parquet"), options)
    assert sentence.format(path=tmp_path / "rows") in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("path", "address"),
    [
        (PureWindowsPath("C:\\work shop\\out\\ä.parquet"), "file:///C:/work shop/out/ä.parquet"),
        (PurePosixPath("/work shop/x.csv"), "file:///work shop/x.csv"),
        ("s3a://bucket/rows", "s3a://bucket/rows"),
    ],
)
def test_a_path_of_any_system_becomes_an_address_that_spark_knows(monkeypatch, path, address):
    monkeypatch.setattr("files.Path", type(path))
    assert location(str(path)) == address


# Each start is another mistake. The last one leaves a JVM behind, with which further ones would go on.
MISTAKES = """
import os, score_spark
for master, name in (("local[1]", "JAVA_HOME"), ("local[1]", "SPARK_HOME"), ("locl[2]", "NONE")):
    os.environ[name] = "/nowhere"
    try:
        score_spark.start(master)
    except score_spark.UserError as error:
        print(error)
    del os.environ[name]
"""


def test_a_spark_that_does_not_start_says_what_it_needs(java):
    """In a process of its own, in which no session runs yet."""
    env = {key: text for key, text in os.environ.items() if "SPARK" not in key}
    command = [sys.executable, "-c", MISTAKES]
    done = subprocess.run(command, cwd=SCRIPT.parent, env=env, capture_output=True, text=True, timeout=200, check=False)
    assert "Traceback" not in done.stderr
    for sentence, master in zip(done.stdout.splitlines(), ("local[1]", "local[1]", "locl[2]"), strict=True):
        assert sentence.startswith(f"Spark does not start on {master}: ")
        assert "It needs Java 17 or newer" in sentence


def test_a_master_that_is_away_is_named_in_time(free_port):
    master = f"spark://127.0.0.1:{free_port()}"
    with pytest.raises(UserError, match=f"Spark does not start on {master}: .*refused"):
        score_spark.start(master)


def test_the_udf_of_mlflow_gives_the_same_numbers_as_pandas(session, registered, rows):
    uri = f"models:/{registered}@production"
    score = mlflow.pyfunc.spark_udf(session, uri, env_manager="local", result_type=None)
    frame = session.createDataFrame(rows[FEATURES])
    scored = frame.withColumn("power", score(*[frame[name] for name in FEATURES])).select("power.*").toPandas()
    pd.testing.assert_frame_equal(scored, mlflow.pyfunc.load_model(uri).predict(rows[FEATURES]))


@pytest.fixture
def cluster(java, free_port, tmp_path):
    """Run a standalone master and a worker of one core on loopback."""
    import pyspark

    spark_class = Path(pyspark.__file__).parent / "bin" / "spark-class"
    host, ports = "127.0.0.1", [free_port() for _ in range(3)]
    folder = tmp_path / "cluster"
    env = os.environ | {"SPARK_LOCAL_IP": host, "SPARK_WORKER_DIR": str(folder), "SPARK_DAEMON_MEMORY": "256m"}
    package = "org.apache.spark.deploy"
    command = [spark_class, f"{package}.master.Master", "--host", host, "--port", ports[0], "--webui-port", ports[1]]
    with process("The Spark master", command, folder / "master.log", env=env) as master:
        master.wait_until(lambda: listens(ports[0]), 120)
        address = f"spark://{host}:{ports[0]}"
        options = ["--host", host, "--cores", "1", "--memory", "1g"]
        worker = [spark_class, f"{package}.worker.Worker", *options, "--webui-port", ports[2], address]
        with process("The Spark worker", worker, folder / "worker.log", env=env) as one:
            one.wait_until(lambda: "Registering worker" in (folder / "master.log").read_text(), 120)
            yield address, folder


@pytest.mark.slow
def test_a_cluster_gives_the_same_numbers(registered, rows, cluster, job, tmp_path):
    master, folder = cluster
    (tmp_path / "rows").mkdir()
    for part in range(4):
        rows.iloc[part * 125 : part * 125 + 125].to_parquet(tmp_path / "rows" / f"{part}.parquet", index=False)
    rows.to_parquet(tmp_path / "all.parquet", index=False)
    score_file(job(tmp_path / "all.parquet"))
    command = [sys.executable, "-m", "mlflow", "run", "3_projects/scoring", "-e", "spark", "--env-manager", "local"]
    for option in (f"input={tmp_path / 'rows'}", f"output={tmp_path / 'spark.parquet'}", f"master={master}"):
        command += ["-P", option]
    command += ["-P", f"registered_model={registered}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"scoring: 500 rows with {registered} version 1" in done.stdout
    assert re.search("Launched executor|Asked to launch executor", (folder / "worker.log").read_text())
    same(in_order(tmp_path / "spark.parquet"), in_order(tmp_path / "scored.parquet"))
    run = mlflow.get_run(re.search(r"in run with ID '(\w+)'", done.stderr)[1])
    assert (run.data.metrics["rows"], run.data.metrics["rejected"]) == (500, 0)
    assert run.data.tags["model_version"] == "1"
