import gzip
import hashlib
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import lines
import mlflow
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import score
from conftest import ROOT
from files import Input
from pyarrow import parquet
from rows import ScoringError

FEATURES = ["windspeed", "temperature", "rad_horizontal"]
TARGETS = ["solar_GW", "wind_GW"]


def expected(model, rows: pd.DataFrame) -> pd.DataFrame:
    """Return what the output has to be: the columns that the model neither takes nor gives, and its predictions."""
    keys = rows.drop(columns=[*FEATURES, *TARGETS], errors="ignore").reset_index(drop=True)
    return keys.join(model.predict(rows[FEATURES]).reset_index(drop=True))


def same(left: pd.DataFrame, right: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(left, right, check_exact=True)


@pytest.mark.parametrize("chunk_rows", [7, 50_000])
def test_a_parquet_file_keeps_its_order_its_keys_and_their_types(model, rows, score_with_pandas, tmp_path, chunk_rows):
    rows.to_parquet(tmp_path / "rows.parquet")
    assert score_with_pandas(tmp_path / "rows.parquet", chunk_rows=chunk_rows) == (500, 0)
    same(pd.read_parquet(tmp_path / "scored.parquet"), expected(model, rows))


def test_a_csv_gives_the_same_numbers_as_parquet_to_the_last_bit(model, rows, score_with_pandas, tmp_path):
    rows.to_csv(tmp_path / "rows.csv", index=False)
    (tmp_path / "rows.csv.gz").write_bytes(gzip.compress((tmp_path / "rows.csv").read_bytes()))
    assert score_with_pandas(tmp_path / "rows.csv", "plain.parquet", 99) == (500, 0)
    assert score_with_pandas(tmp_path / "rows.csv.gz", "gz.parquet") == (500, 0)
    scored = pd.read_parquet(tmp_path / "plain.parquet")
    same(scored[TARGETS], model.predict(rows[FEATURES]))
    assert scored["place"].tolist() == rows["place"].tolist()
    assert pd.to_datetime(scored["utc_timestamp"]).tolist() == rows["utc_timestamp"].tolist()
    same(pd.read_parquet(tmp_path / "gz.parquet"), scored)


def test_the_schema_tells_the_model(rows, score_with_pandas, tmp_path):
    rows.to_parquet(tmp_path / "rows.parquet")
    score_with_pandas(tmp_path / "rows.parquet")
    about = parquet.read_schema(tmp_path / "scored.parquet").metadata
    assert (about[b"model"], about[b"model_version"]) == (b"wind_solar", b"7")
    assert about[b"model_run"] == b"the run that trained it"


def test_rows_without_a_key_get_a_number(rows, score_with_pandas, tmp_path):
    rows[FEATURES].to_parquet(tmp_path / "rows.parquet")
    score_with_pandas(tmp_path / "rows.parquet", chunk_rows=100)
    assert pd.read_parquet(tmp_path / "scored.parquet")["row"].tolist() == list(range(1, 501))


@pytest.mark.parametrize("chunk_rows", [1, 5, 50_000])
def test_bad_lines_of_a_csv_are_set_aside_with_their_reason(model, nasty, score_with_pandas, tmp_path, chunk_rows):
    content, reasons = nasty
    (tmp_path / "rows.csv").write_bytes(content)
    count, rejected = score_with_pandas(tmp_path / "rows.csv", chunk_rows=chunk_rows)
    assert rejected == len(reasons)
    aside = pd.read_parquet(tmp_path / "scored.rejected.parquet")
    assert aside["reason"].tolist() == reasons
    lines = content.decode("utf-8-sig", errors="replace").split("\n")
    assert [lines[row] for row in aside["row"]] == aside["line"].tolist()
    scored = pd.read_parquet(tmp_path / "scored.parquet")
    assert len(scored) == count
    plain = scored[scored["utc_timestamp"].str.startswith("row ", na=False)]
    assert len(plain) == 2 * len(plain["utc_timestamp"].unique())
    right = model.predict(pd.DataFrame([[3.5, 1.5, 2.5], [3.6, 1.7, 2.8]], columns=FEATURES))
    assert (plain[TARGETS].to_numpy() == np.tile(right, (len(plain) // 2, 1))).all()
    odd = scored[~scored["utc_timestamp"].str.startswith("row ", na=False)]
    times = ["2013-01-01 00:00"] * 6 + ["a,b", 'a"b', 'a"b', None, "Köln", "\u2603", "b\ufffd", "2013-01-01 00:00"]
    assert odd["utc_timestamp"].replace({np.nan: None}).tolist() == times
    wind = [5.5, 5.5, 5, 0.5, 0, 0.1] + [5.25] * 8
    weather = pd.DataFrame({"windspeed": wind, "temperature": -0.1, "rad_horizontal": 100.0})
    assert (odd[TARGETS].to_numpy() == model.predict(weather).to_numpy()).all()


def test_bad_rows_of_a_parquet_file_are_set_aside_whole(model, rows, score_with_pandas, tmp_path):
    spoilt = rows.copy()
    for row, value in ((3, np.nan), (200, np.inf), (499, -1e30)):
        spoilt.loc[row, "temperature"] = value
    spoilt.to_parquet(tmp_path / "rows.parquet")
    assert score_with_pandas(tmp_path / "rows.parquet", chunk_rows=150) == (497, 3)
    aside = pd.read_parquet(tmp_path / "scored.rejected.parquet")
    assert aside["row"].tolist() == [4, 201, 500]
    found = [reason.removeprefix("expected a number in temperature, found ") for reason in aside["reason"]]
    assert found == ["none", "inf", "-1e+30"]
    same(aside[rows.columns], spoilt.loc[[3, 200, 499]].reset_index(drop=True))
    same(pd.read_parquet(tmp_path / "scored.parquet"), expected(model, rows.drop([3, 200, 499])))


def test_numbers_as_text_as_integers_and_as_decimals_are_numbers(model, score_with_pandas, tmp_path):
    table = pa.table(
        {
            "key": [1, 2, 3],
            "windspeed": ["5.5", " 6 ", "calm"],
            "temperature": pa.array([1, 2, 3], pa.int16()),
            "rad_horizontal": pa.array([1, 2, 3], pa.decimal128(9, 2)),
        }
    )
    parquet.write_table(table, tmp_path / "rows.parquet")
    assert score_with_pandas(tmp_path / "rows.parquet") == (2, 1)
    scored = pd.read_parquet(tmp_path / "scored.parquet")
    assert scored["key"].tolist() == [1, 2]
    right = model.predict(pd.DataFrame([[5.5, 1.0, 1.0], [6.0, 2.0, 2.0]], columns=FEATURES))
    assert (scored[TARGETS].to_numpy() == right.to_numpy()).all()


def test_if_every_row_is_bad_the_job_fails_and_an_older_output_stays(rows, score_with_pandas, tmp_path):
    rows.to_parquet(tmp_path / "good.parquet")
    rows.assign(windspeed=np.nan).to_parquet(tmp_path / "bad.parquet")
    score_with_pandas(tmp_path / "good.parquet")
    before = (tmp_path / "scored.parquet").read_bytes()
    with pytest.raises(ScoringError, match=r"found 500 bad ones. Their reasons are in .*scored.rejected.parquet"):
        score_with_pandas(tmp_path / "bad.parquet")
    assert (tmp_path / "scored.parquet").read_bytes() == before
    assert len(pd.read_parquet(tmp_path / "scored.rejected.parquet")) == 500


def test_a_job_without_bad_rows_removes_those_of_the_job_before(rows, score_with_pandas, tmp_path):
    rows.to_parquet(tmp_path / "good.parquet")
    rows.assign(windspeed=rows["windspeed"].mask(rows.index == 1)).to_parquet(tmp_path / "bad.parquet")
    score_with_pandas(tmp_path / "bad.parquet")
    score_with_pandas(tmp_path / "good.parquet")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.parquet", "good.parquet", "scored.parquet"]


def test_no_more_than_a_chunk_is_read_at_once(rows, tmp_path):
    rows.to_parquet(tmp_path / "rows.parquet")  # one row group
    rows.to_csv(tmp_path / "rows.csv", index=False)
    for name in ("rows.parquet", "rows.csv"):
        sizes = [len(chunk.table) for chunk in Input(tmp_path / name, 99).chunks()]
        assert max(sizes) <= 99
        assert sum(sizes) == 500


def spoilt(content: bytes, name: str, tmp_path: Path) -> Path:
    (tmp_path / name).write_bytes(content)
    return tmp_path / name


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda rows, folder: folder / "none.csv", "none.csv: no such file"),
        (lambda rows, folder: folder, "expected a file, found a folder"),
        (lambda rows, folder: spoilt(b"", "empty.csv", folder), "expected a header"),
        (lambda rows, folder: spoilt(b"windspeed,windspeed\n", "twice.csv", folder), "'windspeed' more than once"),
        (
            lambda rows, folder: spoilt(b"windspeed,a\n1,2\n", "a.csv", folder),
            "columns temperature, rad_horizontal, wh",
        ),
        (
            lambda rows, folder: spoilt(b"windspeed,temperature,rad_horizontal\n", "b.csv", folder),
            "expected rows, found none",
        ),
        (lambda rows, folder: spoilt(b"PAR1 no", "a.parquet", folder), "expected a Parquet file"),
        (lambda rows, folder: spoilt(b"a,b", "rows.txt", folder), "expected a Parquet file"),
        (lambda rows, folder: spoilt(gzip.compress(b"a," * 999)[:30], "a.csv.gz", folder), "a.csv.gz"),
    ],
    ids=["no file", "a folder", "empty", "twice", "columns", "no rows", "no Parquet", "another kind", "half a gz"],
)
def test_an_input_that_cannot_be_used_is_named_in_a_sentence(rows, score_with_pandas, tmp_path, make, sentence):
    path = make(rows, tmp_path)
    with pytest.raises(ScoringError, match=re.escape(str(path))) as caught:
        score_with_pandas(path)
    assert sentence in str(caught.value)
    assert not list(tmp_path.glob("*scored*"))


def test_a_damaged_parquet_file_leaves_nothing(rows, score_with_pandas, tmp_path):
    rows.to_parquet(tmp_path / "rows.parquet", row_group_size=100, compression="gzip")
    content = bytearray((tmp_path / "rows.parquet").read_bytes())
    content[len(content) // 3 : len(content) // 2] = bytes(len(content) // 2 - len(content) // 3)
    (tmp_path / "rows.parquet").write_bytes(content)
    with pytest.raises(ScoringError, match=r"rows.parquet: is damaged \(.*Export it again"):
        score_with_pandas(tmp_path / "rows.parquet")
    assert not list(tmp_path.glob("*scored*"))


def test_a_column_of_another_type_is_named(rows, score_with_pandas, tmp_path):
    rows.assign(windspeed=True).to_parquet(tmp_path / "rows.parquet")
    with pytest.raises(ScoringError, match="expected numbers in the column windspeed, found bool"):
        score_with_pandas(tmp_path / "rows.parquet")


def test_an_output_that_cannot_be_written_is_named(rows, score_with_pandas, tmp_path):
    rows.to_parquet(tmp_path / "rows.parquet")
    (tmp_path / "folder.parquet").mkdir()
    for output in ("rows.parquet/scored.parquet", "folder.parquet"):
        with pytest.raises(ScoringError, match=f"{output}: .*Give another output"):
            score_with_pandas(tmp_path / "rows.parquet", output)


def test_a_full_disk_is_told_and_an_older_output_stays(rows, score_with_pandas, tmp_path):
    rows.to_parquet(tmp_path / "rows.parquet")
    (tmp_path / "scored.parquet").write_text("older")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, before[1]))
    try:
        with pytest.raises(ScoringError, match=r"scored.parquet: can't be written \(File too large\)"):
            score_with_pandas(tmp_path / "rows.parquet", chunk_rows=20)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert (tmp_path / "scored.parquet").read_text() == "older"
    assert not list(tmp_path.glob(".scored*"))


