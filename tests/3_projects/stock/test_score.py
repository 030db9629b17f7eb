"""Score a CSV of windows: the same rows with predictions, bad ones named by line, and never half an output."""

import csv
import re
import resource
import signal
import sys

import mlflow
import numpy as np
import pandas as pd
import pytest
from stock_series import STOCK, load
from stock_versions import INPUTS, OUTPUTS, made_windows, new_version

MODEL = "scored_windows"
stock_score = load("score")


@pytest.fixture(scope="module")
def model(running_servers, tmp_path_factory):
    """Return a model whose version 1 is in production."""
    new_version(MODEL, tmp_path_factory.mktemp("model"))
    mlflow.MlflowClient().set_registered_model_alias(MODEL, "production", "1")
    return mlflow.pyfunc.load_model(f"models:/{MODEL}@production")


@pytest.fixture
def score(model, tmp_path):
    """Return a function that scores a text into ``scored.csv`` of the test's folder, as score.py does."""

    def run(text, output="scored.csv"):
        path = tmp_path / "windows.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return stock_score.score(model, f"{MODEL} version 1", path, tmp_path / output)

    return run


@pytest.fixture
def typed(model, tmp_path, monkeypatch):
    """Return a function that runs score.py with options of its own and returns its run."""

    def run(**options):
        given = {"output": str(tmp_path / "scored.csv"), "registered_model": MODEL} | options
        arguments = [part for name, value in given.items() for part in (f"--{name.replace('_', '-')}", value)]
        monkeypatch.setattr(sys, "argv", ["score.py", *arguments])
        handler = signal.getsignal(signal.SIGTERM)
        try:
            stock_score.main()
        finally:
            signal.signal(signal.SIGTERM, handler)
        return mlflow.get_run(mlflow.last_active_run().info.run_id)

    return run


