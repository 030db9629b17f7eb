"""Report and dashboard show the same numbers for the same hours, whether the model has learnt from them or not."""

from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace

import joblib
import mlflow
import numpy as np
import pytest
from ingest import make_table
from sklearn.linear_model import LinearRegression

from dashboard.date_range import Range
from dashboard.follower import View
from dashboard.predictions.series import measures_of, series_of
from forecasting.production import Production
from forecasting.table import HourlyTable
from report.report_inputs import prepare
from report.week import first_hour
from report.week_statistics import week_statistics

FEATURES = ["windspeed", "temperature", "rad_horizontal", "rad_diffuse"]
# 2013-W02 and 2014-W10 are validation weeks, from which some models learn.
TRAINING_WEEKS = {
    "sample": ["2013-W02", "2013-W20", "2014-W10", "2015-W01", "2015-W31"],
    "real": ["2013-W02", "2013-W20", "2014-W10", "2014-W31", "2014-W45"],
}
HOLDOUT_WEEKS = {
    "sample": ["2016-W05", "2016-W15", "2016-W25", "2016-W35", "2016-W45"],
    "real": ["2015-W05", "2015-W15", "2015-W25", "2015-W35", "2015-W45"],
}


def production_of(table: HourlyTable, fitted_on: str, folder: Path, root: Path) -> Production:
    """Return a linear regression with the model code of 3_projects/lr."""
    hours = table.frame[table.frame["split"].isin(fitted_on.split(","))]
    joblib.dump(LinearRegression().fit(hours[FEATURES], hours[table.targets]), folder / "estimator.joblib")
    mlflow.pyfunc.save_model(
        folder / "model",
        python_model=str(root / "3_projects" / "lr" / "model.py"),
        artifacts={"estimator": str(folder / "estimator.joblib")},
        signature=mlflow.models.infer_signature(hours[FEATURES], hours[table.targets]),
        pip_requirements=[],
    )
    return Production(
        name="wind_solar",
        version="1",
        model_uri="models:/m-1",
        model=mlflow.pyfunc.load_model(str(folder / "model")),
        training=SimpleNamespace(data=SimpleNamespace(tags={"fitted_on": fitted_on})),
        project="lr",
        data_title=table.title,
        trained_at=datetime(2026, 1, 1, tzinfo=UTC),
        holdout_mae=dict.fromkeys(table.targets, 1.0),
        judged_on="the holdout",
    )


@pytest.mark.parametrize("fitted_on", ["train", "train,validation"])
@pytest.mark.parametrize("source", ["sample", "real"])
def test_report_dashboard_and_readme_agree_in_weeks_of_the_training_and_of_the_holdout(
    source, fitted_on, request, root, tmp_path
):
    csv = request.getfixturevalue("real_data") if source == "real" else root / "1_starting_point" / "germany.csv"
    table = HourlyTable(make_table(csv, 365)[0], "run", "digest", "1")
    production = production_of(table, fitted_on, tmp_path, root)
    inputs = prepare(table, production)
    dashboard = series_of(View(production, table, production.predict(table.frame), table.seen_by(production.training)))
    for name in TRAINING_WEEKS[source] + HOLDOUT_WEEKS[source]:
        week = week_statistics(inputs, first_hour(name))
        year, number = int(name[:4]), int(name[-2:])
        week_of_dashboard = Range(date.fromisocalendar(year, number, 1), date.fromisocalendar(year, number, 7))
        parts = {target.name: hours.loc[week_of_dashboard.hours] for target, hours in dashboard.items()}
        learnt = table.frame.loc[first_hour(name), "split"] in fitted_on.split(",")
        assert {week.seen, *(int(hours["seen"].sum()) for hours in parts.values())} == {168 * learnt}, name
        for one in week.targets:
            shown = measures_of(parts[one.target])
            assert one.mae == pytest.approx(shown["mae"], abs=1e-5), name
            assert one.bias == pytest.approx(shown["bias"], abs=1e-5), name
            assert one.total == pytest.approx(parts[one.target]["actual"].sum()), name
            for baseline, mae in one.baseline_mae.items():
                known = year > 2013 or baseline == "persistence"  # the first year has no climatology
                skill = pytest.approx(1 - one.mae / mae, abs=1e-4) if known else pytest.approx(np.nan, nan_ok=True)
                assert shown[f"skill_{baseline}"] == skill, (name, baseline)
                assert (baseline in one.not_beaten) == (shown[f"skill_{baseline}"] <= 0), (name, baseline)
    if source == "sample":
        solar, wind = (one.baseline_mae for one in week_statistics(inputs, first_hour("2015-W31")).targets)
        sentence = (
            f"persistence is off by {solar['persistence']:.2f} GW for solar and {wind['persistence']:.2f} GW for wind, "
            f"climatology by {solar['climatology']:.2f} GW and {wind['climatology']:.2f} GW."
        )
        assert sentence in " ".join((root / "README.md").read_text(encoding="utf-8").split())
