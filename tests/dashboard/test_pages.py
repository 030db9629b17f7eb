"""The pages in a browser: what they show, how their controls work, how they look in any window and on paper."""

import contextlib
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from playwright.sync_api import TimeoutError, expect
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from forecasting.tracking import data_title_of

PAGES = {"/": "Overview", "/predictions": "Predictions", "/model": "Model", "/next-days": "Next days"}
# What is there last on each page.
LAST = {
    "/": "#years-wind_GW .scatterlayer .trace",
    "/predictions": "#scatter-wind_GW .scatterlayer .trace",
    "/model": "#runs .ag-row",
    "/next-days": "main .empty",
}
TARGETS = ["solar_GW", "wind_GW"]
OUTPUT = Path(__file__).resolve().parents[1] / "output" / "dashboard"
# Everything that floats above a page: Mantine's popovers, the grid's menus and tooltips, the figures' tooltips.
FLOATING = ".mantine-Popover-dropdown, .ag-popup-child, .ag-tooltip, .hoverlayer .hovertext, .hoverlayer .legend"
# From 2013-06-01 to 2013-07-20 on: a button of the range, and what the address says after it.
STEPS = [
    ("Week", "?from=2013-07-14&to=2013-07-20"),
    ("Earlier, by the length of the range", "?from=2013-07-07&to=2013-07-13"),
    ("Later, by the length of the range", "?from=2013-07-14&to=2013-07-20"),
    ("Month", "?from=2013-06-21&to=2013-07-20"),
    ("Year", "?from=2013-04-01&to=2013-07-20"),
    ("Newest", "/predictions"),
]


def hold_answers(tab) -> Callable[[], int]:
    """Keep a page's questions for the figures of a range from the server until the function returned is called.

    It returns how many were kept. A question that comes after it goes straight on.
    """
    held, holding = [], True

    def pass_on(route):
        figures = "predictions-figures" in (route.request.post_data or "")
        held.append(route) if holding and figures else route.continue_()

    def release() -> int:
        nonlocal holding
        holding = False
        for route in held:
            route.continue_()
        return len(held)

    tab.route(re.compile("/_dash-update-component"), pass_on)
    return release


def complete(tab, path: str) -> None:
    """Wait until all of a page is there."""
    expect(tab.locator(LAST[path]).first).to_be_attached()


def drawn(tab, *graphs):
    """Wait until each of the graphs has lines, points or cells."""
    for graph in graphs:
        expect(tab.locator(f"#{graph} :is(.scatterlayer .trace, .heatmaplayer image)").first).to_be_attached()


def floating(tab, width: int) -> None:
    """Wait until something floats above the page, and all that does is within the window's sides.

    While a page takes another width, its figures are drawn anew, so one look may be too early.
    """
    inside = """([selector, width]) => {
        const all = [...document.querySelectorAll(selector)].map((one) => one.getBoundingClientRect());
        const boxes = all.filter((box) => box.width);
        return boxes.length && boxes.every((box) => 0 <= box.left && box.right <= width);
    }"""
    tab.wait_for_function(inside, arg=[FLOATING, width], timeout=15_000)