def cells_of(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def line(**changes):
    """Return a window as a line: 20 dollars on each day, but for what is named."""
    return ",".join(str(changes.get(name, "20")) for name in INPUTS)


def test_the_same_rows_come_out_in_their_order_with_their_predictions(model, score, tmp_path):
    windows = made_windows(50)
    assert score(windows.to_csv(index=False)) == (50, [])
    scored = pd.read_csv(tmp_path / "scored.csv")
    pd.testing.assert_frame_equal(scored, windows.join(model.predict(windows[INPUTS])), check_exact=True)


def test_what_the_model_does_not_take_is_kept_to_the_letter(score, tmp_path):
    header = ["id", *reversed(INPUTS), "a note", "price"]
    rows = [["007", *["20"] * 14, ' "so", he said ', "1e3"], ["\udce4", *["21.50"] * 14, "two\nlines", ""]]
    text = "\ufeff" + ",".join(header) + "\r\n"
    for row in rows:
        text += ",".join('"' + cell.replace('"', '""') + '"' for cell in row) + "\r\n"
    assert score(text.encode(errors="surrogateescape")) == (2, [])
    with (tmp_path / "scored.csv").open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        scored = list(csv.reader(file))
    assert scored[0] == [*header, *OUTPUTS]
    assert [row[:-2] for row in scored[1:]] == rows
    assert [row[-2:] for row in scored[1:]] == [["0.0", "0.5"]] * 2


def test_more_rows_than_are_in_memory_at_once_give_the_same(model, score, tmp_path, monkeypatch):
    windows = made_windows(50)
    score(windows.to_csv(index=False))
    monkeypatch.setattr(stock_score, "CHUNK", 7)
    bad = windows.assign(close_3=windows["close_3"].where(windows.index != 30))
    assert score(bad.to_csv(index=False), "pieces.csv") == (
        49,
        ["line 32: expected a price above zero in close_3, found none"],
    )
    whole, pieces = cells_of(tmp_path / "scored.csv"), cells_of(tmp_path / "pieces.csv")
    assert pieces[31][-2:] == ["", ""]
    assert [row for number, row in enumerate(pieces) if number != 31] == [
        row for number, row in enumerate(whole) if number != 31
    ]


def test_a_bad_row_is_named_by_its_line_and_has_no_prediction(score, tmp_path):
    price = "expected a price above zero in close_5, found "
    bad = {
        **{line(close_5=text): f"{price}{found}" for text, found in {"": "none", " ": "none", "abc": "'abc'"}.items()},
        **{
            line(close_5=text): f"{price}'{text}'" for text in ("0", "-3", "nan", "inf", "1e400", "1_0", "0x10", "12 5")
        },
        line(close_5='"12,5"'): f"{price}'12,5'",
        line(close_5="1" * 60): f"{price}'{'1' * 40}'",
        line(close_6="2" * 100_000 + "x"): f"expected a price above zero in close_6, found '{'2' * 40}'",
        line() + ",1,2": "expected 15 values, as many as the header has, found 16",
        "20,20": "expected 15 values, as many as the header has, found 2",
    }
    text, expected = ",".join([*INPUTS, "note"]) + "\n", []
    for row, reason in bad.items():
        text += line(close_14=22) + ',"two\nlines"\n\n'  # two lines and an empty one, which all count
        text += f"{row}\n" if "values" in reason else f"{row},x\n"
        expected.append(f"line {len(text.splitlines())}: {reason}")
    text += line(close_5=" 2.05e1 ") + ",\n" + line(close_5="+.5") + ","
    count, found = score(text)
    assert found == expected
    assert count == len(bad) + 2
    rows = cells_of(tmp_path / "scored.csv")[1:]
    assert [row[-2:] for row in rows[1:-2:2]] == [["", ""]] * len(bad)
    assert {row[-2] for row in rows[:-2:2]} == {"1.0"}
    assert {len(row) for row in rows} == {17}


def test_columns_that_have_the_names_of_the_predictions_are_replaced(score, tmp_path, capsys):
    score("up," + ",".join(INPUTS) + "\n0.7," + line(close_14=22) + "\n")
    assert capsys.readouterr().out == "score: up of the input are not kept: the predictions have these names\n"
    header, row = cells_of(tmp_path / "scored.csv")
    assert header == [*INPUTS, *OUTPUTS]
    assert row[-2] == "1.0"


HEADER = ",".join(INPUTS) + "\n"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "expected the columns close_1, close_2, .*, which the model takes; found ''"),
        (HEADER.replace("close_3,", ""), "expected the column close_3, which the model takes; found 'close_1, close_2"),
        (HEADER.replace(",", ";"), "expected the columns close_1, .* found 'close_1;close_2;"),
        ("close_3," + HEADER, "expected each column once, found 'close_3' more than once"),
        (HEADER, "expected windows that can be scored, found no rows at all"),
        (HEADER + "\n1\n" + line(close_2=0), "found 2 bad ones, the first on line 3: expected 14 values"),
        (HEADER + line() + '\n"1', r"windows.csv line 3: can't be read \(unexpected end of data\). Export it again"),
    ],
    ids=["empty", "a column less", "semicolons", "twice", "no rows", "all bad", "an open quotation mark"],
)
def test_an_input_that_cannot_be_used_is_told_and_an_older_output_stays(score, tmp_path, text, sentence):
    (tmp_path / "scored.csv").write_text("older")
    with pytest.raises(stock_score.Refused, match=sentence) as told:
        score(text)
    assert str(tmp_path / "windows.csv") in str(told.value)
    assert (tmp_path / "scored.csv").read_text() == "older"
    assert not list(tmp_path.glob(".*"))


def test_an_output_that_cannot_be_written_is_named(score, tmp_path):
    (tmp_path / "folder.csv").mkdir()
    for output in ("folder.csv", "windows.csv/scored.csv"):
        with pytest.raises(stock_score.Refused, match=f"{output}: .* Give another output"):
            score(HEADER + line(), output)
    with pytest.raises(stock_score.Refused, match="expected the name of a file for the output, found /"):
        score(HEADER + line(), "/")


def test_only_what_a_killed_job_has_left_of_the_same_output_is_removed(score, tmp_path):
    own, other = tmp_path / ".a[1].csv.partial-1", tmp_path / ".a1.csv.partial-1"
    own.touch()
    other.touch()
    score(HEADER + line(), "a[1].csv")
    assert (own.exists(), other.exists()) == (False, True)


def test_a_full_disk_is_told_and_an_older_output_stays(score, tmp_path):
    (tmp_path / "scored.csv").write_text("older")
    text = made_windows(500).to_csv(index=False)
    (tmp_path / "windows.csv").write_text(text)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(text) + 1000, before[1]))
    try:
        with pytest.raises(stock_score.Refused, match=r"scored.csv: can't be written \(File too large\)"):
            score(text)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert (tmp_path / "scored.csv").read_text() == "older"
    assert not list(tmp_path.glob(".*"))


