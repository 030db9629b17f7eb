"""Run every notebook of the chapter but the report's, which test_report.py runs, and look at what it shows and leaves.

The notebook about share prices is in 3_projects/stock/test_notebook.py.
"""

import copy
import re

import joblib
import opsd
import pandas as pd
import pytest
from notebooks import assert_pristine, code_cells, outputs, printed, started
from sklearn.base import clone
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error
from sklearn.model_selection import train_test_split

FEATURES, TARGETS = ["windspeed", "temperature", "rad_horizontal", "rad_diffuse"], ["solar_GW", "wind_GW"]
FIGURES = {"make_processed_data": 3, "model_linreg": 1, "model_rf": 1, "model_keras": 1}


@pytest.fixture(scope="module")
def run():
    """Return a function that runs a notebook."""
    with started() as kernel:
        yield kernel.run


@pytest.fixture(scope="module")
def chapter(copy_chapter):
    return copy_chapter()


@pytest.fixture(scope="module")
def ran(chapter, run):
    """Return a function that gives a notebook as it is after its run."""
    done = {}

    def get(name):
        if name not in done:
            done[name] = run(chapter / f"{name}.ipynb")
        return done[name]

    return get


@pytest.fixture(scope="module")
def split(root):
    """Return what the model notebooks learn from and are tested on, made apart from them."""
    table = pd.read_csv(root / "1_starting_point" / "germany.csv")
    return train_test_split(table[FEATURES], table[TARGETS], test_size=0.2, random_state=42)


def test_each_is_kept_without_output_says_what_it_is_and_labels_its_figures_as_simulated(root):
    for name in (*FIGURES, "report/weekly_report"):
        path = root / "1_starting_point" / f"{name}.ipynb"
        assert_pristine(path, "**the chaos on purpose**", "**What you need:**")
        drawn = [cell.source for cell in code_cells(path) if "plt.show()" in cell.source]
        assert all("(simulated data)" in source or "({source})" in source for source in drawn), name


@pytest.mark.slow
def test_each_draws_its_figures_without_a_warning(ran):
    for name, count in FIGURES.items():
        found = outputs(ran(name))
        assert [output.text for output in found if output.get("name") == "stderr"] == [], name
        assert sum("image/png" in output.get("data", {}) for output in found) == count, name


def test_the_linear_regression_prints_its_errors(ran, split, chapter):
    X_train, X_test, y_train, y_test = split
    power = LinearRegression().fit(X_train, y_train).predict(X_test)
    expected = "28051 hours to learn from, 7013 to test on\n"
    for i, target in enumerate(TARGETS):
        true, pred = y_test[target], power[:, i]
        expected += f"{target}\n  RMSE {root_mean_squared_error(true, pred):.3f} GW\n"
        expected += f"  MAE  {mean_absolute_error(true, pred):.3f} GW\n  r2   {r2_score(true, pred):.3f}\n"
    assert printed(ran("model_linreg")) == expected
    solar, wind = re.findall(r"MAE +([\d.]+ GW)", expected)
    assert f"{solar} for solar power and {wind} for wind power" in (chapter / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def forest(ran, chapter):
    """Return the forest that its notebook has left behind."""
    ran("model_rf")
    return joblib.load(chapter / "model_rf_final_v2.joblib")


@pytest.mark.slow
def test_the_forest_that_is_kept_has_the_errors_that_are_printed(ran, forest, split, chapter):
    X_test, y_test = split[1], split[3]
    wanted = {"n_estimators": 64, "max_depth": 10, "random_state": 42}
    assert {name: forest.get_params()[name] for name in wanted} == wanted
    power, expected, errors = forest.predict(X_test), "", []
    for i, target in enumerate(TARGETS):
        true, pred = y_test[target], power[:, i]
        errors.append(f"{mean_absolute_error(true, pred):.2f}")
        rmse = root_mean_squared_error(true, pred)
        expected += f"{target}: RMSE {rmse:.2f}, MAE {errors[-1]}, r2 {r2_score(true, pred):.2f}\n"
    assert printed(ran("model_rf")) == expected
    assert f"{errors[0]} and {errors[1]} GW" in (chapter / "README.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_random_split_flatters_the_forest(forest, split, root):
    table = pd.read_csv(root / "1_starting_point" / "germany.csv", index_col=0, parse_dates=True)
    few = clone(forest).set_params(n_estimators=16)  # which shows it as well, in a quarter of the time
    past, last = table[table.index.year < 2016], table[table.index.year == 2016]
    honest = few.fit(past[FEATURES], past[TARGETS])

    def errors(model, rows):
        return mean_absolute_error(rows[TARGETS], model.predict(rows[FEATURES]), multioutput="raw_values")

    test = table.iloc[split[1].index]
    kept = copy.copy(forest)
    kept.estimators_ = forest.estimators_[:16]
    assert (errors(kept, test) < 0.97 * errors(honest, last)).all()
    assert (errors(kept, test[test.index.year == 2016]) < 0.97 * errors(honest, last)).all()


@pytest.mark.slow
def test_the_network_learns_and_lands_between_the_other_two(ran):
    text = printed(ran("model_keras"))
    losses = [float(loss) for loss in re.findall(r" - loss: ([\d.]+)", text)]
    assert len(losses) == 10
    assert losses == sorted(losses, reverse=True)
    found = re.findall(r"(\w+): rmse = ([\d.]+), mae = ([\d.]+), r2 = ([\d.]+)", text)
    assert [name for name, *_ in found] == ["solar", "wind"]
    others = printed(ran("model_linreg")), printed(ran("model_rf"))
    linear, forest = ([float(mae) for mae in re.findall(r"MAE +([\d.]+)", other)] for other in others)
    for i, (_, rmse, mae, r2) in enumerate(found):
        assert forest[i] < float(mae) < linear[i]
        assert float(mae) < float(rmse)
        assert 0.7 < float(r2) < 1


def test_without_the_raw_files_the_sample_is_drawn_and_nothing_is_written(ran, chapter, copy_chapter):
    text = printed(ran("make_processed_data"))
    assert "The raw files are not here." in text
    assert "python 1_starting_point/download.py" in text
    assert "35064 hours, 2013-01-01 00:00:00+00:00 to 2016-12-31 23:00:00+00:00" in text
    here, untouched = (
        {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.*") if path.suffix != ".joblib"}
        for folder in (chapter, copy_chapter())
    )
    assert here == untouched


def test_with_the_raw_files_the_table_is_that_of_the_download_and_the_sample_stays(copy_chapter, run, raw_files):
    chapter = copy_chapter()
    sample = (chapter / "germany.csv").read_bytes()
    raw = chapter / "opsd" / "raw"
    raw.mkdir(parents=True)
    for name, content in raw_files.items():
        (raw / name).write_bytes(content)
    text = printed(run(chapter / "make_processed_data.ipynb"))
    made = pd.read_csv(chapter / "opsd" / "germany_final_v2.csv", parse_dates=["utc_timestamp"])
    packages = (opsd.SERIES, opsd.WEATHER)
    expected = opsd.join_hours(*(opsd.read_hours(raw / package.file, package) for package in packages))
    pd.testing.assert_frame_equal(made, expected, check_dtype=False)
    assert len(made) == 35064 + 1 - 2
    assert "simulated" not in text
    assert (chapter / "germany.csv").read_bytes() == sample
    assert sorted(path.name for path in (chapter / "opsd").iterdir()) == ["germany_final_v2.csv", "raw"]
