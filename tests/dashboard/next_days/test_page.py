import dataclasses
import logging
import re
import threading
from types import SimpleNamespace

import pytest
from playwright.sync_api import expect
from werkzeug.serving import make_server

from dashboard.app import create_app
from dashboard.next_days.feed import Feed


@pytest.fixture
def serve(monkeypatch):
    """Return a function that serves the dashboard; the feed moves only when the test says so."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line for every look of every tab hides what went wrong
    feeds, running = [], []
    monkeypatch.setattr(Feed, "start", lambda feed: feeds.append(feed))

    def start(live, settings) -> SimpleNamespace:
        server = make_server("127.0.0.1", 0, create_app(live, settings).server, threaded=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        running.append((server, thread))
        url = f"http://127.0.0.1:{server.server_port}/next-days"
        return SimpleNamespace(url=url, feed=feeds[-1] if feeds else None)

    yield start
    for server, thread in running:
        server.shutdown()
        server.server_close()
        thread.join()


def test_off_the_page_says_how_to_switch_it_on_and_asks_nobody(serve, open_page, live, settings, services):
    dashboard = serve(live, dataclasses.replace(settings, live_data=False))
    tab = open_page(dashboard.url)
    expect(tab.locator("#next-days-notices")).to_contain_text("python dashboard/app.py --live-data")
    expect(tab.locator("#next-days-content")).to_be_hidden()
    assert dashboard.feed is None
    assert services.asked == []


def test_on_the_page_shows_lines_or_shapes_errors_sources_and_credit_also_on_a_phone_in_the_dark(
    serve, open_page, live, settings, keep
):
    dashboard = serve(live, settings)
    dashboard.feed.follow(0)
    tab = open_page(dashboard.url)
    expect(tab.locator("#next-days-solar_GW .scatterlayer .trace")).to_have_count(5)
    expect(tab.locator("#next-days-wind_GW .scatterlayer .trace")).to_have_count(5)
    expect(tab.locator("#next-days-wind_GW")).to_contain_text("now")
    expect(tab.locator("#next-days-wind_GW-words")).to_contain_text("measured in the hour from 2026-06-10 07:00 UTC")
    rows = tab.locator("#next-days-errors tbody tr")
    expect(rows).to_have_count(4)
    expect(rows.nth(3)).to_contain_text("Wind: published forecast")
    expect(rows.nth(3)).to_contain_text("−2.00")
    expect(tab.locator("#next-days-caveats")).to_contain_text("Its data end in June 2016, 10 years ago")
    expect(tab.locator("#next-days-ages")).to_contain_text("less than 1 min old")
    tab.locator("#next-days-wind_GW .nsewdrag").first.hover()
    tooltip = tab.locator("#next-days-wind_GW .hoverlayer")
    expect(tooltip).to_contain_text(re.compile(r"our range \(10 to 90 %\) : \d+\.\d\d to \d+\.\d\d GW"))
    expect(tooltip).to_contain_text(re.compile(r"our prediction : \d+\.\d\d GW"))
    for name in ("Weather data by Open-Meteo.com", "Energy-Charts.info", "CC BY 4.0"):
        expect(tab.get_by_role("link", name=name)).to_be_visible()
    expect(tab.locator("#next-days-notices")).to_be_empty()
    keep(tab, "next-days")
    text = tab.locator("#next-days-solar_GW .xtick text").first
    expect(text).to_have_css("fill", "rgb(86, 93, 101)")
    tab.emulate_media(color_scheme="dark")
    tab.set_viewport_size({"width": 375, "height": 800})
    expect(text).to_have_css("fill", "rgb(163, 171, 179)")
    tab.wait_for_function("() => document.documentElement.scrollWidth <= 375", timeout=20_000)
    keep(tab, "phone-next-days-dark")
    unit = tab.locator("#next-days-wind_GW .ytick").last
    expect(unit).to_contain_text("GW")
    tab.get_by_role("radio", name="Power").focus()
    tab.keyboard.press("ArrowRight")
    expect(unit).to_contain_text("×")
    expect(tab).to_have_url(re.compile(r"/next-days\?show=shape$"))
    tab.reload()
    expect(unit).to_contain_text("×")


def test_a_failure_a_recovery_and_a_promotion_show_without_a_reload(serve, open_page, live, settings, services, tools):
    usual = services.replies["/v1/forecast"]
    services.say("/v1/forecast", 429, {"error": True, "reason": "Daily API request limit exceeded."}, Retry_After="60")
    dashboard = serve(live, settings)
    dashboard.feed.follow(0)
    tab = open_page(dashboard.url)
    notices, words = tab.locator("#next-days-notices"), tab.locator("#next-days-wind_GW-words")
    expect(notices).to_contain_text("No weather forecast: 127.0.0.1 answered with HTTP 429: Daily API request limit")
    expect(words).to_contain_text("There is no prediction of ours")
    services.replies["/v1/forecast"] = usual
    dashboard.feed.follow(60)
    expect(notices).to_be_empty()
    expect(words).to_contain_text("our prediction is")
    services.say("/v1/forecast", 429, {"error": True, "reason": "Daily API request limit exceeded."})
    dashboard.feed.follow(3660)
    last = "HTTP 429: Daily API request limit exceeded. The last good answer is shown; it is less than 1 min old."
    expect(notices).to_contain_text(f"No newer weather forecast: 127.0.0.1 answered with {last}")
    services.replies["/v1/forecast"] = usual
    live.view = dataclasses.replace(live.view, production=tools.production("8", False))
    dashboard.feed.follow(7260)
    expect(tab.locator("#next-days-caveats")).to_contain_text("version 8")
    expect(tab.locator("#next-days-solar_GW .scatterlayer .trace")).to_have_count(3)