def test_a_model_without_named_columns_is_refused(rows, version, tmp_path):
    forest = mlflow.pyfunc.PythonModel
    named = type("Named", (forest,), {"predict": lambda self, context, model_input, params=None: model_input})()
    mlflow.pyfunc.save_model(str(tmp_path / "model"), python_model=named, pip_requirements=["mlflow"])
    rows.to_parquet(tmp_path / "rows.parquet")
    model = mlflow.pyfunc.load_model(str(tmp_path / "model"))
    with pytest.raises(ScoringError, match="wind_solar version 7: expected a signature"):
        score.score_file(model, version, tmp_path / "rows.parquet", tmp_path / "scored.parquet", 10)


@pytest.fixture
def big(rows, tmp_path) -> Path:
    """Return rows that take seconds in small chunks."""
    pd.concat([rows] * 400).to_parquet(tmp_path / "big.parquet")
    return tmp_path / "big.parquet"


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGTERM])
def test_a_job_that_is_killed_leaves_the_older_output_whole(registered, rows, big, score_with_pandas, tmp_path, signum):
    rows.to_parquet(tmp_path / "rows.parquet")
    score_with_pandas(tmp_path / "rows.parquet")
    before = (tmp_path / "scored.parquet").read_bytes()
    command = [sys.executable, ROOT / "3_projects" / "scoring" / "score.py", "--input", big]
    command += ["--output", tmp_path / "scored.parquet", "--registered-model", registered, "--chunk-rows", "20"]
    with subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as job:
        deadline = time.monotonic() + 120
        while not any(path.stat().st_size > 10_000 for path in tmp_path.glob(".scored.parquet.partial-*")):
            assert job.poll() is None, job.stdout.read()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        job.send_signal(signum)
        job.communicate(timeout=60)
    assert job.returncode != 0
    assert (tmp_path / "scored.parquet").read_bytes() == before
    leftovers = list(tmp_path.glob(".scored*"))
    assert bool(leftovers) == (signum == signal.SIGKILL)
    if signum == signal.SIGTERM:
        (run,) = mlflow.search_runs(
            search_all_experiments=True,
            filter_string="tags.step = 'scoring'",
            max_results=1,
            output_format="list",
        )
        assert run.info.status == "KILLED"
    assert score_with_pandas(tmp_path / "rows.parquet") == (500, 0)
    assert not list(tmp_path.glob(".scored*"))


