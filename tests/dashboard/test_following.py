import contextlib
import json
import os
import sys

import mlflow
import pytest
from playwright.sync_api import expect

from server.processes import process
from server.servers import get

# All of them, or the dashboard would be started once for the slow ones and once for the others.
pytestmark = pytest.mark.slow

SOON = 15_000  # milliseconds; five seconds, and what a busy machine adds


def promote(version: str) -> None:
    mlflow.MlflowClient().set_registered_model_alias("wind_solar", "production", version)


def test_a_promotion_and_a_rollback_show_in_two_open_tabs_without_a_reload(look, production, other_version):
    tabs = [look("/model"), look("/predictions")]
    mae = tabs[1].locator("#measures tbody tr").first
    # What another test has put back is shown.
    expect(tabs[1].locator("#source")).to_contain_text(f"wind_solar version {production} ")
    expect(mae).to_contain_text("GW")
    for version in (other_version, production):
        before = mae.text_content()
        promote(version)
        for tab in tabs:
            expect(tab.locator("#source")).to_contain_text(f"wind_solar version {version} ", timeout=SOON)
            expect(tab.get_by_text(f"Version {version} is in production now")).to_be_visible()
        expect(tabs[0].locator("#card")).to_contain_text(f"wind_solar, version {version}")
        expect(mae).not_to_have_text(before)


def test_a_version_moved_in_the_mlflow_pages_as_the_readme_says_is_shown(look, browser, production, other_version):
    dashboard, pages = look("/model"), browser.new_page()
    pages.goto(os.environ["MLFLOW_TRACKING_URI"])
    pages.get_by_text("Model training", exact=True).click()
    pages.get_by_role("link", name="Model registry").click()
    pages.get_by_role("button", name="Try it now").click()
    # A learner has few models, and sees theirs at once; other tests have made more than one page of them.
    pages.get_by_placeholder("Search registered models").fill("wind_solar")
    pages.keyboard.press("Enter")
    pages.get_by_role("link", name="wind_solar", exact=True).click()
    version = pages.get_by_role("link", name=f"Version {other_version}", exact=True)
    pages.get_by_role("row").filter(has=version).get_by_role("button", name="Add").click()
    pages.get_by_role("combobox").last.fill("production")
    pages.keyboard.press("Enter")
    pages.get_by_role("button", name="Save aliases").click()
    expect(dashboard.locator("#source")).to_contain_text(f"wind_solar version {other_version} ", timeout=SOON)
    pages.close()


def test_a_model_without_the_alias_is_not_said_to_be_in_production(look, production):
    tab = look("/model")
    expect(tab.locator("#model-lead")).to_contain_text(f"version {production} ")
    expect(tab.locator("#model-lead")).to_contain_text("is in production.")
    mlflow.MlflowClient().delete_registered_model_alias("wind_solar", "production")
    expect(tab.locator("#model-lead")).to_contain_text("is shown, but not in production any more.", timeout=SOON)
    expect(tab.locator("#card .facts").first).to_contain_text("Aliasnone")
    expect(tab.locator("#history tbody")).not_to_contain_text("now")


def test_a_version_that_can_not_be_loaded_leaves_the_old_one_with_a_warning(look, production, other_version, store):
    tab = look("/model")
    expect(tab.locator("#source")).to_contain_text(f"wind_solar version {production} ")
    model_id = mlflow.MlflowClient().get_model_version("wind_solar", other_version).source.rpartition("/")[2]
    folder = next(store.glob(f"artifacts/*/models/{model_id}"))
    moved = folder.rename(folder.with_name("moved"))
    try:
        promote(other_version)
        expect(tab.get_by_role("alert").first).to_contain_text(
            f"Version {other_version} of wind_solar is in production"
        )
        expect(tab.locator("#problem")).to_contain_text("can't be shown")
        expect(tab.locator("#problem")).to_contain_text(f"Version {production} is still shown.")
        expect(tab.locator("#card")).to_contain_text(f"wind_solar, version {production}")
    finally:
        moved.rename(folder)
    expect(tab.locator("#card")).to_contain_text(f"wind_solar, version {other_version}")
    expect(tab.locator("#problem")).to_be_empty()


