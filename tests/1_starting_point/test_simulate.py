import json
import os
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
WEATHER, POWER = COLUMNS[2:], COLUMNS[:2]
# The published figures of the real series. They are written out here, so that a slip in simulate.py's tables shows.
BY_MONTH = pd.DataFrame(
    [
        [0.77, 10.04, 5.03, 0.6, 9.2, 27.4],
        [1.81, 8.96, 4.81, 1.0, 28.5, 44.7],
        [3.65, 7.61, 4.38, 3.6, 69.1, 64.8],
        [5.22, 6.16, 3.91, 8.6, 108.7, 88.5],
        [5.63, 6.04, 3.96, 12.5, 125.6, 111.0],
        [6.41, 4.63, 3.57, 16.4, 153.6, 113.7],
        [6.52, 4.90, 3.54, 19.6, 168.5, 100.7],
        [5.84, 4.80, 3.46, 18.3, 132.0, 90.6],
        [4.38, 5.42, 3.63, 14.9, 94.1, 71.4],
        [2.51, 6.33, 3.69, 9.7, 41.0, 52.9],
        [1.36, 9.35, 4.39, 5.1, 13.5, 33.1],
        [0.94, 12.42, 4.98, 2.8, 8.6, 22.8],
    ],
    index=range(1, 13),
    columns=COLUMNS,
)
BY_YEAR = pd.DataFrame(
    {"solar_GW": [3.39, 3.74, 3.98, 3.93], "wind_GW": [5.40, 5.85, 8.84, 8.77]}, index=[2013, 2014, 2015, 2016]
)


def read(path):
    """Return the table by hour; an hour that is missing in the real file stands as NaN."""
    table = pd.read_csv(path, parse_dates=["utc_timestamp"], index_col="utc_timestamp")
    return table[~table.index.duplicated()].asfreq("h")


def run(*arguments):
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=os.environ | {"COLUMNS": "200"})


@pytest.fixture(scope="module")
def sample():
    return read(SCRIPT.with_name("germany.csv"))


@pytest.fixture(scope="module")
def real():
    if not REAL.exists():
        pytest.skip(f"the real series is not here: {REAL}")
    return read(REAL)


def test_the_sample_has_every_hour_of_four_years_once_and_in_order():
    raw = pd.read_csv(SCRIPT.with_name("germany.csv"))
    assert list(raw.columns) == ["utc_timestamp", *COLUMNS]
    expected = pd.date_range("2013-01-01", "2016-12-31 23:00", freq="h", tz="UTC").astype(str)
    assert raw.utc_timestamp.to_list() == expected.to_list()
    assert raw.notna().all(axis=None)


def test_the_file_is_small_and_written_like_the_published_one():
    path = SCRIPT.with_name("germany.csv")
    assert path.stat().st_size < 3_000_000
    assert path.read_text(encoding="utf-8").splitlines()[1].startswith("2013-01-01 00:00:00+00:00,0.0,")


@pytest.mark.parametrize("column", COLUMNS)
def test_monthly_means_are_the_published_ones(sample, column):
    means = sample[column].groupby(sample.index.month).mean()
    allowed = 0.1 * BY_MONTH[column].abs()
    assert ((means - BY_MONTH[column]).abs() <= allowed).all(), means.round(2).to_dict()


@pytest.mark.parametrize("column", POWER)
def test_yearly_means_of_power_are_the_published_ones(sample, column):
    means = sample[column].groupby(sample.index.year).mean()
    assert ((means / BY_YEAR[column] - 1).abs() <= 0.1).all(), means.round(2).to_dict()


@pytest.mark.parametrize(
    ("one", "other", "published"),
    [
        ("solar_GW", "rad_horizontal", 0.90),
        ("solar_GW", "rad_diffuse", 0.72),
        ("solar_GW", "temperature", 0.52),
        ("wind_GW", "windspeed", 0.85),
    ],
)
def test_columns_go_together_as_the_published_ones_do(sample, one, other, published):
    assert sample[one].corr(sample[other]) == pytest.approx(published, abs=0.05)


@pytest.mark.parametrize(
    ("column", "hours", "published"),
    [("windspeed", 1, 0.988), ("windspeed", 24, 0.59), ("wind_GW", 24, 0.61), ("temperature", 24, 0.97)],
)
def test_the_weather_of_an_hour_is_remembered_as_long_as_in_the_published_series(sample, column, hours, published):
    assert sample[column].autocorr(hours) == pytest.approx(published, abs=0.03)


@pytest.mark.parametrize(
    ("column", "lowest", "highest"),
    [
        ("solar_GW", 0.0, 26.1),
        ("wind_GW", 0.03, 33.6),
        ("windspeed", 1.0, 15.5),
        ("temperature", -10.7, 34.3),
        ("rad_horizontal", 0.0, 823),
        ("rad_diffuse", 0.0, 394),
    ],
)
def test_extremes_are_near_the_published_ones(sample, column, lowest, highest):
    assert sample[column].min() == pytest.approx(lowest, rel=0.2, abs=0.03)
    assert sample[column].max() == pytest.approx(highest, rel=0.2)


def test_nothing_but_temperature_falls_below_zero_and_no_wind_exceeds_20_metres_per_second(sample):
    assert (sample.drop(columns="temperature") >= 0).all(axis=None)
    assert sample.windspeed.max() <= 20


@pytest.mark.parametrize(("column", "first", "last"), [("solar_GW", 33, 41), ("wind_GW", 31, 50)])
def test_power_stays_below_an_installed_capacity_that_grows(sample, column, first, last):
    capacity = simulate.installed(sample.index, column)
    assert capacity[[0, -1]] == pytest.approx([first, last], rel=0.01)
    assert (np.diff(capacity) >= 0).all()
    assert (sample[column] <= capacity).all()