def test_a_job_that_is_stopped_leaves_the_older_output_whole_and_the_next_one_clears_up(score, tmp_path, monkeypatch):
    text = made_windows(20).to_csv(index=False)
    score(text)
    before = (tmp_path / "scored.csv").read_bytes()
    monkeypatch.setattr(stock_score, "CHUNK", 5)
    write, calls = stock_score.Output.write, []

    def stopped(self, rows):
        calls.append(rows)
        if len(calls) == 3:
            raise KeyboardInterrupt
        write(self, rows)

    with monkeypatch.context() as patch:
        patch.setattr(stock_score.Output, "write", stopped)
        with pytest.raises(KeyboardInterrupt):
            score(text)
    assert (tmp_path / "scored.csv").read_bytes() == before
    assert not list(tmp_path.glob(".*"))
    (tmp_path / ".scored.csv.partial-of-a-killed-job").write_text("half")
    score(text)
    assert (tmp_path / "scored.csv").read_bytes() == before
    assert not list(tmp_path.glob(".*"))


def test_the_project_scores_with_the_version_in_production_and_its_run_tells(model, tmp_path):
    windows, output = made_windows(30), tmp_path / "new" / "scored.csv"
    windows.loc[3, "close_1"] = 0
    windows.to_csv(tmp_path / "windows.csv", index=False)
    parameters = {"input": str(tmp_path / "windows.csv"), "output": str(output), "registered_model": MODEL}
    run_id = mlflow.projects.run(str(STOCK), "score", parameters=parameters, env_manager="local").run_id
    run = mlflow.get_run(run_id)
    assert run.data.tags["step"] == "stock.score"
    assert (run.data.tags["model"], run.data.tags["model_version"]) == (MODEL, "1")
    assert (run.data.metrics["rows"], run.data.metrics["rejected"]) == (29, 1)
    assert run.data.tags["output"] == str(output)
    scored = pd.read_csv(output)
    good = windows.drop(index=3)
    assert scored["up"].isna().tolist() == [row == 3 for row in range(30)]
    assert np.allclose(scored["up_probability"].dropna(), model.predict(good[INPUTS])["up_probability"])
    reasons = mlflow.artifacts.load_text(f"runs:/{run_id}/bad_lines.txt")
    assert reasons == "line 5: expected a price above zero in close_1, found '0.0'\n"


def test_many_bad_lines_are_not_all_printed(typed, tmp_path, capsys):
    windows = made_windows(30)
    windows.loc[:14, "close_9"] = -1.0
    windows.to_csv(tmp_path / "windows.csv", index=False)
    run = typed(input=str(tmp_path / "windows.csv"))
    said = [text for text in capsys.readouterr().out.splitlines() if text.startswith("score: ")]
    assert len(said) == 12
    assert re.fullmatch(r"score: .*windows.csv line 2: expected a price above zero in close_9, found '-1.0'", said[0])
    assert said[-2] == "score: 5 more bad lines are in bad_lines.txt of this run"
    assert said[-1].startswith(f"score: 15 windows with {MODEL} version 1, 15 without a prediction: ")
    assert len(mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/bad_lines.txt").splitlines()) == 15


def test_newest_is_the_holdout_of_the_newest_table(typed, tmp_path):
    made = made_windows(40).drop(columns="name").set_index("date").assign(up=1.0)
    made["split"] = ["train"] * 30 + ["holdout"] * 10
    made.to_parquet(tmp_path / "table.parquet")
    with mlflow.start_run():  # which is the newest one only where no other test has made a table
        mlflow.set_tags({"step": "stock.transform", "used_at": "2000-01-01"})
        mlflow.log_artifact(str(tmp_path / "table.parquet"))
    run = typed(input="newest")
    path = mlflow.artifacts.download_artifacts(run_id=run.data.tags["data_run"], artifact_path="table.parquet")
    table = pd.read_parquet(path)
    scored = pd.read_csv(tmp_path / "scored.csv")
    assert list(scored) == ["date", *INPUTS, *OUTPUTS]
    assert np.allclose(scored[INPUTS], table.loc[table["split"] == "holdout", INPUTS])


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"registered_model": "nobody"}, "no version of nobody has the alias production. Let the gate look for one"),
        ({"version": "9"}, f"no version of {MODEL} is version 9"),
        ({"input": "none.csv"}, f"{STOCK.parents[1] / 'none.csv'}: can't be read (No such file or directory)"),
        ({"input": str(STOCK)}, f"{STOCK}: can't be read (Is a directory)"),
        ({"input": ""}, "expected a CSV to score and a name for the output. Give -P input=PATH and -P output=PATH"),
    ],
)
def test_an_error_is_one_sentence_and_stays_on_the_run(typed, options, sentence):
    with pytest.raises(SystemExit, match=f"^score: {re.escape(sentence)}"):
        typed(**({"input": "none.csv"} | options))
    run = mlflow.get_run(mlflow.last_active_run().info.run_id)
    assert run.info.status == "FAILED"
    assert sentence in run.data.tags["error"]
