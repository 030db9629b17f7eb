import sys
from collections.abc import Callable
from pathlib import Path

import joblib
import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.models import infer_signature
from sklearn.ensemble import RandomForestRegressor

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "3_projects" / "scoring"))  # its modules import each other, as a project's scripts do

import rows as rows_of_scoring  # noqa: E402
import score  # noqa: E402
from features import add_features  # noqa: E402
from validate import load  # noqa: E402

FEATURES = ["windspeed", "temperature", "rad_horizontal"]
TARGETS = ["solar_GW", "wind_GW"]


@pytest.fixture(scope="session")
def rows() -> pd.DataFrame:
    """Return 500 hours with a time, two further columns that no model takes, and recorded power."""
    random = np.random.default_rng(7)
    index = pd.date_range("2013-01-01", periods=500, freq="h", tz="UTC", unit="us")
    frame = pd.DataFrame(random.normal(5, 3, (500, 5)), columns=[*FEATURES, *TARGETS])
    frame.insert(0, "utc_timestamp", index)
    return frame.assign(hour=np.arange(500) % 24, place="Köln, north")


@pytest.fixture(scope="session")
def saved() -> Callable[..., None]:
    """Return a function that saves or logs a small forest behind the model.py of 3_projects/rf."""

    def save(rows: pd.DataFrame, folder: Path, keep: Callable, inputs: list[str] = FEATURES, **where):
        forest = RandomForestRegressor(n_estimators=5, max_depth=12, random_state=1).fit(rows[inputs], rows[TARGETS])
        joblib.dump(forest, folder / "estimator.joblib")
        return keep(
            **where,
            python_model=str(ROOT / "3_projects" / "rf" / "model.py"),
            artifacts={"estimator": str(folder / "estimator.joblib")},
            signature=infer_signature(rows[inputs], rows[TARGETS]),
            pip_requirements=["scikit-learn"],
        )

    return save


@pytest.fixture(scope="session")
def model_folder(rows, saved, tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("forest")
    saved(rows, folder, mlflow.pyfunc.save_model, path=str(folder / "model"))
    return str(folder / "model")


@pytest.fixture(scope="session")
def model(model_folder):
    return rows_of_scoring.load(model_folder)


@pytest.fixture
def job(model_folder, tmp_path) -> Callable[..., score.Job]:
    """Return a function that describes the scoring of a file into the test's folder."""

    def describe(source: Path, output: str = "scored.parquet", folder: str = model_folder) -> score.Job:
        about = {"model": "wind_solar", "model_version": "7", "model_run": "the run that trained it"}
        return score.Job(folder, about, str(source), str(tmp_path / output))

    return describe


@pytest.fixture(scope="session")
def table() -> pd.DataFrame:
    """Return the table of the shipped sample."""
    return add_features(load(ROOT / "1_starting_point" / "germany.csv")[0])


@pytest.fixture(scope="session")
def forest(table, saved, tmp_path_factory) -> str:
    """Return the folder of a model that takes the weather and all its features."""
    folder, inputs = tmp_path_factory.mktemp("features"), [*table.columns.drop([*TARGETS, "repaired"])]
    saved(table[10_001:11_201], folder, mlflow.pyfunc.save_model, inputs, path=str(folder / "model"))
    return str(folder / "model")


@pytest.fixture(scope="session")
def registered(running_servers, rows, saved, tmp_path_factory) -> str:
    """Return the name of a registered model on the servers, whose version 1 is in production."""
    with mlflow.start_run():
        info = saved(rows, tmp_path_factory.mktemp("logged"), mlflow.pyfunc.log_model, name="model")
    mlflow.register_model(info.model_uri, "scored")
    mlflow.MlflowClient().set_registered_model_alias("scored", "production", "1")
    return "scored"


def with_cell(line: str, column: int, text: str) -> str:
    """Return a CSV line with another text in a column."""
    cells = line.split(",")
    return ",".join([*cells[:column], text, *cells[column + 1 :]])


@pytest.fixture(scope="session")
def nasty() -> tuple[bytes, list[str]]:
    """Return a CSV in which every third line is bad in another way or odd but good, and the reasons of the bad ones."""
    header = "utc_timestamp,windspeed,temperature,rad_horizontal"
    plain = "2013-01-01 00:00,5.25,-0.1,1e2"
    quote = "expected each quotation mark to be closed at the end of its value, found another one"
    number = "expected a number in windspeed, found "
    bad = {
        plain + ",1": "expected 4 values, as many as the header has, found 5",
        "2013-01-01 01:00,5.25": "expected 4 values, as many as the header has, found 2",
        '2013-01-01 02:00,"5.25,-0.1,3': quote,
        'x"y,5.25,"-0.1,3': quote,
        "2013\r01,5.25,-0.1,3": quote,
        "'": "expected 4 values, as many as the header has, found 1",
    }
    for text, shown in {
        "": "none",
        "  ": "none",
        "abc": "'abc'",
        "NaN": "'NaN'",
        "inf": "'inf'",
        "1e999": "'1e999'",
        "-1e31": "'-1e31'",
        "1_0": "'1_0'",
        "0x10": "'0x10'",
        "1d": "'1d'",
        "null": "'null'",
        "a" * 50: "'" + "a" * 39 + "...",
    }.items():
        bad[with_cell(plain, 1, text)] = number + shown
    bad[with_cell(plain, 3, "much")] = "expected a number in rad_horizontal, found 'much'"
    good = [
        *(with_cell(plain, 1, text) for text in (" 5.5 ", '"5.5"', "5e0", ".5", "-0", "0.10000000000000000555")),
        *(with_cell(plain, 0, text) for text in ('"a,b"', '"a""b"', 'a"b', "", "Köln", "\u2603", "b\udcff")),
        plain + "\r",
        header,  # as if two files were put one behind the other; no row
        "",
        " \t",
    ]
    lines = [header]
    for number_of_line, line in enumerate([*bad, *good]):
        lines += [line, f"row {number_of_line},3.5,1.5,2.5", f"row {number_of_line},3.6,1.7,2.8"]
    return ("\ufeff" + "\n".join(lines)).encode(errors="surrogateescape"), list(bad.values())
