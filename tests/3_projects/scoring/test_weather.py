"""Weather in, power out: the features that a file lacks are those that the table has."""

import json
import re
from pathlib import Path

import mlflow
import pandas as pd
import pytest
import rows as rows_of_scoring
from files import with_features
from mlflow.pyfunc import scoring_server
from score import score_file
from validate import WEATHER

from forecasting.errors import UserError

TARGETS = ["solar_GW", "wind_GW"]
FIRST, LAST = 10_001, 11_201  # hours of the sample; in neither of them does a day begin


@pytest.fixture(scope="module")
def model(forest):
    return rows_of_scoring.load(forest)


@pytest.fixture
def predicted(model, table) -> pd.DataFrame:
    """The model's predictions for the table's own rows."""
    return model.predict(table[FIRST:LAST][model.metadata.get_input_schema().input_names()])


@pytest.fixture
def weather(table) -> pd.DataFrame:
    return table[FIRST:LAST][WEATHER]


@pytest.fixture
def featured(running_servers, model, tmp_path, monkeypatch):
    """Return a function that makes the features of a file inside a run, as the entry point does."""

    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "weather")

    def make(path: Path) -> Path:
        with mlflow.start_run():
            return with_features(path, model.metadata.get_input_schema().input_names(), tmp_path)

    return make


def test_weather_gives_the_numbers_of_the_table_across_the_pieces(
    featured, job, forest, model, weather, predicted, tmp_path
):
    gap = weather.index[[500, 501]]
    given = weather.drop(gap).assign(solar_GW=1.0)  # measured power in the file is not looked at
    given.to_parquet(tmp_path / "weather.parquet")  # of which a CSV is made on the way
    assert score_file(job(featured(tmp_path / "weather.parquet"), folder=forest), 100) == (1200, 0)
    power = pd.read_parquet(tmp_path / "scored.parquet").set_index("utc_timestamp")
    assert power.index.equals(weather.index.as_unit(power.index.unit))
    assert power.index[power["repaired"]].equals(gap.as_unit(power.index.unit))
    # At the ends the table knows hours that the file doesn't have, and around the gap it knows more.
    for inside in (slice(12, 480), slice(520, -12)):
        pd.testing.assert_frame_equal(
            power[TARGETS][inside], predicted[inside], check_exact=True, check_freq=False, check_index_type=False
        )
    # A served model takes the file with the features as it is.
    sent = (tmp_path / "features.csv").read_text()
    answer = scoring_server.invocations(sent, "text/csv", model, model.metadata.get_input_schema())
    served = pd.DataFrame(json.loads(answer.response)["predictions"], index=power.index)
    pd.testing.assert_frame_equal(served, power[TARGETS], rtol=1e-9)


def test_a_file_with_the_features_is_scored_as_it_is(model, table, tmp_path):
    table[FIRST:LAST].to_parquet(tmp_path / "table.parquet")
    path = with_features(tmp_path / "table.parquet", model.metadata.get_input_schema().input_names(), tmp_path)
    assert path == tmp_path / "table.parquet"


def test_rows_of_another_kind_are_taken_as_the_signature_names_them(job, model_folder, rows, tmp_path):
    rows.drop(columns="windspeed").rename(columns={"utc_timestamp": "date"}).to_parquet(tmp_path / "rows.parquet")
    path = with_features(tmp_path / "rows.parquet", ["windspeed"], tmp_path)
    with pytest.raises(UserError, match=r"expected the column windspeed, which the model takes; found date"):
        score_file(job(path))


def test_weather_that_cannot_be_used_is_refused_by_file_and_place(featured, weather, tmp_path):
    weather.assign(windspeed=-1.0).to_parquet(tmp_path / "weather.parquet")
    place = rf"{re.escape(str(tmp_path / 'weather.parquet'))}: column 'windspeed', line 2 \(.*a number from 0 to 25"
    with pytest.raises(UserError, match=place):
        featured(tmp_path / "weather.parquet")
