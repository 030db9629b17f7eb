import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import mlflow
import numpy as np
import pandas as pd
import psutil
import pytest
import score_spark
import session as spark
from conftest import ROOT
from processes import process
from pyarrow import parquet
from rows import ScoringError
from servers import listens

FEATURES = ["windspeed", "temperature", "rad_horizontal"]
TARGETS = ["solar_GW", "wind_GW"]
SCRIPT = ROOT / "3_projects" / "scoring" / "score_spark.py"


@pytest.fixture(scope="module")
def java() -> None:
    """Need a Java that Spark takes; CI has to have one."""
    try:
        spark.check_java()
    except ScoringError as error:
        pytest.fail(str(error)) if os.environ.get("CI") else pytest.skip(str(error))


@pytest.fixture(scope="module")
def session(java):
    """Share one session, with the loopback and Python settings that the project itself makes."""
    with pytest.MonkeyPatch.context() as environment:
        for name in ("PYSPARK_PYTHON", "SPARK_LOCAL_IP"):
            environment.setenv(name, os.environ.get(name, ""))
            environment.delenv(name)
        started = spark.start("local[2]")
        gateway = started.sparkContext._gateway
        yield started
        started.stop()
        gateway.shutdown()
        gateway.proc.stdin.close()
        gateway.proc.wait(60)


@pytest.fixture
def score_with_spark(session, model_folder, version, tmp_path):
    """Return a function that scores a path into ``spark.parquet`` of the test's folder."""

    def run(path: Path, output: str = "spark.parquet") -> tuple[int, int]:
        return score_spark.score_files(session, model_folder, version, f"file://{path}", f"file://{tmp_path / output}")

    return run


def in_order(frame: pd.DataFrame, key: str = "utc_timestamp") -> pd.DataFrame:
    return frame.sort_values(key, kind="stable").reset_index(drop=True)


def test_both_engines_give_the_same_numbers_and_set_the_same_lines_aside(
    nasty, score_with_pandas, score_with_spark, tmp_path
):
    """A forest in one thread gives the same bits in batches of any size; this file is one part, so its order stays."""
    content, reasons = nasty
    (tmp_path / "rows.csv").write_bytes(content)
    assert score_with_spark(tmp_path / "rows.csv") == score_with_pandas(tmp_path / "rows.csv")
    frames = [pd.read_parquet(tmp_path / name) for name in ("spark.parquet", "scored.parquet")]
    pd.testing.assert_frame_equal(*frames, check_exact=True)
    aside = [pd.read_parquet(tmp_path / f"{name}.rejected.parquet") for name in ("spark", "scored")]
    pd.testing.assert_frame_equal(aside[0], aside[1].drop(columns="row"))
    assert aside[0]["reason"].tolist() == reasons


def test_a_folder_of_parquet_files_gives_the_same_numbers_keyed(rows, score_with_pandas, score_with_spark, tmp_path):
    spoilt = rows.assign(temperature=rows["temperature"].mask(rows.index == 7))
    spoilt.to_parquet(tmp_path / "all.parquet")
    (tmp_path / "rows").mkdir()
    for part in range(5):
        spoilt.iloc[part * 100 : part * 100 + 100].to_parquet(tmp_path / "rows" / f"{part}.parquet", index=False)
    assert score_with_spark(tmp_path / "rows") == score_with_pandas(tmp_path / "all.parquet") == (499, 1)
    found, wanted = (pd.read_parquet(tmp_path / name) for name in ("spark.parquet", "scored.parquet"))
    pd.testing.assert_frame_equal(in_order(found), in_order(wanted), check_exact=True)
    aside = [pd.read_parquet(tmp_path / f"{name}.rejected.parquet") for name in ("spark", "scored")]
    pd.testing.assert_frame_equal(aside[0], aside[1].drop(columns="row"), check_exact=True)
    schema = parquet.read_schema(next((tmp_path / "spark.parquet").glob("part-*")))
    fields = json.loads(schema.metadata[b"org.apache.spark.sql.parquet.row.metadata"])["fields"]
    metadata = {field["name"]: field["metadata"] for field in fields}
    for target in TARGETS:
        assert (metadata[target]["model"], metadata[target]["model_version"]) == ("wind_solar", "7")
        assert metadata[target]["model_run"] == "the run that trained it"
    assert not list(tmp_path.glob(".*"))


def test_a_folder_of_csv_files_needs_one_header(rows, score_with_pandas, score_with_spark, tmp_path):
    rows.to_csv(tmp_path / "all.csv", index=False)
    (tmp_path / "rows").mkdir()
    rows.head(300).to_csv(tmp_path / "rows" / "1.csv", index=False)
    rows.tail(200).to_csv(tmp_path / "rows" / "2.csv", index=False)
    assert score_with_spark(tmp_path / "rows") == score_with_pandas(tmp_path / "all.csv") == (500, 0)
    found, wanted = (pd.read_parquet(tmp_path / name) for name in ("spark.parquet", "scored.parquet"))
    pd.testing.assert_frame_equal(in_order(found), in_order(wanted), check_exact=True)
    rows[rows.columns[::-1]].to_csv(tmp_path / "rows" / "3.csv", index=False)
    with pytest.raises(ScoringError, match=r"3.csv: expected the header of .*1.csv, found another one"):
        score_with_spark(tmp_path / "rows")


