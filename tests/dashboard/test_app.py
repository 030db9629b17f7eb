import json
import os
import re
import sys

import mlflow
import pytest
from playwright.sync_api import expect, sync_playwright
from processes import process
from servers import get


def production() -> str:
    return mlflow.MlflowClient().get_model_version_by_alias("wind_solar", "production").version


@pytest.fixture(scope="module")
def address(workflow, root, free_port, tmp_path_factory):
    """Run the dashboard as the README says, and return where it is."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "dashboard/app.py", "--port", port, "--refresh", "0.5"]
    with process("The dashboard", command, tmp_path_factory.mktemp("logs") / "dashboard.log", cwd=root) as dashboard:
        dashboard.wait_until(lambda: (answer := get(url + "/health")) and json.loads(answer)["version"], 60)
        yield url


@pytest.fixture
def page(address, chromium):
    """Open the dashboard in a browser; no error and no request to another host may come up meanwhile."""
    problems = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        tab = browser.new_context(viewport={"width": 1200, "height": 900}).new_page()
        tab.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        tab.on("pageerror", lambda error: problems.append(str(error)))
        tab.on("request", lambda request: None if request.url.startswith(address) else problems.append(request.url))
        tab.goto(address)
        expect(tab.locator("#model")).to_contain_text("wind_solar, version", timeout=15_000)
        yield tab
        browser.close()
    assert [problem for problem in problems if not problem.startswith(("data:", "blob:"))] == []


@pytest.fixture
def other_version():
    """Return a version that is not in production, and put production back afterwards."""
    client = mlflow.MlflowClient()
    before = production()
    yield next(v.version for v in client.search_model_versions("name = 'wind_solar'") if v.version != before)
    client.set_registered_model_alias("wind_solar", "production", before)


def test_the_card_shows_the_model_in_production(page):
    version = mlflow.MlflowClient().get_model_version("wind_solar", production())
    card = page.locator("#model")
    expect(card).to_contain_text(f"wind_solar, version {version.version}")
    expect(card).to_contain_text(f"Wind {float(version.tags['holdout_mae_wind_GW']):.2f} GW")
    expect(card.locator("a")).to_have_attribute("href", re.compile(f"/runs/{version.run_id}$"))


def test_simulated_data_are_labelled_as_such(page):
    expect(page.locator("#source")).to_contain_text("Simulated sample")
    expect(page.locator("#source")).to_contain_text("to 2013-08-31 23:00 UTC")


def test_recorded_and_predicted_lines_are_drawn_for_both_targets(page):
    for target in ("solar_GW", "wind_GW"):
        expect(page.locator(f"#range-{target} .scatterlayer .trace")).to_have_count(2)
        expect(page.locator(f"#years-{target} .scatterlayer .trace")).to_have_count(1)


def test_another_range_of_dates_changes_figures_and_error(page):
    expect(page.locator("#error")).to_contain_text("336 hours. Mean absolute error")
    page.locator("#dates").click()
    days = page.locator(".dash-datepicker-calendar-container, .dash-datepicker-content")
    expect(days.first).to_be_visible()
    first, last = page.get_by_text("20", exact=True).first, page.get_by_text("22", exact=True).first
    first.click()
    last.click()
    expect(page.locator("#error")).to_contain_text("72 hours. Mean absolute error")


def test_another_version_in_production_shows_in_two_open_tabs_without_a_reload(page, address, other_version):
    second = page.context.new_page()
    second.goto(address)
    mlflow.MlflowClient().set_registered_model_alias("wind_solar", "production", other_version)
    for tab in (page, second):
        expect(tab.locator("#model")).to_contain_text(f"wind_solar, version {other_version} ", timeout=15_000)


def test_a_version_that_can_not_be_loaded_leaves_the_old_one_with_a_warning(page, other_version, store):
    old = production()
    model_id = mlflow.MlflowClient().get_model_version("wind_solar", other_version).source.rpartition("/")[2]
    folder = next(store.glob(f"artifacts/*/models/{model_id}"))
    moved = folder.rename(folder.with_name("moved"))
    try:
        mlflow.MlflowClient().set_registered_model_alias("wind_solar", "production", other_version)
        expect(page.locator("#problem")).to_contain_text("can't be loaded", timeout=30_000)
        expect(page.locator("#model")).to_contain_text(f"wind_solar, version {old} ")
    finally:
        moved.rename(folder)
    expect(page.locator("#model")).to_contain_text(f"wind_solar, version {other_version} ", timeout=30_000)
    expect(page.locator("#problem")).to_be_empty()


def test_without_a_model_in_production_the_page_says_how_to_get_one(
    running_servers, root, free_port, tmp_path, chromium
):
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    env = {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path / 'empty.db'}"}
    command = [sys.executable, "dashboard/app.py", "--port", port, "--refresh", "0.5"]
    with process("The dashboard", command, tmp_path / "dashboard.log", cwd=root, env=env) as dashboard:
        dashboard.wait_until(lambda: "No version of wind_solar" in (get(url + "/health") or ""), 60)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            tab = browser.new_page()
            tab.goto(url)
            expect(tab.locator("#problem")).to_contain_text("mlflow run 3_projects/workflow")
            browser.close()