def test_a_run_of_the_project_tells_what_was_scored_with_what(registered, rows, mlflow_run, tmp_path, model):
    rows.assign(windspeed=rows["windspeed"].mask(rows.index == 1)).to_parquet(tmp_path / "rows.parquet")
    output = tmp_path / "new" / "scored.parquet"
    options = {"input": tmp_path / "rows.parquet", "output": output, "registered_model": registered}
    done = mlflow_run("3_projects/scoring", experiment="scoring", **options)
    assert done.returncode == 0, done.stderr
    assert f"scoring: 499 rows with {registered} version 1 in " in done.stdout
    assert "scoring: 1 bad rows set aside" in done.stdout
    experiment = mlflow.get_experiment_by_name("scoring").experiment_id
    (run,) = mlflow.search_runs([experiment], output_format="list")
    assert run.info.status == "FINISHED"
    assert (run.data.metrics["rows"], run.data.metrics["rejected"]) == (499, 1)
    assert run.data.metrics["seconds"] > 0
    assert run.data.tags["model_version"] == "1"
    assert run.data.tags["output"] == str(output)
    assert run.data.tags["output_sha256"] == hashlib.sha256(output.read_bytes()).hexdigest()
    about = parquet.read_schema(output).metadata
    assert about[b"scoring_run"].decode() == run.info.run_id
    assert about[b"model_run"].decode() == run.data.tags["model_run"]
    assert not mlflow.MlflowClient().list_artifacts(run.info.run_id)