def test_the_pages_work_on_while_the_tracking_server_is_away_and_notice_that_it_is_back(
    look, way, log, keep, production
):
    tab = look("/predictions")
    expect(tab.locator("#predictions-lead")).to_contain_text("336 hours")
    # It is not loading the version that another test has put back.
    expect(tab.locator("#source")).to_contain_text(f"wind_solar version {production} ")
    expect(tab.locator("#problem")).to_be_empty()
    before = len(log.read_text(encoding="utf-8"))
    way.cut()
    try:
        expect(tab.locator("#problem")).to_contain_text("does not answer. The pages show its state of")
        tab.get_by_role("button", name="Week").click()
        expect(tab.locator("#predictions-lead")).to_contain_text("168 hours")
        tab.locator("nav").get_by_role("link", name="Model").click()
        expect(tab.locator("#card")).to_contain_text("wind_solar, version")
        keep(tab, "server-away")
    finally:
        way.mend()
    expect(tab.locator("#problem")).to_be_empty()
    expect(tab.get_by_text("The pages are up to date again")).to_be_visible()
    said = log.read_text(encoding="utf-8")[before:].splitlines()
    lines = [line for line in said if "refused" in line or "Connection" in line]
    assert len(lines) <= 1, lines


def test_the_ledger_and_the_candidate_show_as_soon_as_they_are_there(look, production, other_version, keep):
    client = mlflow.MlflowClient()
    entry = {"action": "rollback", "from": other_version, "to": production, "when": "2026-03-05T08:30:00+00:00"}
    entry |= {"by": "Ada", "reason": "the errors in spring", "auto": False, "moved": True}
    entry["metrics"] = {"from": {"mae": 1.5}, "to": {"mae": 1.25}}
    tags = client.get_registered_model("wind_solar").tags
    ledger = {key: text for key, text in tags.items() if key.startswith("ledger.")}
    gain = client.get_model_version("wind_solar", other_version).tags.get("gate.gain")
    tab = look("/model")
    expect(tab.locator("#history tbody tr")).to_have_count(len(ledger))
    try:
        for key in ledger:
            client.delete_registered_model_tag("wind_solar", key)
        expect(tab.locator("#history")).to_contain_text("The ledger is empty.")
        client.set_registered_model_tag("wind_solar", "ledger.20260305", json.dumps(entry))
        client.set_registered_model_alias("wind_solar", "candidate", other_version)
        client.set_model_version_tag("wind_solar", other_version, "gate.gain", "wind is no better")
        row = tab.locator("#history tbody tr").first
        for text in (production, "2026-03-05 08:30", "now", "rollback", "Ada", "1.500 → 1.250", "the errors in spring"):
            expect(row).to_contain_text(text)
        expect(tab.locator("#against")).to_contain_text("wind is no better")
        keep(tab, "model-with-ledger")
    finally:
        client.delete_registered_model_tag("wind_solar", "ledger.20260305")
        client.delete_registered_model_alias("wind_solar", "candidate")
        client.delete_model_version_tag("wind_solar", other_version, "gate.gain")
        for key, text in ledger.items():
            client.set_registered_model_tag("wind_solar", key, text)
        if gain is not None:
            client.set_model_version_tag("wind_solar", other_version, "gate.gain", gain)


def test_without_a_model_in_production_the_pages_say_how_to_get_one(root, free_port, tmp_path, browser):
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    env = {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path / 'empty.db'}"}
    command = [sys.executable, "dashboard/serve.py", "--port", port, "--refresh", "0.5"]
    with process("The dashboard", command, tmp_path / "dashboard.log", cwd=root, env=env) as dashboard:
        dashboard.wait_until(lambda: "o version of wind_solar" in (get(url + "/health") or ""), 90)
        with contextlib.closing(browser.new_page()) as tab:
            for path in ("/", "/predictions", "/model"):
                tab.goto(url + path)
                expect(tab.locator("#problem")).to_contain_text("mlflow run 3_projects/workflow")
