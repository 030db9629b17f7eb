import subprocess
import sys
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest

from forecasting import ledger

TARGETS = ["solar_GW", "wind_GW"]


@pytest.fixture
def evaluate(registry, own_process, made, name, capsys):
    """Return a function that compares models: what it printed, and its run."""

    def run(*challengers: str, data_run: str = made.data_run) -> tuple[str, mlflow.entities.Run]:
        registry.evaluate.main(
            ["--challengers", ",".join(challengers), "--data-run", data_run, "--registered-model", name]
        )
        (found,) = mlflow.search_runs(["0"], "tags.project = 'evaluate'", max_results=1, output_format="list")
        return capsys.readouterr().out, found

    return run


@pytest.fixture
def table_of(made):
    """Return a function that fetches the table of all figures."""

    def fetch(run) -> pd.DataFrame:
        return mlflow.load_table("evaluation.json", run_ids=[run.info.run_id])

    return fetch


def test_all_forecasts_are_compared_on_the_same_rows_by_target_season_and_hour(
    evaluate, table_of, made, name, tmp_path
):
    made.version(name, made.model(noise=1.0), "production")
    better = made.model("better", noise=0.5)
    said, run = evaluate(better, made.model(noise=1.0))  # the one in production has one line
    table = table_of(run)
    names = {"production (version 1)", f"better (run {better[:6]})", "persistence", "climatology"}
    assert set(table["forecast"]) == names
    assert table.groupby(["target", "by", "part"])["rows"].nunique().max() == 1
    parts = table[table["by"] != "all"].groupby("by")["part"].unique()
    assert set(parts["season"]) == {"winter", "spring", "summer", "autumn"}
    assert list(parts["hour"]) == ["00", "06", "12", "18"]
    mae = table[(table["by"] == "all") & (table["target"] == "wind_GW")].set_index("forecast")["mae"]
    assert mae[f"better (run {better[:6]})"] == pytest.approx(0.5 * mae["production (version 1)"])
    assert {"mae", "rmse", "bias", "r2"} <= set(table.columns)
    assert np.isfinite(table[["mae", "rmse", "bias"]]).all(axis=None)
    for text in (*names, "solar_GW, in GW", f"{mae['persistence']:.3f}"):
        assert text in said
    for file in ("mae_by_season.png", "mae_by_hour.png"):
        path = mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path=file, dst_path=tmp_path)
        content = Path(path).read_bytes()
        assert content.startswith(b"\x89PNG")
        assert len(content) > 10_000
    assert len(made.client.search_model_versions(f"name = '{name}'")) == 1, "nothing is registered"


def test_what_can_not_be_compared_or_not_fairly_is_said(evaluate, table_of, made, name):
    made.version(name, made.model("clever", noise=0.1, data_run=made.autumn_holdout), "production")
    broken = made.model(broken="no module named luck")
    said, run = evaluate(broken)
    assert "version 1 in production was trained on 972 of these 1460 rows" in said
    assert f"made (run {broken[:6]}) gives no predictions: no module named luck" in said
    assert set(table_of(run)["forecast"]) == {"production (version 1)", "persistence", "climatology"}


@pytest.mark.slow
def test_the_entry_points_work_as_they_are_typed(made, name, root):
    def typed(entry_point: str, **parameters: str) -> str:
        command = [sys.executable, "-m", "mlflow", "run", "3_projects/registry", "-e", entry_point]
        command += ["--env-manager", "local", "--experiment-name", "registry typed"]
        for key, value in ({"registered_model": name} | parameters).items():
            command += ["-P", f"{key}={value}"]
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    said = typed("validate", challengers=made.model(), data_run=made.data_run)
    assert "has passed the gate and waits for approval: nothing is in production" in said
    typed("approve", by="Ada", reason='it is the first one, "better" than none')
    (entry,) = ledger.read(name).entries
    assert (entry.to_version, entry.reason) == ("1", 'it is the first one, "better" than none')


def test_the_breakdown_is_by_target_by_season_and_by_hour(registry):
    index = pd.date_range("2013-01-01", "2013-12-31 23:00", freq="h", tz="UTC")
    actuals = pd.DataFrame({"wind_GW": 5.0}, index)
    added = np.where(index.month == 7, 3.0, 0.0) + (index.hour == 6)
    seasons = {"winter": [12, 1, 2], "summer": [6, 7, 8]}
    table = registry.evaluate.breakdown(actuals.add(added, axis=0), actuals, seasons).set_index(["by", "part"])
    assert table.loc[("season", "summer"), "rows"] == 92 * 24
    assert table.loc[("season", "summer"), "mae"] == pytest.approx(3 * 31 / 92 + 1 / 24)
    assert table.loc[("season", "winter"), "mae"] == pytest.approx(1 / 24)
    assert table.loc[("hour", "06"), "bias"] == pytest.approx(1 + 3 * 31 / 365)
    assert table.loc[("all", "all"), "rows"] == 8760
    daily = actuals.loc["2013-06":"2013-08"].resample("D").mean()
    assert set(registry.evaluate.breakdown(daily, daily, seasons)["part"]) == {"all", "summer"}
