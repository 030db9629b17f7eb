import gzip
import hashlib
import re
import resource
import signal
import subprocess
import sys
import time

import mlflow
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import rows as rows_of_scoring
from conftest import ROOT
from files import Rows
from pyarrow import parquet
from score import score_file

from forecasting.errors import UserError

FEATURES = ["windspeed", "temperature", "rad_horizontal"]
TARGETS = ["solar_GW", "wind_GW"]
PROJECT = ROOT / "3_projects" / "scoring"


def expected(model, rows: pd.DataFrame) -> pd.DataFrame:
    """Return what the output has to be: the columns that the model neither takes nor gives, and its predictions."""
    keys = rows.drop(columns=[*FEATURES, *TARGETS], errors="ignore").reset_index(drop=True)
    return keys.join(model.predict(rows[FEATURES]).reset_index(drop=True))


def same(left: pd.DataFrame, right: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(left, right, check_exact=True)


@pytest.mark.parametrize("piece_rows", [7, 50_000])
def test_a_parquet_file_keeps_its_order_its_keys_and_their_types(model, rows, job, tmp_path, piece_rows):
    rows.to_parquet(tmp_path / "rows.parquet")
    assert score_file(job(tmp_path / "rows.parquet"), piece_rows) == (500, 0)
    same(pd.read_parquet(tmp_path / "scored.parquet"), expected(model, rows))
    about = parquet.read_schema(tmp_path / "scored.parquet").metadata
    assert (about[b"model"], about[b"model_version"]) == (b"wind_solar", b"7")
    assert about[b"model_run"] == b"the run that trained it"


def test_a_csv_gives_the_same_numbers_as_parquet_to_the_last_bit(model, rows, job, tmp_path):
    rows.to_csv(tmp_path / "rows.csv", index=False)
    (tmp_path / "rows.csv.gz").write_bytes(gzip.compress((tmp_path / "rows.csv").read_bytes()))
    assert score_file(job(tmp_path / "rows.csv", "plain.parquet"), 99) == (500, 0)
    assert score_file(job(tmp_path / "rows.csv.gz", "gz.parquet")) == (500, 0)
    scored = pd.read_parquet(tmp_path / "plain.parquet")
    same(scored[TARGETS], model.predict(rows[FEATURES]))
    assert scored["place"].tolist() == rows["place"].tolist()
    assert pd.to_datetime(scored["utc_timestamp"]).tolist() == rows["utc_timestamp"].tolist()
    same(pd.read_parquet(tmp_path / "gz.parquet"), scored)


def test_rows_without_a_key_get_a_number(rows, job, tmp_path):
    rows[FEATURES].to_parquet(tmp_path / "rows.parquet")
    score_file(job(tmp_path / "rows.parquet"), 100)
    assert pd.read_parquet(tmp_path / "scored.parquet")["row"].tolist() == list(range(1, 501))


@pytest.mark.parametrize("piece_rows", [1, 5, 50_000])
def test_bad_lines_of_a_csv_are_set_aside_with_their_reason(model, nasty, job, tmp_path, piece_rows):
    content, reasons = nasty
    (tmp_path / "rows.csv").write_bytes(content)
    count, rejected = score_file(job(tmp_path / "rows.csv"), piece_rows)
    assert rejected == len(reasons)
    aside = pd.read_parquet(tmp_path / "scored.rejected.parquet")
    assert aside["reason"].tolist() == reasons
    lines = content.decode("utf-8-sig", errors="replace").split("\n")
    assert [lines[row] for row in aside["row"]] == aside["line"].tolist()
    scored = pd.read_parquet(tmp_path / "scored.parquet")
    assert len(scored) == count
    plain = scored["utc_timestamp"].str.startswith("row ", na=False)
    right = model.predict(pd.DataFrame([[3.5, 1.5, 2.5], [3.6, 1.7, 2.8]], columns=FEATURES))
    assert (scored.loc[plain, TARGETS].to_numpy() == np.tile(right, (plain.sum() // 2, 1))).all()
    odd = scored[~plain]
    times = ["2013-01-01 00:00"] * 6 + ["a,b", 'a"b', 'a"b', None, "Köln", "\u2603", "b\ufffd", "2013-01-01 00:00"]
    assert odd["utc_timestamp"].replace({np.nan: None}).tolist() == times
    wind = [5.5, 5.5, 5, 0.5, 0, 0.1] + [5.25] * 8
    weather = pd.DataFrame({"windspeed": wind, "temperature": -0.1, "rad_horizontal": 100.0})
    assert (odd[TARGETS].to_numpy() == model.predict(weather).to_numpy()).all()


def test_bad_rows_of_a_parquet_file_are_set_aside_whole(model, rows, job, tmp_path):
    spoilt = rows.copy()
    for row, value in ((3, np.nan), (200, np.inf), (499, -1e30)):
        spoilt.loc[row, "temperature"] = value
    spoilt.to_parquet(tmp_path / "rows.parquet")
    assert score_file(job(tmp_path / "rows.parquet"), 150) == (497, 3)
    aside = pd.read_parquet(tmp_path / "scored.rejected.parquet")
    assert aside["row"].tolist() == [4, 201, 500]
    reasons = [reason.removeprefix("expected a number in temperature, found ") for reason in aside["reason"]]
    assert reasons == ["none", "inf", "-1e+30"]
    same(aside[rows.columns], spoilt.loc[[3, 200, 499]].reset_index(drop=True))
    same(pd.read_parquet(tmp_path / "scored.parquet"), expected(model, rows.drop([3, 200, 499])))


def test_numbers_as_text_as_integers_and_as_decimals_are_numbers(model, job, tmp_path):
    columns = {
        "key": [1, 2, 3],
        "windspeed": ["5.5", " 6 ", "calm"],
        "temperature": pa.array([1, 2, 3], pa.int16()),
        "rad_horizontal": pa.array([1, 2, 3], pa.decimal128(9, 2)),
    }
    parquet.write_table(pa.table(columns), tmp_path / "rows.parquet")
    assert score_file(job(tmp_path / "rows.parquet")) == (2, 1)
    right = model.predict(pd.DataFrame([[5.5, 1.0, 1.0], [6.0, 2.0, 2.0]], columns=FEATURES))
    same(pd.read_parquet(tmp_path / "scored.parquet"), pd.DataFrame({"key": [1, 2]}).join(right))


def test_only_a_job_with_a_good_row_replaces_what_an_earlier_one_wrote(rows, job, tmp_path):
    rows.to_parquet(tmp_path / "good.parquet")
    rows.assign(windspeed=rows["windspeed"].mask(rows.index == 1)).to_parquet(tmp_path / "one.parquet")
    rows.assign(windspeed=np.nan).to_parquet(tmp_path / "bad.parquet")
    score_file(job(tmp_path / "one.parquet"))
    before = (tmp_path / "scored.parquet").read_bytes()
    with pytest.raises(
        UserError, match=r"only bad ones, the first because: expected a number in windspeed, found none"
    ):
        score_file(job(tmp_path / "bad.parquet"))
    assert (tmp_path / "scored.parquet").read_bytes() == before
    assert len(pd.read_parquet(tmp_path / "scored.rejected.parquet")) == 1
    score_file(job(tmp_path / "good.parquet"))
    assert len(pd.read_parquet(tmp_path / "scored.parquet")) == 500
    names = ["bad.parquet", "good.parquet", "one.parquet", "scored.parquet"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names


def test_no_more_than_a_piece_is_read_at_once(rows, tmp_path):
    rows.to_parquet(tmp_path / "rows.parquet")  # one row group
    rows.to_csv(tmp_path / "rows.csv", index=False)
    for name in ("rows.parquet", "rows.csv"):
        sizes = [len(piece.table) for piece in Rows(tmp_path / name, 99).pieces()]
        assert max(sizes) <= 99
        assert sum(sizes) == 500


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("none.csv", None, "no such file"),
        ("", None, "can't be read as Parquet"),
        ("empty.csv", b"", "expected a header"),
        ("twice.csv", b"windspeed,temperature,rad_horizontal,a,a\n", "'a' more than once"),
        ("a.csv", b"windspeed,a\n1,2\n", "columns temperature, rad_horizontal, wh"),
        ("b.csv", b"windspeed,temperature,rad_horizontal\n", "rows that can be scored, found none"),
        ("a.parquet", b"PAR1 no", "can't be read as Parquet"),
        ("rows.txt", b"a,b", "can't be read as Parquet"),
        ("a.csv.gz", gzip.compress(b"a," * 999)[:30], "can't be read as CSV"),
    ],
    ids=["no file", "a folder", "empty", "twice", "columns", "no rows", "no Parquet", "another kind", "half a gz"],
)
def test_an_input_that_cannot_be_used_is_named_in_a_sentence(job, tmp_path, name, content, sentence):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=f"{re.escape(str(path))}.*{sentence}"):
        score_file(job(path))
    assert not list(tmp_path.glob("*scored*"))


def test_a_damaged_parquet_file_leaves_nothing(rows, job, tmp_path):
    rows.to_parquet(tmp_path / "rows.parquet", row_group_size=100, compression="gzip")
    content = bytearray((tmp_path / "rows.parquet").read_bytes())
    content[len(content) // 3 : len(content) // 2] = bytes(len(content) // 2 - len(content) // 3)
    (tmp_path / "rows.parquet").write_bytes(content)
    with pytest.raises(UserError, match=r"rows.parquet: can't be read as Parquet \(.*export a damaged one again"):
        score_file(job(tmp_path / "rows.parquet"))
    assert [path.name for path in tmp_path.iterdir()] == ["rows.parquet"]


def test_a_column_of_another_type_and_an_output_that_cannot_be_written_are_named(rows, job, tmp_path):
    rows.to_parquet(tmp_path / "rows.parquet")
    rows.assign(windspeed=True).to_parquet(tmp_path / "odd.parquet")
    with pytest.raises(UserError, match="expected numbers in the column windspeed, found bool"):
        score_file(job(tmp_path / "odd.parquet"))
    (tmp_path / "folder.parquet").mkdir()
    for output in ("rows.parquet/scored.parquet", "folder.parquet"):
        with pytest.raises(UserError, match=r".*can't be written \(.*Give another output"):
            score_file(job(tmp_path / "rows.parquet", output))


def test_a_full_disk_is_told_and_an_older_output_stays(rows, job, tmp_path):
    rows.to_parquet(tmp_path / "rows.parquet")
    (tmp_path / "scored.parquet").write_text("older")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, before[1]))
    try:
        with pytest.raises(UserError, match=r"scored.parquet: can't be written \(.*File too large"):
            score_file(job(tmp_path / "rows.parquet"), 20)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert (tmp_path / "scored.parquet").read_text() == "older"
    assert not list(tmp_path.glob(".scored*"))


def test_a_model_without_named_columns_is_refused(rows, job, tmp_path):
    plain = mlflow.pyfunc.PythonModel
    unnamed = type("Unnamed", (plain,), {"predict": lambda self, context, model_input, params=None: model_input})()
    mlflow.pyfunc.save_model(str(tmp_path / "model"), python_model=unnamed, pip_requirements=["mlflow"])
    with pytest.raises(UserError, match="wind_solar version 7: expected a signature"):
        score_file(job(tmp_path / "rows.parquet", folder=str(tmp_path / "model")))


def test_a_job_that_is_killed_leaves_the_older_output_whole(registered, rows, tmp_path):
    pd.concat([rows] * 4000).to_parquet(tmp_path / "big.parquet")
    (tmp_path / "scored.parquet").write_text("older")
    command = [sys.executable, PROJECT / "score.py", "--registered-model", registered]
    command += ["--input", tmp_path / "big.parquet", "--output", tmp_path / "scored.parquet"]
    for number in (signal.SIGTERM, signal.SIGKILL):
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as job:
            deadline = time.monotonic() + 120
            while not any(path.stat().st_size > 10_000 for path in tmp_path.glob(".scored.parquet-*/scored.parquet")):
                assert job.poll() is None, job.stdout.read()
                assert time.monotonic() < deadline
                time.sleep(0.01)
            job.send_signal(number)
            job.communicate(timeout=60)
        assert job.returncode != 0
        assert (tmp_path / "scored.parquet").read_text() == "older"
        if number == signal.SIGTERM:
            assert not list(tmp_path.glob(".scored*"))
            (run,) = mlflow.search_runs(
                search_all_experiments=True,
                filter_string="tags.project = 'scoring'",
                max_results=1,
                output_format="list",
            )
            assert run.info.status == "KILLED"


def test_a_run_of_the_project_tells_what_was_scored_with_what(registered, rows, mlflow_run, tmp_path):
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


def test_without_an_input_the_holdout_of_the_newest_table_is_scored(workflow, here, tmp_path):
    done = here(PROJECT / "score.py", f"--output={tmp_path / 'scored.parquet'}", MLFLOW_EXPERIMENT_NAME="wind_solar")
    assert done.returncode == 0, done.stderr
    scored = pd.read_parquet(tmp_path / "scored.parquet")
    assert len(scored) == 30 * 24
    assert set(scored["split"]) == {"holdout"}
    model = mlflow.pyfunc.load_model("models:/wind_solar@production")
    assert set(model.metadata.get_output_schema().input_names()) <= set(scored.columns)


def test_an_error_is_one_sentence_and_stays_on_the_run(registered, here, tmp_path):
    for options, sentence in (
        (["--registered-model=nobody"], "make one with: mlflow run 3_projects/registry -e approve --env"),
        (["--version=9"], r"no version of scored is version 9 on .*; give another alias or number with -P"),
        (["--version=retired"], r"no version of scored has the alias retired on .*; give another alias"),
        ([], "none.csv: no such file"),
    ):
        given = [f"--registered-model={registered}", "--input=none.csv", f"--output={tmp_path / 'scored.parquet'}"]
        done = here(PROJECT / "score.py", *given, *options, MLFLOW_EXPERIMENT_NAME="scoring_errors")
        assert done.returncode == 1
        assert re.match(f"scoring: .*{sentence}", done.stderr.splitlines()[-1])
        (run, *_) = mlflow.search_runs(experiment_names=["scoring_errors"], output_format="list")
        assert run.info.status == "FAILED"
        assert re.search(sentence, run.data.tags["error"])


def test_a_malformed_line_keeps_its_place_among_lines_of_one_value():
    table, faults = rows_of_scoring.parse(["1.5", '"', "2.5"], ["windspeed"])
    assert table["windspeed"].to_pylist() == ["1.5", None, "2.5"]
    assert list(faults) == [1]