def test_night_is_dark(sample):
    light = sample[["solar_GW", "rad_horizontal", "rad_diffuse"]]
    late_evening = (sample.index.hour >= 21) | (sample.index.hour <= 2)
    december = (sample.index.month == 12) & ((sample.index.hour >= 17) | (sample.index.hour <= 5))
    assert (light[late_evening | december] == 0).all(axis=None)
    _, outside, _ = simulate.sky(sample.index)
    assert (sample.solar_GW[outside == 0] == 0).all()


def test_noon_is_bright(sample):
    noon = sample[sample.index.hour == 11]
    assert (noon[["solar_GW", "rad_diffuse"]] > 0).all(axis=None)


@pytest.mark.parametrize("series", ["sample", "real"])
def test_radiation_stands_an_hour_late_in_summer_time_as_in_the_real_series(series, request):
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


def test_running_the_script_again_gives_the_shipped_files(tmp_path):
    result = run("--output", tmp_path)
    assert result.returncode == 0, result.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["datapackage.json", "germany.csv"]
    pd.testing.assert_frame_equal(
        pd.read_csv(tmp_path / "germany.csv"),
        pd.read_csv(SCRIPT.with_name("germany.csv")),
        rtol=0,
        atol=1e-9,
    )
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
    assert all(f[key] for f in fields for key in ("type", "unit", "description"))


def test_help_names_the_options():
    result = run("--help")
    assert result.returncode == 0
    assert "--output DIR" in result.stdout
    assert "--seed N" in result.stdout


@pytest.mark.parametrize("kind", ["missing", "a file", "blocked"])
def test_a_bad_output_ends_in_one_sentence(tmp_path, kind):
    place = tmp_path / "place"
    if kind == "a file":
        place.touch()
    if kind == "blocked":
        (place / "germany.csv").mkdir(parents=True)
    result = run("--output", place)
    assert result.returncode != 0
    assert len(result.stderr.strip().splitlines()) == 1, result.stderr
    assert result.stderr.startswith("--output")
    assert str(place) in result.stderr


def test_a_negative_seed_is_refused_with_what_was_expected(tmp_path):
    result = run("--output", tmp_path, "--seed", "-1")
    assert result.returncode == 2
    assert "--seed expects a whole number from 0 up, found -1" in result.stderr
    assert not list(tmp_path.iterdir())


def rich_features(table):
    """Return the weather with calendar, sun, the wind of the hours around, and the years since the start."""
    features, index = table[WEATHER].copy(), table.index
    for name, turn in (("hour", index.hour / 24), ("day", index.day_of_year / 365.25)):
        features[f"sin_{name}"], features[f"cos_{name}"] = np.sin(2 * np.pi * turn), np.cos(2 * np.pi * turn)
    features["sun"] = simulate.sun_height(index + pd.Timedelta(minutes=30), 10, 51)
    for hours in (-3, -2, -1, 1, 2, 3):
        features[f"wind_{hours}"] = table.windspeed.shift(hours)
    features["wind_day"] = table.windspeed.rolling(24, center=True).mean()
    features["wind_6"] = table.windspeed.rolling(6).mean()
    return features.assign(years=(index - index[0]) / pd.Timedelta(days=365.25))


def split(table, features):
    """Return features and power of all years but the last, then of the last."""
    both = pd.concat([features, table[POWER]], axis=1).dropna()
    past = both.index.year < both.index.year.max()
    return (
        both.loc[past, features.columns],
        both.loc[past, POWER],
        both.loc[~past, features.columns],
        both[POWER][~past],
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("columns", "solar", "wind"),
    [("weather", 1.04, 2.95), ("with hour and day", 0.62, None), ("rich", None, 2.2)],
)
def test_boosting_errs_on_the_unseen_year_as_on_the_real_one(sample, columns, solar, wind):
    from sklearn.ensemble import HistGradientBoostingRegressor

    calendar = sample[WEATHER].assign(hour=sample.index.hour, day=sample.index.day_of_year)
    features = {"weather": sample[WEATHER], "with hour and day": calendar, "rich": rich_features(sample)}[columns]
    x, y, x_new, truth = split(sample, features)
    for name, published in (("solar_GW", solar), ("wind_GW", wind)):
        if published is not None:
            model = HistGradientBoostingRegressor(random_state=1).fit(x, y[name])
            assert np.abs(model.predict(x_new) - truth[name]).mean() == pytest.approx(published, rel=0.15)


@pytest.mark.slow
@pytest.mark.parametrize("series", ["sample", "real"])
def test_the_wind_of_the_hours_around_and_the_season_still_explain_wind_power(series, request):
    from sklearn.ensemble import HistGradientBoostingRegressor

    table = request.getfixturevalue(series)
    rich = rich_features(table)
    both = pd.concat([rich, table.wind_GW], axis=1).dropna()
    fold = (both.index - both.index[0]).days // 14 % 5  # by fortnights, so that a fold holds all years and seasons

    def error(columns):
        parts = []
        for k in range(5):
            model = HistGradientBoostingRegressor(max_iter=60, random_state=1)
            model.fit(both.loc[fold != k, columns], both.wind_GW[fold != k])
            parts.append(np.abs(model.predict(both.loc[fold == k, columns]) - both.wind_GW[fold == k]))
        return np.concatenate(parts).mean()

    assert error(list(rich.columns)) < 0.985 * error([*WEATHER, "years"])
