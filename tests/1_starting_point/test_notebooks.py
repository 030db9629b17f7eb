"""Run every notebook of the chapter, and look at what it shows and leaves behind."""

import json
import re

import joblib
import opsd
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error
from sklearn.model_selection import train_test_split

FEATURES, TARGETS = ["windspeed", "temperature", "rad_horizontal", "rad_diffuse"], ["solar_GW", "wind_GW"]
SLOW = pytest.mark.slow
NOTEBOOKS = {  # name: number of figures
    "make_processed_data.ipynb": 3,
    "model_linreg.ipynb": 1,
    "model_rf.ipynb": 1,
    "model_keras.ipynb": 1,
    "report/weekly_report.ipynb": 2,
}
ALL = [
    pytest.param(name, marks=SLOW) if name in ("model_rf.ipynb", "model_keras.ipynb") else name for name in NOTEBOOKS
]


@pytest.fixture(scope="module")
def chapter(copy_chapter):
    return copy_chapter()


@pytest.fixture(scope="module")
def ran(chapter, execute):
    """Return a function that gives a notebook as it is after its run."""
    done = {}

    def run(name):
        if name not in done:
            done[name] = execute(chapter / name)
        return done[name]

    return run


@pytest.fixture(scope="module")
def split(root):
    """Return what the model notebooks learn from and are tested on, made apart from them."""
    table = pd.read_csv(root / "1_starting_point" / "germany.csv")
    return train_test_split(table[FEATURES], table[TARGETS], test_size=0.2, random_state=42)


def printed(notebook):
    return "".join(
        output.text
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if output.output_type == "stream" and output.name == "stdout"
    )


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_it_is_kept_without_output_and_says_what_it_is(chapter, name):
    content = json.loads((chapter / name).read_text(encoding="utf-8"))
    assert (content["nbformat"], content["nbformat_minor"]) == (4, 5)
    assert content["metadata"]["kernelspec"]["name"] == "python3"
    code = [cell for cell in content["cells"] if cell["cell_type"] == "code"]
    assert not [cell for cell in code if cell["outputs"] or cell["execution_count"] is not None]
    first = "".join(content["cells"][0]["source"])
    assert first.startswith("# ")
    assert "**the chaos on purpose**" in first
    assert "**What you need:**" in first


@pytest.mark.parametrize("name", ALL)
def test_it_runs_from_top_to_bottom_and_draws_what_is_labelled_as_simulated(ran, name):
    cells = [cell for cell in ran(name).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert not [output.text for output in outputs if output.get("name") == "stderr"]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == NOTEBOOKS[name]
    titles = [cell.source for cell in cells if "plt.show()" in cell.source]
    assert all("(simulated data)" in source or "({source})" in source for source in titles)


def test_the_linear_regression_prints_its_errors(ran, split, chapter):
    X_train, X_test, y_train, y_test = split
    power = LinearRegression().fit(X_train, y_train).predict(X_test)
    expected = "28051 hours to learn from, 7013 to test on\n"
    for i, target in enumerate(TARGETS):
        true, pred = y_test[target], power[:, i]
        expected += f"{target}\n  RMSE {root_mean_squared_error(true, pred):.3f} GW\n"
        expected += f"  MAE  {mean_absolute_error(true, pred):.3f} GW\n  r2   {r2_score(true, pred):.3f}\n"
    assert printed(ran("model_linreg.ipynb")) == expected
    solar, wind = re.findall(r"MAE +([\d.]+ GW)", expected)
    readme = (chapter / "README.md").read_text(encoding="utf-8")
    assert f"{solar} for solar power and {wind} for wind power" in readme


@SLOW
def test_the_forest_prints_its_errors_and_keeps_its_model(ran, split, chapter):
    X_train, X_test, y_train, y_test = split
    forest = RandomForestRegressor(n_estimators=64, max_depth=10, random_state=42, n_jobs=-1).fit(X_train, y_train)
    power = forest.predict(X_test)
    expected, errors = "", []
    for i, target in enumerate(TARGETS):
        true, pred = y_test[target], power[:, i]
        errors.append(f"{mean_absolute_error(true, pred):.2f}")
        rmse = root_mean_squared_error(true, pred)
        expected += f"{target}: RMSE {rmse:.2f}, MAE {errors[-1]}, r2 {r2_score(true, pred):.2f}\n"
    assert printed(ran("model_rf.ipynb")) == expected
    assert f"{errors[0]} and {errors[1]} GW" in (chapter / "README.md").read_text(encoding="utf-8")
    kept = joblib.load(chapter / "model_rf_final_v2.joblib")
    assert kept.predict(X_test) == pytest.approx(power)


@SLOW
def test_the_network_learns_and_lands_between_the_other_two(ran):
    text = printed(ran("model_keras.ipynb"))
    losses = [float(loss) for loss in re.findall(r" - loss: ([\d.]+)", text)]
    assert len(losses) == 10
    assert losses == sorted(losses, reverse=True)
    found = re.findall(r"(\w+): rmse = ([\d.]+), mae = ([\d.]+), r2 = ([\d.]+)", text)
    assert [name for name, *_ in found] == ["solar", "wind"]
    others = printed(ran("model_linreg.ipynb")), printed(ran("model_rf.ipynb"))
    linear, forest = ([float(mae) for mae in re.findall(r"MAE +([\d.]+)", other)] for other in others)
    for i, (_, rmse, mae, r2) in enumerate(found):
        assert forest[i] < float(mae) < linear[i]
        assert float(mae) < float(rmse)
        assert 0.7 < float(r2) < 1


def test_without_the_raw_files_the_sample_is_drawn_and_nothing_is_written(copy_chapter, execute):
    chapter = copy_chapter()
    before = {path: path.read_bytes() for path in chapter.rglob("*") if path.is_file()}
    text = printed(execute(chapter / "make_processed_data.ipynb"))
    assert "The raw files are not here." in text
    assert "python 1_starting_point/download.py" in text
    assert "35064 hours, 2013-01-01 00:00:00+00:00 to 2016-12-31 23:00:00+00:00" in text
    assert {path: path.read_bytes() for path in chapter.rglob("*") if path.is_file()} == before


def test_with_the_raw_files_the_table_is_that_of_the_download_and_the_sample_stays(copy_chapter, execute, raw_files):
    chapter = copy_chapter()
    sample = (chapter / "germany.csv").read_bytes()
    raw = chapter / "opsd" / "raw"
    raw.mkdir(parents=True)
    for name, content in raw_files.items():
        (raw / name).write_bytes(content)
    text = printed(execute(chapter / "make_processed_data.ipynb"))
    made = pd.read_csv(chapter / "opsd" / "germany_final_v2.csv", parse_dates=["utc_timestamp"])
    packages = (opsd.SERIES, opsd.WEATHER)
    expected = opsd.join_hours(*(opsd.read_hours(raw / package.file, package) for package in packages))
    pd.testing.assert_frame_equal(made, expected, check_dtype=False)
    assert len(made) == 35064 + 1 - 2
    assert "simulated" not in text
    assert (chapter / "germany.csv").read_bytes() == sample
    assert sorted(path.name for path in (chapter / "opsd").iterdir()) == ["germany_final_v2.csv", "raw"]
