import contextlib
import json
import os
import sys

import mlflow
import pytest
from playwright.sync_api import expect
from processes import process
from servers import get

# All of them, or the dashboard would be started once for the slow ones and once for the others.
pytestmark = pytest.mark.slow

SOON = 15_000  # milliseconds; five seconds, and what a busy machine adds


def promote(version: str) -> None:
    mlflow.MlflowClient().set_registered_model_alias("wind_solar", "production", version)


def test_a_promotion_and_a_rollback_show_in_two_open_tabs_without_a_reload(look, production, other_version):
    tabs = [look("/model"), look("/predictions")]
    for version in (other_version, production):
        promote(version)
        for tab in tabs:
            expect(tab.locator("#source")).to_contain_text(f"wind_solar version {version} ", timeout=SOON)
            expect(tab.get_by_text(f"Version {version} is in production now")).to_be_visible()
        expect(tabs[0].locator("#card")).to_contain_text(f"wind_solar, version {version}")
        expect(tabs[1].get_by_role("link", name="Download CSV")).to_have_attribute(
            "href", "/predictions.csv?from=2013-08-18&to=2013-08-31"
        )


def test_the_figures_of_another_version_are_other_ones(look, production, other_version):
    tab = look("/predictions")
    mae = tab.locator("#measures-table tbody tr").first
    expect(mae).to_contain_text("GW")
    before = mae.text_content()
    promote(other_version)
    expect(mae).not_to_have_text(before)


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
        expect(tab.locator("#problem")).to_contain_text("can't be loaded")
        expect(tab.locator("#problem")).to_contain_text(f"Version {production} is shown on.")
        expect(tab.locator("#card")).to_contain_text(f"wind_solar, version {production}")
    finally:
        moved.rename(folder)
    expect(tab.locator("#card")).to_contain_text(f"wind_solar, version {other_version}")
    expect(tab.locator("#problem")).to_be_empty()


def test_the_pages_work_on_while_the_tracking_server_is_away_and_notice_that_it_is_back(look, way, keep):
    tab = look("/predictions")
    expect(tab.locator("#predictions-lead")).to_contain_text("336 hours")
    way.cut()
    try:
        expect(tab.locator("#problem")).to_contain_text("does not answer. The pages show what it said at")
        tab.get_by_role("button", name="Week").click()
        expect(tab.locator("#predictions-lead")).to_contain_text("168 hours")
        tab.locator("nav").get_by_role("link", name="Model").click()
        expect(tab.locator("#card")).to_contain_text("wind_solar, version")
        keep(tab, "server-away")
    finally:
        way.mend()
    expect(tab.locator("#problem")).to_be_empty()
    expect(tab.get_by_text("All is well again")).to_be_visible()


def test_the_ledger_and_the_candidate_show_as_soon_as_they_are_there(look, production, other_version, keep):
    client = mlflow.MlflowClient()
    entries = [
        {"number": 1, "action": "approve", "from": None, "to": other_version, "when": "2026-01-05T08:00:00+00:00"},
        {"number": 2, "action": "reject", "from": other_version, "to": "9", "when": "2026-02-01T08:00:00+00:00"},
        {
            "number": 3,
            "action": "rollback",
            "from": other_version,
            "to": production,
            "when": "2026-03-05T08:30:00Z",
        },
    ]
    metrics = {"from": {"mae": 1.5}, "to": {"mae": 1.25}}
    about = {"by": "Ada", "reason": "the errors in spring", "auto": False, "metrics": metrics}
    ledger = {
        key: text for key, text in client.get_registered_model("wind_solar").tags.items() if key.startswith("ledger.")
    }
    gate = {key: client.get_model_version("wind_solar", other_version).tags.get(key) for key in ("gate", "gate.gain")}
    tab = look("/model")
    expect(tab.locator("#history tbody tr")).to_have_count(len(ledger))
    try:
        for key in ledger:
            client.delete_registered_model_tag("wind_solar", key)
        expect(tab.locator("#history")).to_contain_text("The ledger is empty.")
        for entry in entries:
            client.set_registered_model_tag("wind_solar", f"ledger.{entry['number']:06d}", json.dumps(entry | about))
        client.set_registered_model_alias("wind_solar", "candidate", other_version)
        client.set_model_version_tag("wind_solar", other_version, "gate", "failed")
        client.set_model_version_tag("wind_solar", other_version, "gate.gain", "wind is no better")
        rows = tab.locator("#history tbody tr")
        expect(rows).to_have_count(2)
        for text in (production, "2026-03-05 08:30", "now", "rollback", "Ada", "1.500 → 1.250", "the errors in spring"):
            expect(rows.first).to_contain_text(text)
        expect(rows.nth(1)).to_contain_text("59 d")
        expect(tab.locator("#against")).to_contain_text("wind is no better")
        expect(tab.locator("#against")).to_contain_text("failed")
        keep(tab, "model-with-ledger")
    finally:
        for entry in entries:
            client.delete_registered_model_tag("wind_solar", f"ledger.{entry['number']:06d}")
        client.delete_registered_model_alias("wind_solar", "candidate")
        for key, text in ledger.items():
            client.set_registered_model_tag("wind_solar", key, text)
        for key, text in gate.items():
            client.delete_model_version_tag("wind_solar", other_version, key)
            if text is not None:
                client.set_model_version_tag("wind_solar", other_version, key, text)


def test_without_a_model_in_production_the_pages_say_how_to_get_one(root, free_port, tmp_path, browser):
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    env = {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path / 'empty.db'}"}
    command = [sys.executable, "dashboard/serve.py", "--port", port, "--refresh", "0.5"]
    with process("The dashboard", command, tmp_path / "dashboard.log", cwd=root, env=env) as dashboard:
        dashboard.wait_until(lambda: "No version of wind_solar" in (get(url + "/health") or ""), 90)
        with contextlib.closing(browser.new_page()) as tab:
            for path in ("/", "/predictions", "/model"):
                tab.goto(url + path)
                expect(tab.locator("main .empty").first).to_contain_text("mlflow run 3_projects/workflow")
