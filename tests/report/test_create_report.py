import os
import re
import subprocess
import sys
from pathlib import Path

import mlflow
import pytest


@pytest.fixture(scope="module")
def create_report(workflow, root):
    """Return a function that types the command of the README and returns what came of it."""

    def run(*arguments, **environment):
        command = [sys.executable, "report/create_report.py", *map(str, arguments)]
        env = {**os.environ, **environment}
        return subprocess.run(command, cwd=root, env=env, capture_output=True, text=True, timeout=120, check=False)

    return run


@pytest.fixture(scope="module")
def report(create_report, tmp_path_factory):
    folder = tmp_path_factory.mktemp("reports")
    done = create_report("--output", folder)
    assert done.returncode == 0, done.stderr
    return folder / "2013-W34.html"  # the small CSV ends on Saturday 31 August 2013


def production():
    return mlflow.MlflowClient().get_model_version_by_alias("wind_solar", "production")


def test_the_last_complete_week_is_reported_unless_another_is_asked_for(report):
    assert [path.name for path in report.parent.iterdir()] == ["2013-W34.html"]
    assert "Monday 19 August 2013 to Sunday 25 August 2013" in report.read_text(encoding="utf-8")


def test_the_report_names_the_model_that_is_in_production_and_the_simulated_data(report):
    page = report.read_text(encoding="utf-8")
    version = production()
    assert f"wind_solar, version {version.version}, alias production" in page
    assert version.run_id in page
    assert "Simulated sample" in page


def test_the_report_is_an_artifact_of_a_run_that_names_the_version(report):
    experiment = mlflow.get_experiment_by_name("weekly_report").experiment_id
    run = mlflow.search_runs([experiment], "tags.week = '2013-W34'", output_format="list")[0]
    assert run.data.tags["model_version"] == production().version
    path = mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="2013-W34.html")
    assert "week 2013-W34" in Path(path).read_text(encoding="utf-8")


def test_the_error_of_the_week_is_that_of_the_production_model(report):
    import pandas as pd

    page = report.read_text(encoding="utf-8")
    model = mlflow.pyfunc.load_model(f"models:/wind_solar/{production().version}")
    data = mlflow.search_runs(
        search_all_experiments=True,
        filter_string="tags.step = 'data' and status = 'FINISHED'",
        order_by=["tags.used_at DESC"],
        output_format="list",
    )[0]
    path = mlflow.artifacts.download_artifacts(run_id=data.info.run_id, artifact_path="table.parquet")
    week = pd.read_parquet(path)["2013-08-19":"2013-08-25"]
    power = model.predict(week[model.metadata.get_input_schema().input_names()])
    for name, target in (("Solar", "solar_GW"), ("Wind", "wind_GW")):
        row = re.search(rf"<td>{name}</td>\s*(.*?)</tr>", page, re.DOTALL)[1]
        values = [float(value) for value in re.findall(r">([\d.]+) GW<", row)]
        error = (power[target] - week[target]).abs().mean()
        usual = float(production().tags[f"holdout_mae_{target}"])
        expected = [week[target].mean(), week[target].max(), power[target].mean(), error, usual]
        assert values == pytest.approx(expected, abs=0.006)


def test_the_page_opens_offline_and_draws_all_its_figures(report, chromium):
    from playwright.sync_api import sync_playwright

    problems = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on(
            "request",
            lambda request: None if request.url.startswith(("file:", "data:")) else problems.append(request.url),
        )
        page.goto(report.as_uri())
        page.wait_for_function("document.querySelectorAll('.main-svg .scatterlayer').length >= 6")
        assert page.locator("text=Predicted for the next week, 2013-W35").count() == 1
        assert page.locator("text=the prediction ends there").count() == 1
        browser.close()
    assert problems == []


def test_a_week_of_the_training_is_reported_with_a_word_on_that(create_report, tmp_path, report):
    done = create_report("--week", "2013-W20", "--output", tmp_path)
    assert done.returncode == 0, done.stderr
    sentence = "Of the hours of this week the model has seen 168 in its training"
    assert sentence in (tmp_path / "2013-W20.html").read_text(encoding="utf-8")
    assert "in its training, so" not in report.read_text(encoding="utf-8")


def test_any_week_in_the_data_can_be_reported(create_report, tmp_path):
    done = create_report("--week", "2013-W30", "--output", tmp_path)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "2013-W30.html").read_text(encoding="utf-8")
    assert "Monday 22 July 2013 to Sunday 28 July 2013" in page
    assert "All 168 hours of the week were recorded." in page


def test_a_week_with_some_hours_says_how_many(create_report, tmp_path):
    done = create_report("--week", "2013-W35", "--output", tmp_path)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "2013-W35.html").read_text(encoding="utf-8")
    assert "Of the 168 hours of the week, 144 were recorded" in page
    assert "no weather for that week yet" in page


@pytest.mark.parametrize(
    ("week", "sentence"),
    [
        ("2013-W54", "expected an ISO week such as 2015-W31, found '2013-W54'"),
        ("last", "expected an ISO week such as 2015-W31, found 'last'"),
        ("2014-W02", "Week 2014-W02 is not in the data"),
        ("2012-W10", "Choose a week from 2013-W14 to 2013-W35"),
    ],
)
def test_a_week_that_can_not_be_reported_is_refused_in_one_sentence(create_report, tmp_path, week, sentence):
    (tmp_path / "yesterday.html").write_text("x")
    done = create_report("--week", week, "--output", tmp_path)
    assert done.returncode != 0
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["yesterday.html"]


def test_an_empty_tracking_server_is_named_with_the_command_that_fills_it(create_report, tmp_path):
    done = create_report("--output", tmp_path, MLFLOW_TRACKING_URI=f"sqlite:///{tmp_path / 'empty.db'}")
    assert done.returncode == 1
    assert "No version of wind_solar has the alias production" in done.stderr
    assert "mlflow run 3_projects/workflow" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_tracking_server_that_is_away_is_named(create_report, tmp_path, free_port):
    address = f"http://127.0.0.1:{free_port()}"
    done = create_report("--output", tmp_path, MLFLOW_TRACKING_URI=address)
    assert done.returncode == 1
    assert f"the tracking server {address} or its artifact store did not do its part" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_output_that_is_a_file_is_refused_in_one_sentence(create_report, tmp_path):
    (tmp_path / "file").write_text("x")
    done = create_report("--output", tmp_path / "file")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("report: ")
    assert "Traceback" not in done.stderr