def test_without_an_input_the_holdout_of_the_newest_table_is_scored(workflow, mlflow_run, tmp_path):
    done = mlflow_run("3_projects/scoring", output=tmp_path / "scored.parquet")
    assert done.returncode == 0, done.stderr
    scored = pd.read_parquet(tmp_path / "scored.parquet")
    assert len(scored) == 30 * 24
    assert set(scored["split"]) == {"holdout"}
    model = mlflow.pyfunc.load_model("models:/wind_solar@production")
    assert set(model.metadata.get_output_schema().input_names()) <= set(scored.columns)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"registered_model": "nobody"}, "no version of nobody has the alias production. Make one with: mlflow run"),
        ({"version": "9"}, "no version of scored is version 9"),
        ({"version": "retired"}, "no version of scored has the alias retired"),
        ({"chunk_rows": "0"}, "expected at least 1 row in a chunk"),
        ({}, f"{ROOT / 'none.csv'}: no such file"),
    ],
)
def test_an_error_is_one_sentence_and_stays_on_the_run(registered, monkeypatch, tmp_path, capsys, options, sentence):
    given = {"registered_model": registered, "input": "none.csv", "output": str(tmp_path / "scored.parquet")} | options
    arguments = [part for name, value in given.items() for part in (f"--{name.replace('_', '-')}", value)]
    monkeypatch.setattr(sys, "argv", ["score.py", *arguments])
    handler = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(SystemExit, match=f"^scoring: .*{re.escape(sentence)}"):
            score.main()
    finally:
        signal.signal(signal.SIGTERM, handler)
    run = mlflow.last_active_run()
    assert run.info.status == "FAILED"
    assert sentence in mlflow.get_run(run.info.run_id).data.tags["error"]


def test_a_malformed_line_keeps_its_place_among_lines_of_one_value():
    table, faults = lines.parse(["1.5", '"', "2.5"], ["windspeed"])
    assert table["windspeed"].to_pylist() == ["1.5", None, "2.5"]
    assert list(faults) == [1]