def test_rows_without_a_key_get_file_and_number_or_are_refused(model, rows, score_with_spark, tmp_path):
    rows[FEATURES].to_parquet(tmp_path / "rows.parquet")
    rows[FEATURES].to_csv(tmp_path / "rows.csv", index=False)
    assert score_with_spark(tmp_path / "rows.parquet") == (500, 0)
    scored = in_order(pd.read_parquet(tmp_path / "spark.parquet"), "row")
    assert scored["row"].tolist() == list(range(1, 501))
    assert set(scored["file"]) == {"rows.parquet"}
    pd.testing.assert_frame_equal(scored[TARGETS], model.predict(rows[FEATURES]), check_exact=True)
    with pytest.raises(ScoringError, match="expected a column that tells the rows apart"):
        score_with_spark(tmp_path / "rows.csv")


def test_an_older_output_is_replaced_by_a_whole_one_only(rows, score_with_spark, tmp_path):
    rows.to_parquet(tmp_path / "rows.parquet")
    rows.assign(windspeed=np.nan).to_parquet(tmp_path / "bad.parquet")
    rows.head(10).to_parquet(tmp_path / "few.parquet")
    score_with_spark(tmp_path / "rows.parquet")
    with pytest.raises(ScoringError, match="found 500 bad ones"):
        score_with_spark(tmp_path / "bad.parquet")
    assert len(pd.read_parquet(tmp_path / "spark.parquet")) == 500
    assert len(pd.read_parquet(tmp_path / "spark.rejected.parquet")) == 500
    # A job that was killed after it had taken the older output away, and one killed before.
    (tmp_path / "spark.parquet").rename(tmp_path / ".spark.parquet.old-1")
    (tmp_path / ".spark.parquet.partial-1").mkdir()
    with pytest.raises(ScoringError, match="found 500 bad ones"):
        score_with_spark(tmp_path / "bad.parquet")
    assert len(pd.read_parquet(tmp_path / "spark.parquet")) == 500
    assert score_with_spark(tmp_path / "few.parquet") == (10, 0)
    assert len(pd.read_parquet(tmp_path / "spark.parquet")) == 10
    names = ["bad.parquet", "few.parquet", "rows.parquet", "spark.parquet"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda folder: None, "no such file, or an empty folder"),
        (lambda folder: (folder / "rows").mkdir(), "no such file, or an empty folder"),
        (lambda folder: pd.DataFrame({"a": [1.0]}).to_parquet(folder / "rows"), "expected the columns windspeed, temp"),
    ],
    ids=["no file", "an empty folder", "other columns"],
)
def test_an_input_that_cannot_be_used_is_named(score_with_spark, tmp_path, make, sentence):
    make(tmp_path)
    with pytest.raises(ScoringError, match=f"{tmp_path / 'rows'}: {sentence}"):
        score_with_spark(tmp_path / "rows")


def test_an_error_of_spark_is_one_line(score_with_spark, tmp_path):
    (tmp_path / "rows.parquet").write_bytes(b"PAR1 nothing of the kind")
    with pytest.raises((score_spark.PySparkException, score_spark.Py4JError)) as caught:
        score_with_spark(tmp_path / "rows.parquet")
    said = score_spark.reason_of(caught.value)
    assert f"{tmp_path / 'rows.parquet'} is not a Parquet file" in said
    assert "\n" not in said


def test_without_java_it_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(ScoringError, match=r"needs Java 17 or newer, found none on the PATH\. Install it, for example"):
        spark.check_java()
    old = tmp_path / "java"
    old.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\"' >&2\n")
    old.chmod(0o755)
    with pytest.raises(ScoringError, match=r"needs Java 17 or newer, found .*11\.0\.2"):
        spark.check_java()


@pytest.mark.parametrize("master", ["spark", "locl[2]", "http://127.0.0.1", "spark://"])
def test_a_master_that_spark_does_not_know_is_refused(master):
    with pytest.raises(ScoringError, match=r"expected a master such as local\[\*\].*found " + re.escape(repr(master))):
        spark.check_master(master)


def test_a_master_that_is_away_or_has_no_workers_is_named_in_time(free_port, monkeypatch):
    master = f"spark://127.0.0.1:{free_port()}"
    with pytest.raises(ScoringError, match=f"the Spark master {master} can't be reached"):
        spark.check_master(master)
    monkeypatch.setattr(spark, "FIRST_WORKER", 0.5)
    status = SimpleNamespace(getExecutorInfos=lambda: ["the driver"])
    context = SimpleNamespace(_jsc=SimpleNamespace(sc=lambda: SimpleNamespace(statusTracker=lambda: status)))
    stopped = []
    idle = SimpleNamespace(sparkContext=context, stop=lambda: stopped.append(True))
    with pytest.raises(ScoringError, match="has had no free worker"):
        spark.wait_for_worker(idle, master)
    assert stopped


