import functools
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import simulate

SCRIPT = Path(simulate.__file__)
REAL = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "germany_opsd_2013_2015.csv"
COLUMNS = ["solar_GW", "wind_GW", "windspeed", "temperature", "rad_horizontal", "rad_diffuse"]
POWER = COLUMNS[:2]


def read(path):
    """Return the table by hour; an hour that is missing in the real file stands as NaN."""
    table = pd.read_csv(path, parse_dates=["utc_timestamp"], index_col="utc_timestamp")
    return table[~table.index.duplicated()].asfreq("h")


@pytest.fixture(scope="module")
def run():
    """Return a function that runs the script in this process; the same seed is not simulated twice."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simulate, "simulate", functools.cache(simulate.simulate))

        def call(*arguments):
            patch.setattr(sys, "argv", ["simulate.py", *map(str, arguments)])
            simulate.main()

        yield call


@pytest.fixture(scope="module")
def sample():
    return read(SCRIPT.with_name("germany.csv"))


@pytest.fixture(scope="module")
def real():
    if not REAL.exists():
        pytest.skip(f"the real series is not here: {REAL}")
    return read(REAL)


def test_the_sample_has_every_hour_of_four_years_once_and_in_order_and_the_file_is_small():
    path = SCRIPT.with_name("germany.csv")
    raw = pd.read_csv(path)
    assert list(raw.columns) == ["utc_timestamp", *COLUMNS]
    expected = pd.date_range("2013-01-01", "2016-12-31 23:00", freq="h", tz="UTC").astype(str)
    assert raw.utc_timestamp.to_list() == expected.to_list()
    assert raw.notna().all(axis=None)
    assert path.stat().st_size < 3_000_000


def test_means_by_month_and_year_are_the_published_ones(sample):
    years = {name: simulate.YEAR_MEANS[name] for name in POWER}
    for groups, published in ((sample.index.month, simulate.MONTHS), (sample.index.year, years)):
        for column, means in published.items():
            assert sample[column].groupby(groups).mean().to_numpy() == pytest.approx(np.array(means), rel=0.1), column


def test_correlations_memory_and_extremes_are_near_the_published_ones(sample):
    for one, other, published in (
        *(("solar_GW", "rad_horizontal", 0.90), ("solar_GW", "rad_diffuse", 0.72)),
        *(("solar_GW", "temperature", 0.52), ("wind_GW", "windspeed", 0.85)),
    ):
        assert sample[one].corr(sample[other]) == pytest.approx(published, abs=0.05), (one, other)
    for column, hours, published in (
        *(("windspeed", 1, 0.988), ("windspeed", 24, 0.59)),
        *(("wind_GW", 24, 0.61), ("temperature", 24, 0.97)),
    ):
        assert sample[column].autocorr(hours) == pytest.approx(published, abs=0.03), (column, hours)
    for column, lowest, highest in (
        *(("solar_GW", 0.0, 26.1), ("wind_GW", 0.03, 33.6), ("windspeed", 1.0, 15.5)),
        *(("temperature", -10.7, 34.3), ("rad_horizontal", 0.0, 823), ("rad_diffuse", 0.0, 394)),
    ):
        assert sample[column].min() == pytest.approx(lowest, rel=0.2, abs=0.03), column
        assert sample[column].max() == pytest.approx(highest, rel=0.2), column


@pytest.mark.parametrize(("column", "first", "last"), [("solar_GW", 33, 41), ("wind_GW", 31, 50)])
def test_power_stays_below_an_installed_capacity_that_grows(sample, column, first, last):
    capacity = simulate.installed(sample.index, column)
    assert capacity[[0, -1]] == pytest.approx([first, last], rel=0.01)
    assert (np.diff(capacity) >= 0).all()
    assert (sample[column] <= capacity).all()


def test_night_is_dark_noon_is_bright_and_nothing_but_temperature_falls_below_zero(sample):
    light, hour = sample[["solar_GW", "rad_horizontal", "rad_diffuse"]], sample.index.hour
    december = (sample.index.month == 12) & ((hour >= 17) | (hour <= 5))
    assert (light[(hour >= 21) | (hour <= 2) | december] == 0).all(axis=None)
    _, outside, _ = simulate.sky(sample.index)
    assert (sample.solar_GW[outside == 0] == 0).all()
    assert (sample.loc[hour == 11, ["solar_GW", "rad_diffuse"]] > 0).all(axis=None)
    assert (sample.drop(columns="temperature") >= 0).all(axis=None)


@pytest.mark.parametrize("series", ["sample", "real"])
def test_radiation_is_an_hour_late_in_summer_time_as_in_the_real_series(series, request):
    table = request.getfixturevalue(series)

    def centre(column, months):
        day = table[column][table.index.month.isin(months)].groupby(lambda t: t.hour).mean()
        return np.average(day.index, weights=day)

    for column in ("rad_horizontal", "rad_diffuse"):
        assert centre(column, [5, 6, 7]) - centre(column, [1, 2, 12]) == pytest.approx(0.9, abs=0.3)
    assert centre("solar_GW", [5, 6, 7]) - centre("solar_GW", [1, 2, 12]) == pytest.approx(-0.1, abs=0.3)


def test_naive_forecasts_err_as_much_as_on_the_real_series(sample, real):
    def errors(table):  # learned on 2013-2014, judged on 2015: the years that both have
        power, last = table.loc[:"2015", POWER], table.loc["2015", POWER]
        past = power.loc[:"2014"]
        mean = past.groupby([past.index.month, past.index.hour]).mean()
        climatology = mean.loc[list(zip(last.index.month, last.index.hour, strict=True))].to_numpy()
        persistence = power.shift(24).loc["2015"]
        return np.concatenate([(last - climatology).abs().mean(), (last - persistence).abs().mean()])

    assert errors(sample) == pytest.approx(errors(real), rel=0.15)


def test_running_the_script_again_gives_the_shipped_files(run, tmp_path):
    run("--output", tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["datapackage.json", "germany.csv"]
    made, kept = (pd.read_csv(p / "germany.csv") for p in (tmp_path, SCRIPT.parent))
    pd.testing.assert_frame_equal(made, kept, rtol=0, atol=1e-9)
    again, shipped = ((p / "datapackage.json").read_text(encoding="utf-8") for p in (tmp_path, SCRIPT.parent))
    assert again == shipped


def test_another_seed_gives_other_weather_with_the_same_means(sample):
    other = simulate.simulate(seed=3)
    assert not np.allclose(other.windspeed, sample.windspeed)
    assert other.mean().to_numpy() == pytest.approx(sample.mean().to_numpy(), rel=0.02)


def test_the_descriptor_says_that_nothing_is_measured_and_describes_every_column():
    package = json.loads(SCRIPT.with_name("datapackage.json").read_text(encoding="utf-8"))
    [resource] = package["resources"]
    assert resource["path"] == "germany.csv"
    assert resource["title"] == "Simulated sample: Germany, hourly, 2013 to 2016 (not measurements)"
    assert f"simulate.py with seed {simulate.SEED}" in resource["description"]
    fields = resource["schema"]["fields"]
    assert [f["name"] for f in fields] == ["utc_timestamp", *COLUMNS]
    assert all(field[key] for field in fields for key in ("type", "role", "title", "unit", "description"))
    assert fields == json.loads((SCRIPT.parents[1] / "3_projects" / "data" / "schema.json").read_text())["fields"]


def test_a_bad_output_ends_in_one_sentence(run, tmp_path):
    blocked = tmp_path / "blocked"
    (blocked / "germany.csv").mkdir(parents=True)
    for place in (tmp_path / "missing", blocked):
        with pytest.raises(
            SystemExit, match=rf"^--output {re.escape(str(place))} cannot be written .*: name another folder\.$"
        ):
            run("--output", place)


def test_a_negative_seed_is_refused_with_what_was_expected(tmp_path):
    command = [sys.executable, SCRIPT, "--output", tmp_path, "--seed", "-1"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, env=os.environ | {"COLUMNS": "200"})
    assert result.returncode == 2
    assert "--seed expects a whole number from 0 up, found -1" in result.stderr
    assert not list(tmp_path.iterdir())