def hover(tab, graph: str) -> None:
    """Move the mouse to the middle of a figure's plot, or to its middle point if it is a cloud of points.

    A figure that is drawn anew for another width forgets the mouse, so this moves it until there is a tooltip.
    """
    points = tab.locator(f"#{graph} .scatterlayer path.point")
    place = points.nth(points.count() // 2) if points.count() else tab.locator(f"#{graph} .nsewdrag").first
    place.scroll_into_view_if_needed()
    for step in range(20):
        box = place.bounding_box()
        tab.mouse.move(box["x"] + box["width"] / 2 + step % 2, box["y"] + box["height"] / 2)
        with contextlib.suppress(TimeoutError):
            return tab.locator(f"#{graph} .hoverlayer > *").first.wait_for(state="attached", timeout=300)
    return None


def measures(tab) -> dict[str, list[str]]:
    """Return the table of measures: the cells of solar and of wind by the name of the measure."""
    rows = tab.locator("#measures tbody tr")
    expect(rows).to_have_count(7)
    cells = [[text.strip() for text in rows.nth(row).locator("th, td").all_text_contents()] for row in range(7)]
    return {name: values for name, *values, _ in cells}


def test_every_page_has_its_heading_its_place_in_the_navigation_and_the_origin_of_the_data(look, address):
    tab = look("/")
    for path, name in PAGES.items():
        tab.locator("nav").get_by_role("link", name=name, exact=True).click()
        expect(tab.get_by_role("heading", level=1)).to_have_text(name)
        expect(tab).to_have_title(f"{name} · Solar and wind in Germany")
        expect(tab.locator("nav a[aria-current=page]")).to_have_text(name)
        assert tab.url.endswith(path)
        footer = tab.get_by_role("contentinfo")
        for text in ("Simulated sample", "2013-04-01 00:00 to 2013-08-31 23:00 UTC", "Live data off"):
            expect(footer).to_contain_text(text)
    tab.goto(f"{address}/nothing")
    expect(tab.locator("main")).to_contain_text("There is nothing at /nothing")
    tab.locator("main").get_by_role("link", name="Model").click()
    expect(tab.get_by_role("heading", level=1)).to_have_text("Model")


def test_the_overview_shows_now_the_years_records_and_repairs(look, small_csv, keep):
    tab = look("/")
    series = pd.read_csv(small_csv)
    drawn(tab, "years-solar_GW", "years-wind_GW")
    panel = tab.locator("#now .target2")
    expect(panel).to_contain_text(f"{series['wind_GW'].iloc[-1]:.2f}\u202fGW")
    expect(panel).to_contain_text("No former year in the data has all of these hours.")
    highest = tab.get_by_role("row", name="Wind, highest hour")
    expect(highest).to_contain_text(f"{series['wind_GW'].max():.2f}\u202fGW")
    expect(tab.locator("#repairs")).to_contain_text(f"None of the {len(series)} hours had to be repaired.")
    keep(tab, "overview")
    highest.get_by_role("link").click()
    expect(tab.get_by_role("heading", level=1)).to_have_text("Predictions")
    expect(tab.locator("#predictions-lead")).to_contain_text("168 hours")


def test_recorded_and_predicted_are_drawn_with_landmarks_and_words_for_readers_of_the_screen(look, keep, address):
    tab = look("/predictions")
    drawn(tab, *(f"{kind}-{target}" for kind in ("series", "calendar", "scatter") for target in TARGETS))
    expect(tab.locator("#predictions-lead")).to_contain_text("2013-08-18 to 2013-08-31 (UTC): 336 hours, hourly")
    expect(tab.locator("#series-wind_GW .scatterlayer .trace")).to_have_count(3)
    keep(tab, "predictions")
    for role in ("banner", "main", "contentinfo"):
        expect(tab.get_by_role(role)).to_have_count(1)
    expect(tab.get_by_role("navigation", name="Pages")).to_have_count(1)
    assert tab.locator("html").get_attribute("lang") == "en"
    figures = tab.locator("figure")
    assert figures.count() == 6
    for figure in figures.all():
        picture = figure.get_by_role("img").first
        expect(picture).to_have_accessible_name(re.compile("Solar|Wind"))
        expect(picture).to_have_accessible_description(re.compile(r"GW"))
    tab.goto(f"{address}/predictions?from=2013-04-01&to=2013-08-31")
    expect(tab.locator("#predictions-lead")).to_contain_text("daily means")
    expect(tab.locator("#measures")).to_contain_text("The model has learnt from")


def test_the_measures_are_those_of_the_csv_of_the_range_and_on_the_holdout_those_of_the_registry(look):
    tab = look("/predictions?from=2013-08-10&to=2013-08-12")
    shown = measures(tab)
    with tab.expect_download() as coming:
        tab.get_by_role("link", name="Download CSV").click()
    download = coming.value
    version = mlflow.MlflowClient().get_model_version_by_alias("wind_solar", "production").version
    assert download.suggested_filename == f"wind_solar_2013-08-10_2013-08-12_version_{version}.csv"
    rows = pd.read_csv(download.path(), parse_dates=["utc_timestamp"])
    assert list(rows["utc_timestamp"]) == list(pd.date_range("2013-08-10", "2013-08-12 23:00", freq="h", tz="UTC"))
    for place, target in enumerate(TARGETS):
        recorded, predicted = rows[target], rows[f"predicted_{target}"]
        assert shown["MAE"][place] == f"{mean_absolute_error(recorded, predicted):.2f}\u202fGW"
        assert shown["RMSE"][place] == f"{root_mean_squared_error(recorded, predicted):.2f}\u202fGW"
        assert shown["r²"][place] == f"{r2_score(recorded, predicted):.3f}".replace("-", "−")
        assert shown["Hours"][place] == "72"
    tags = mlflow.MlflowClient().get_model_version("wind_solar", version).tags
    first, last = tags["judged_on"].split(", ")[-1].split(" to ")
    shown = measures(look(f"/predictions?from={first}&to={last}"))
    for place, target in enumerate(TARGETS):
        mae = float(shown["MAE"][place].removesuffix("\u202fGW"))
        assert mae == pytest.approx(float(tags[f"holdout_mae_{target}"]), abs=0.0051)


def test_a_day_is_clicked_and_clicks_without_a_pause_count_from_the_one_before(look):
    tab = look("/predictions?from=2013-06-01&to=2013-07-20")
    expect(tab.get_by_label("First day")).to_have_value("2013-06-01")
    tab.get_by_label("First day").click()
    tab.get_by_role("button", name="11 June 2013", exact=True).click()
    expect(tab).to_have_url(re.compile(r"\?from=2013-06-11&to=2013-07-20$"))
    tab.go_back()
    expect(tab.get_by_label("First day")).to_have_value("2013-06-01")
    asked = []
    tab.on("request", lambda request: asked.append(request.post_data or "") if request.method == "POST" else None)
    tab.evaluate("for (const id of ['quick-7', 'earlier', 'earlier', 'later']) document.getElementById(id).click()")
    expect(tab).to_have_url(re.compile(r"\?from=2013-07-07&to=2013-07-13$"))
    expect(tab.get_by_role("textbox", name="Last day")).to_have_value("2013-07-13")
    expect(tab.locator("#predictions-lead")).to_contain_text("2013-07-07 to 2013-07-13 (UTC): 168 hours")
    asked.clear()
    tab.get_by_role("button", name="Month").click()
    expect(tab.locator("#predictions-lead")).to_contain_text("720 hours")
    assert [sum(word in body for body in asked if '"tick"' not in body) for word in ("", "predictions-figures")] == [
        1,
        1,
    ]


def test_controls_work_on_while_no_click_has_been_answered(look):
    tab = look("/predictions?from=2013-06-01&to=2013-07-20")
    expect(tab.locator("#predictions-lead")).to_contain_text("1200 hours")
    release = hold_answers(tab)
    for name, address in STEPS:
        tab.get_by_role("button", name=name).click()
        expect(tab).to_have_url(re.compile(re.escape(address) + "$"))
    expect(tab.get_by_label("First day")).to_have_value("2013-08-18")
    tab.get_by_label("First day").fill("2013-08-30")
    tab.keyboard.press("Enter")
    expect(tab).to_have_url(re.compile(r"\?from=2013-08-30&to=2013-08-31$"))
    tab.go_back()
    expect(tab.get_by_label("First day")).to_have_value("2013-08-18")
    expect(tab.locator("#predictions-lead")).to_contain_text("1200 hours")
    assert release()
    expect(tab.locator("#predictions-lead")).to_contain_text("336 hours")
    expect(tab.get_by_label("First day")).to_have_value("2013-08-18")


def test_a_typed_day_is_taken_as_it_is_meant_or_refused_in_words(look):
    tab = look("/predictions?from=2013-06-01&to=2013-07-20")
    first, last = tab.get_by_label("First day"), tab.get_by_role("textbox", name="Last day")
    words = tab.locator("#range-words")
    expect(first).to_have_value("2013-06-01")
    for text, said in (
        ("2013-06-31", "Expected a day such as 2013-08-31, found '2013-06-31'."),
        ("07/01/2013", "found '07/01/2013'"),
        ("2012-05-01", "The data have no 2012-05-01; they reach from 2013-04-01 to 2013-08-31."),
        ("", "found ''"),
    ):
        first.fill(text)
        first.blur()
        expect(words).to_contain_text(said)
        expect(first).to_have_value("2013-06-01")
        expect(tab).to_have_url(re.compile(r"\?from=2013-06-01&to=2013-07-20$"))
    first.fill("01.07.2013")
    first.blur()
    expect(tab).to_have_url(re.compile(r"\?from=2013-07-01&to=2013-07-20$"))
    expect(words).to_be_empty()
    expect(first).to_have_value("2013-07-01")
    last.fill("2013-05-31")
    tab.keyboard.press("Enter")
    for back in (False, True):
        if back:
            tab.go_back()
            expect(first).to_have_value("2013-07-01")
            expect(last).to_have_value("2013-07-20")
            expect(tab.locator("#predictions-lead")).to_contain_text("2013-07-01 to 2013-07-20")
            tab.go_forward()
        expect(first).to_have_value("2013-05-12")
        expect(last).to_have_value("2013-05-31")
        expect(tab.locator("#predictions-lead")).to_contain_text("2013-05-12 to 2013-05-31 (UTC): 480 hours")


def test_an_address_that_was_typed_is_shown_cut_to_the_data_or_refused_with_the_reason(look, address):
    tab = look("/")
    for query, words in (
        ("?from=2031-01-01&to=2031-01-07", "The data have no day from 2031-01-01 to 2031-01-07; they reach from 2013-"),
        ("?from=2013-08-02&to=2013-08-01", "after its end on 2013-08-01"),
        ("?from=2013-06-31&to=2013-07-20", "found '2013-06-31'"),
    ):
        tab.goto(f"{address}/predictions{query}")
        expect(tab.locator("#predictions-empty")).to_contain_text(words)
    for name in ("First day", "Last day"):
        expect(tab.get_by_role("textbox", name=name)).to_have_value("")
    tab.get_by_role("button", name="Newest").click()
    drawn(tab, "series-solar_GW")
    tab.goto(f"{address}/predictions?from=2010-01-01&to=2013-04-10")
    expect(tab.locator("#range-words")).to_contain_text("The data reach from 2013-04-01 to 2013-08-31")
    expect(tab).to_have_url(re.compile(r"\?from=2013-04-01&to=2013-04-10$"))
    expect(tab.get_by_label("First day")).to_have_value("2013-04-01")
    tab.goto(f"{address}/model?beside=99")
    expect(tab.locator("#against")).to_contain_text("There is no version 99 to compare with production.")
    tab.goto(f"{address}/?days=300-400")
    expect(tab).to_have_url(f"{address}/")


def test_the_part_of_the_year_moves_with_the_keys_and_is_there_again_after_back_forward_and_reload(look):
    tab = look("/?days=122-152")
    drawn(tab, "years-solar_GW")
    expect(tab.locator("#years-solar_GW .xaxislayer-above")).to_contain_text("05-07")
    first = tab.get_by_role("slider", name="First day")
    first.focus()
    tab.keyboard.press("ArrowRight")
    expect(tab).to_have_url(re.compile(r"\?days=123-152$"))
    for step in (lambda: None, tab.go_back, tab.reload):
        if step == tab.go_back:
            tab.locator("nav").get_by_role("link", name="Model").click()
            expect(tab.get_by_role("heading", level=1)).to_have_text("Model")
        step()
        expect(first).to_have_attribute("aria-valuenow", "123")
        expect(tab).to_have_url(re.compile(r"\?days=123-152$"))
    tab.locator("nav").get_by_role("link", name="Overview").click()
    expect(first).to_have_attribute("aria-valuenow", "1")
    tab.go_back()
    expect(first).to_have_attribute("aria-valuenow", "123")


def test_the_page_says_that_the_dashboard_is_gone_and_catches_up_when_it_is_back(browser, way_in):
    with contextlib.closing(browser.new_page()) as tab:
        tab.goto(f"http://127.0.0.1:{way_in.port}/predictions")
        lead, problem = tab.locator("#predictions-lead"), tab.locator("#problem")
        expect(lead).to_contain_text("336 hours")
        way_in.cut()
        expect(problem).to_contain_text("The dashboard does not answer")
        tab.get_by_role("button", name="Week").click()
        expect(tab).to_have_url(re.compile(r"\?from=2013-08-25&to=2013-08-31$"))
        way_in.mend()
        expect(lead).to_contain_text("168 hours")
        expect(problem).to_be_empty()
        way_in.cut()
        expect(problem).to_contain_text("The dashboard does not answer")
        tab.locator("nav").get_by_role("link", name="Model").click()
        way_in.mend()
        expect(tab.locator("#card")).to_contain_text("wind_solar, version")


def test_the_model_page_has_the_card_another_version_beside_it_and_all_runs(look, production, keep):
    client = mlflow.MlflowClient()
    versions = [about.version for about in client.search_model_versions("name = 'wind_solar'")]
    others = [version for version in versions if version != production]
    version = client.get_model_version("wind_solar", production)
    run = client.get_run(version.run_id)
    tab = look(f"/model?beside={others[-1]}")
    card, against, beside = tab.locator("#card"), tab.locator("#against thead"), "Version beside it"
    for text in (
        f"wind_solar, version {production}",
        f"{float(version.tags['holdout_mae_wind_GW']):.3f}\u202fGW",
        data_title_of(run),
        "3_projects",
        *("Alias", "Trained", "Judged on", "Code", "Parameters", "Signature"),
    ):
        expect(card).to_contain_text(text)
    expect(card.locator("code", has_text="rad_horizontal").first).to_be_attached()
    link = card.get_by_role("link", name=version.run_id)
    expect(link).to_have_attribute("href", re.compile(f"/runs/{version.run_id}$"))
    expect(against).to_contain_text(f"Version {others[-1]}")
    tab.get_by_role("textbox", name=beside).click()
    tab.get_by_role("option", name=f"Version {others[0]} ").click()
    expect(tab).to_have_url(re.compile(rf"\?beside={others[0]}$"))
    expect(against).to_contain_text(f"Version {others[0]}")
    tab.go_back()
    expect(against).to_contain_text(f"Version {others[-1]}")
    expect(tab.get_by_role("textbox", name=beside)).to_have_value(re.compile(f"^Version {others[-1]} "))
    rows, search = tab.locator("#runs .ag-center-cols-container .ag-row"), tab.get_by_label("Search all columns")
    expect(rows.first).to_be_visible()
    before = rows.count()
    assert before >= 5
    search.fill(f"{datetime.fromtimestamp(run.info.start_time / 1000, UTC):%Y-%m-%d %H:%M:%S}")
    expect(rows.nth(before - 1)).to_have_count(0)  # some are gone; another run may have started in the same second
    expect(rows.locator(f'a[href$="/runs/{version.run_id}"]').first).to_be_visible()
    search.fill("")
    header = tab.locator("#runs .ag-header-cell", has_text="Holdout MAE, GW")
    header.locator(".ag-header-cell-label").click()
    expect(header).to_have_attribute("aria-sort", "ascending")
    keep(tab, "model")


def test_the_theme_follows_the_system_and_a_choice_is_remembered_but_paper_is_white_and_holds_every_figure(look, keep):
    tab = look("/predictions", color_scheme="dark")
    complete(tab, "/predictions")
    root, line = tab.locator("html"), tab.locator("#series-wind_GW .scatterlayer .trace path.js-line").first
    expect(root).to_have_attribute("data-mantine-color-scheme", "dark")
    expect(line).to_have_css("stroke", "rgb(86, 180, 233)")
    keep(tab, "predictions-dark")
    # Registered after the page's own, so it sees what the page has drawn for the paper.
    tab.evaluate("""() => addEventListener("beforeprint", () => {
        const part = (path) => [...document.querySelectorAll(path)];
        window.printed = {
            widths: part(".main-svg").map((svg) => svg.getBoundingClientRect().width),
            inks: [...new Set(part(".xtick text").map((text) => getComputedStyle(text).fill))],
        };
    })""")
    assert tab.pdf(format="A4").startswith(b"%PDF")
    printed = tab.evaluate("window.printed")
    assert set(printed["widths"]) == {320, 680}
    assert printed["inks"] == ["rgb(86, 93, 101)"]  # the light theme's
    expect(line).to_have_css("stroke", "rgb(86, 180, 233)")  # as before, on the screen
    tab.emulate_media(media="print")
    tab.set_viewport_size({"width": 718, "height": 1000})
    colours = "(body) => { const s = getComputedStyle(body); return [s.color, s.backgroundColor]; }"
    assert tab.locator("body").evaluate(colours) == ["rgb(28, 32, 36)", "rgb(255, 255, 255)"]
    for path in ("nav", ".controls", "#scheme"):
        expect(tab.locator(path).first).to_be_hidden()
    assert tab.locator("table").evaluate_all("(all) => Math.max(...all.map((one) => one.offsetWidth))") <= 680
    tab.emulate_media(media="screen", color_scheme="dark")
    tab.get_by_role("button", name="light and the dark theme").click()
    expect(root).to_have_attribute("data-mantine-color-scheme", "light")
    expect(line).to_have_css("stroke", "rgb(0, 114, 178)")
    tab.reload()
    expect(root).to_have_attribute("data-mantine-color-scheme", "light")


def test_a_phone_shows_every_page_without_scrolling_sideways(look, keep):
    tab = look("/", width=390, height=844, has_touch=True)
    for path, name in PAGES.items():
        link = tab.locator("nav").get_by_role("link", name=name, exact=True)
        expect(link).to_be_in_viewport(ratio=1)
        link.tap()
        expect(tab.get_by_role("heading", level=1)).to_have_text(name)
        complete(tab, path)
        assert tab.evaluate("document.documentElement.scrollWidth") == 390
        keep(tab, f"phone-{name.lower().replace(' ', '-')}")


def test_the_keyboard_gets_past_the_header_and_to_every_page(look):
    tab = look("/")
    drawn(tab, "years-wind_GW")
    tab.keyboard.press("Tab")
    expect(tab.get_by_role("link", name="To the content")).to_be_focused()
    tab.keyboard.press("Enter")
    expect(tab.get_by_role("main")).to_be_focused()
    tab.reload()
    drawn(tab, "years-wind_GW")
    for _ in range(4):
        tab.keyboard.press("Tab")
    expect(tab.locator("nav").get_by_role("link", name="Predictions")).to_be_focused()
    tab.keyboard.press("Enter")
    expect(tab.get_by_role("heading", level=1, name="Predictions")).to_be_focused()
    expect(tab.get_by_label("First day")).to_have_value("2013-08-18")
    tab.keyboard.press("Tab")
    expect(tab.get_by_label("First day")).to_be_focused()


def test_no_rule_of_the_style_sheet_reaches_into_components_by_the_name_of_an_element(root):
    style = re.sub(r"/\*.*?\*/", "", (root / "dashboard" / "assets" / "style.css").read_text(), flags=re.S)
    selectors = re.findall(r"(?:^|[{}])\s*([^@{}]+?)\s*(?=\{)", style)
    assert len(selectors) > 50
    assert [selector for selector in selectors if not re.search(r"[.#\[:*]|^(html|body)$", selector)] == []


def test_no_popover_menu_or_tooltip_is_wider_than_the_window(look, address):
    tab = look("/")
    for path, graphs in (("/", ["years"]), ("/predictions", ["series", "calendar", "scatter"]), ("/model", [])):
        tab.goto(address + path)
        complete(tab, path)
        for width in (390, 1024, 1440):
            tab.set_viewport_size({"width": width, "height": 900})
            for graph in graphs:
                hover(tab, f"{graph}-wind_GW")
                floating(tab, width)
            for field in {"/predictions": ["First day", "Last day"], "/model": ["Version beside it"]}.get(path, []):
                tab.get_by_role("textbox", name=field).click()
                floating(tab, width)
                tab.keyboard.press("Escape")
            if path == "/model":
                tab.locator("#runs .ag-header-cell-filter-button").first.click()
                floating(tab, width)
                tab.keyboard.press("Escape")


@pytest.mark.parametrize("path", PAGES)
def test_what_has_the_focus_is_never_hidden_and_each_column_of_a_table_has_its_name(look, path):
    tab = look(path)
    complete(tab, path)
    if path == "/model":
        expect(tab.locator("#against th").first).to_be_visible()
    assert [text for text in tab.locator("th").all_text_contents() if not text.strip()] == []
    seen = """() => {
        const one = document.activeElement, box = one.getBoundingClientRect();
        const left = Math.max(box.left, 0), right = Math.min(box.right, innerWidth);
        const top = Math.max(box.top, 0), bottom = Math.min(box.bottom, innerHeight);
        const hit = document.elementFromPoint((left + right) / 2, (top + bottom) / 2);
        return hit && (one.contains(hit) || hit.contains(one));
    }"""
    fixed = """() => [...document.querySelectorAll("body *")].map(
        (part) => /fixed|sticky/.test(getComputedStyle(part).position) ? part.getBoundingClientRect().height : 0)"""
    for width, height in ((390, 844), (320, 256)):  # a phone; 1280 x 1024 at 400 %
        tab.set_viewport_size({"width": width, "height": height})
        tab.locator("main h1").focus()
        for _ in range(25):
            tab.keyboard.press("Tab")
            tab.wait_for_function(seen)  # a popover takes a moment to close
        assert sum(tab.evaluate(fixed)) <= height / 10


def test_tooltips_have_a_time_a_unit_and_a_real_minus(look):
    tab = look("/predictions")
    complete(tab, "/predictions")
    hover(tab, "scatter-wind_GW")
    expect(tab.locator("#scatter-wind_GW .hoverlayer")).to_contain_text(re.compile(r"\d{4}-\d\d-\d\d \d\d:00 UTC"))
    text = re.compile(r"error : [+−]\d+\.\d\d GW")
    box = tab.locator("#series-wind_GW .nsewdrag").first.bounding_box()
    signs = set()
    for share in range(5, 95, 5):
        tab.locator("#series-wind_GW .nsewdrag").first.hover(
            position={"x": box["width"] * share / 100, "y": box["height"] / 2}
        )
        tooltip = tab.locator("#series-wind_GW .hoverlayer")
        expect(tooltip).to_contain_text(text)
        signs.add(re.search(r"error : (.)", tooltip.text_content())[1])
    assert signs == {"+", "−"}


def test_the_documented_command_makes_the_picture_of_the_readme(address, root):
    OUTPUT.mkdir(parents=True, exist_ok=True)
    picture = OUTPUT / "readme.png"
    picture.unlink(missing_ok=True)
    command = [sys.executable, root / "dashboard" / "screenshot.py", "--address", address, "--output", picture]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert picture.read_bytes().startswith(b"\x89PNG")