def processes_about(text: str) -> list[psutil.Process]:
    """Return the processes whose command or environment names something."""
    found = []
    for one in psutil.process_iter():
        try:
            if any(text in part for part in [*one.cmdline(), *one.environ().values()]):
                found.append(one)
        except psutil.Error:
            continue
    return found


@pytest.fixture
def cluster(java, free_port, tmp_path):
    """Run a standalone master and two workers of one core each on loopback; nothing of them may be left."""
    import pyspark

    spark_class = Path(pyspark.__file__).parent / "bin" / "spark-class"
    host, ports = "127.0.0.1", [free_port() for _ in range(4)]
    folder = tmp_path / "cluster"
    env = os.environ | {"SPARK_LOCAL_IP": host, "SPARK_WORKER_DIR": str(folder), "SPARK_DAEMON_MEMORY": "256m"}
    package = "org.apache.spark.deploy"
    command = [spark_class, f"{package}.master.Master", "--host", host, "--port", ports[0], "--webui-port", ports[1]]
    with process("The Spark master", command, folder / "master.log", env=env) as master:
        master.wait_until(lambda: listens(ports[0]), 120)
        address = f"spark://{host}:{ports[0]}"
        options = ["--host", host, "--cores", "1", "--memory", "1g"]
        worker = [spark_class, f"{package}.worker.Worker", *options]
        with (
            process("A", [*worker, "--webui-port", ports[2], address], folder / "a.log", env=env) as first,
            process("B", [*worker, "--webui-port", ports[3], address], folder / "b.log", env=env) as second,
        ):
            for one in (first, second):
                one.wait_until(lambda: (folder / "master.log").read_text().count("Registering worker") == 2, 120)
            yield address, folder
    assert not processes_about(str(folder))


def type_spark(**parameters) -> subprocess.CompletedProcess:
    """Type ``mlflow run`` for the entry point and return what came of it."""
    command = [sys.executable, "-m", "mlflow", "run", "3_projects/scoring", "-e", "spark", "--env-manager", "local"]
    for name, value in parameters.items():
        command += ["-P", f"{name}={value}"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=400, check=False)


@pytest.mark.slow
def test_a_cluster_of_two_workers_gives_the_same_numbers(registered, rows, cluster, score_with_pandas, tmp_path):
    master, folder = cluster
    (tmp_path / "rows").mkdir()
    for part in range(4):
        rows.iloc[part * 125 : part * 125 + 125].to_parquet(tmp_path / "rows" / f"{part}.parquet", index=False)
    rows.to_parquet(tmp_path / "all.parquet", index=False)
    score_with_pandas(tmp_path / "all.parquet")
    done = type_spark(
        input=tmp_path / "rows", output=tmp_path / "spark.parquet", registered_model=registered, master=master
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"scoring: Spark started on {master} in " in done.stdout
    assert f"scoring: 500 rows with {registered} version 1" in done.stdout
    for name in ("a", "b"):
        assert (
            "Launched executor" in (folder / f"{name}.log").read_text()
            or "Asked to launch executor" in (folder / f"{name}.log").read_text()
        ), "a worker had no part in it"
    found, wanted = (pd.read_parquet(tmp_path / name) for name in ("spark.parquet", "scored.parquet"))
    pd.testing.assert_frame_equal(in_order(found), in_order(wanted), check_exact=True)
    run_id = re.search(r"in run with ID '(\w+)'", done.stderr)[1]
    run = mlflow.get_run(run_id)
    assert (run.data.metrics["rows"], run.data.metrics["rejected"]) == (500, 0)
    assert run.data.tags["model_version"] == "1"


@pytest.mark.slow
def test_a_spark_job_that_is_killed_leaves_the_older_output_whole(java, registered, rows, tmp_path):
    """Its JVM and its workers go with it."""
    pd.concat([rows] * 4000).to_parquet(tmp_path / "big.parquet")
    (tmp_path / "spark.parquet").mkdir()
    rows.to_parquet(tmp_path / "spark.parquet" / "part-0.parquet")
    command = [sys.executable, SCRIPT, "--input", tmp_path / "big.parquet", "--output", tmp_path / "spark.parquet"]
    command += ["--registered-model", registered, "--master", "local[1]"]
    env = os.environ | {"SPARK_LOCAL_DIRS": str(tmp_path / "scratch")}
    with (tmp_path / "log").open("wb") as log:
        job = subprocess.Popen([str(part) for part in command], stdout=log, stderr=log, env=env)
    deadline = time.monotonic() + 200
    while not list(tmp_path.glob(".spark.parquet.partial-*/_temporary/0/_temporary/*/part-*")):
        assert job.poll() is None, (tmp_path / "log").read_text()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    job.send_signal(signal.SIGKILL)
    job.wait(60)
    while processes_about(str(tmp_path / "scratch")):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert [path.name for path in (tmp_path / "spark.parquet").iterdir()] == ["part-0.parquet"]
    assert len(pd.read_parquet(tmp_path / "spark.parquet")) == 500
    shutil.rmtree(tmp_path / "scratch", ignore_errors=True)
