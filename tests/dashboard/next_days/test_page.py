import dataclasses
import logging
import re
import threading
from types import SimpleNamespace

import pytest
from playwright.sync_api import expect, sync_playwright
from werkzeug.serving import make_server

from dashboard.app import create_app
from dashboard.next_days.feed import Feed

SOON = {"timeout": 20_000}  # for what the server and the browser have to do first


class Dashboard:
    """The dashboard in a browser; the feed moves only when the test says so."""

    def __init__(self, live, settings, monkeypatch):
        self.feed: Feed | None = None

        def hold(feed: Feed) -> None:
            feed._pause, self.feed = 0, feed

        monkeypatch.setattr(Feed, "start", hold)
        app = create_app(live, settings)
        self.server = make_server("127.0.0.1", 0, app.server, threaded=True)
        self.url = f"http://127.0.0.1:{self.server.server_port}/next-days"


@pytest.fixture(scope="module")
def browser(chromium):
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def serve(monkeypatch):
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line for every look of every tab hides what went wrong
    running = []

    def start(live, settings) -> Dashboard:
        dashboard = Dashboard(live, settings, monkeypatch)
        thread = threading.Thread(target=dashboard.server.serve_forever, args=(0.01,))
        thread.start()
        running.append((dashboard, thread))
        return dashboard

    yield start
    for dashboard, thread in running:
        dashboard.server.shutdown()
        dashboard.server.server_close()
        thread.join()


@pytest.fixture
def look(browser):
    """Return a function that opens a page; no error and no request to another host may come up meanwhile."""
    problems, contexts = [], []

    def open_(url: str, **options):
        host = re.match(r"http://[^/]+", url).group()
        contexts.append(browser.new_context(viewport={"width": 1200, "height": 1000}, **options))
        tab = contexts[-1].new_page()
        tab.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        tab.on("pageerror", lambda error: problems.append(str(error)))
        tab.on("request", lambda request: None if request.url.startswith(host) else problems.append(request.url))
        tab.goto(url)
        return tab

    yield open_
    for context in contexts:
        context.close()
    assert [problem for problem in problems if not problem.startswith(("data:", "blob:"))] == []


def test_off_the_page_says_how_to_switch_it_on_and_asks_nobody(serve, look, live, settings, services):
    dashboard = serve(live, dataclasses.replace(settings, live_data=False))
    tab = look(dashboard.url)
    expect(tab.locator("#next-days-notices")).to_contain_text("python dashboard/app.py --live-data", **SOON)
    expect(tab.locator("#next-days-content")).to_be_hidden()
    assert dashboard.feed is None
    assert services.asked == []


def test_on_the_page_shows_lines_errors_sources_and_credit_also_on_a_phone_in_the_dark(serve, look, live, settings):
    dashboard = serve(live, settings)
    dashboard.feed.follow(0)
    tab = look(dashboard.url)
    expect(tab.locator("#next-days-solar_GW .scatterlayer .trace")).to_have_count(5, **SOON)
    expect(tab.locator("#next-days-wind_GW .scatterlayer .trace")).to_have_count(5, **SOON)
    expect(tab.locator("#next-days-wind_GW")).to_contain_text("now")
    expect(tab.locator("#next-days-wind_GW-words")).to_contain_text("measured in the hour from 2026-06-10 07:00 UTC")
    rows = tab.locator("#next-days-errors tbody tr")
    expect(rows).to_have_count(4)
    expect(rows.nth(3)).to_contain_text("Wind: published forecast")
    expect(rows.nth(3)).to_contain_text("−2.00")
    expect(tab.locator("#next-days-caveats")).to_contain_text("Its data end in June 2016, 10 years ago")
    expect(tab.locator("#next-days-ages")).to_contain_text("less than a minute old")
    for name in ("Weather data by Open-Meteo.com", "Energy-Charts.info", "CC BY 4.0"):
        expect(tab.get_by_role("link", name=name)).to_be_visible()
    expect(tab.locator("#next-days-notices")).to_be_empty()
    text = tab.locator("#next-days-solar_GW .xtick text").first
    expect(text).to_have_css("fill", "rgb(86, 93, 101)", **SOON)
    tab.emulate_media(color_scheme="dark")
    tab.set_viewport_size({"width": 375, "height": 800})
    expect(text).to_have_css("fill", "rgb(163, 171, 179)", **SOON)
    tab.wait_for_function("() => document.documentElement.scrollWidth <= 375", timeout=20_000)


def test_the_shape_is_chosen_with_the_keyboard_and_is_in_the_address(serve, look, live, settings):
    dashboard = serve(live, settings)
    dashboard.feed.follow(0)
    tab = look(dashboard.url)
    expect(tab.locator("#next-days-wind_GW .ytick").last).to_contain_text("GW", **SOON)
    tab.get_by_role("radio", name="Power").focus()
    tab.keyboard.press("ArrowRight")
    expect(tab.locator("#next-days-wind_GW .ytick").last).to_contain_text("×", **SOON)
    expect(tab).to_have_url(re.compile(r"/next-days\?show=shape$"))
    tab.reload()
    expect(tab.locator("#next-days-wind_GW .ytick").last).to_contain_text("×", **SOON)


def test_a_failure_a_recovery_and_a_promotion_show_without_a_reload(serve, look, live, settings, services, tools):
    services.say("/v1/forecast", 429, {"error": True, "reason": "Daily API request limit exceeded."}, Retry_After="60")
    dashboard = serve(live, settings)
    dashboard.feed.follow(0)
    tab = look(dashboard.url)
    notices, words = tab.locator("#next-days-notices"), tab.locator("#next-days-wind_GW-words")
    expect(notices).to_contain_text("No weather forecast: 127.0.0.1 has had too many requests", **SOON)
    expect(words).to_contain_text("There is no prediction of ours", **SOON)
    services.replies["/v1/forecast"] = lambda query: (200, {}, tools.json(tools.forecast(query)))
    dashboard.feed.follow(60)
    expect(notices).to_be_empty(**SOON)
    expect(words).to_contain_text("our prediction is", **SOON)
    changed = {"production": tools.production("8", False), "table_run": "run"}
    live.view = SimpleNamespace(**vars(live.view) | changed | {"key": "8/run"})
    dashboard.feed.follow(61)
    expect(tab.locator("#next-days-caveats")).to_contain_text("version 8", **SOON)
    expect(tab.locator("#next-days-solar_GW .scatterlayer .trace")).to_have_count(3, **SOON)
