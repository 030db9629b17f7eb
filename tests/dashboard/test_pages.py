import contextlib
import http.client
import re
import subprocess
import sys
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from playwright.sync_api import expect
from servers import opener
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

PAGES = {"/": "Overview", "/predictions": "Predictions", "/model": "Model", "/next-days": "Next days"}
TARGETS = ["solar_GW", "wind_GW"]
OUTPUT = Path(__file__).resolve().parents[1] / "output" / "dashboard"


def drawn(tab, *graphs):
    """Wait until each of the graphs has lines, points or cells."""
    for graph in graphs:
        expect(tab.locator(f"#{graph} :is(.scatterlayer .trace, .heatmaplayer image)").first).to_be_attached()


def measures(tab) -> dict[str, list[str]]:
    """Return the table of measures: the cells of solar and of wind by the name of the measure."""
    rows = tab.locator("#measures-table tbody tr")
    expect(rows).to_have_count(7)
    cells = [[text.strip() for text in rows.nth(row).locator("th, td").all_text_contents()] for row in range(7)]
    return {name: values for name, *values, _ in cells}


def test_every_page_has_its_heading_and_its_place_in_the_navigation(look, keep):
    tab = look("/")
    for path, name in PAGES.items():
        tab.locator("nav").get_by_role("link", name=name, exact=True).click()
        expect(tab.get_by_role("heading", level=1)).to_have_text(name)
        expect(tab).to_have_title(f"{name} · Wind and solar power in Germany")
        expect(tab.locator("nav a[aria-current=page]")).to_have_text(name)
        assert tab.url.endswith(path)


def test_a_page_that_is_not_there_leads_to_those_that_are(look):
    tab = look("/nothing")
    expect(tab.locator("main")).to_contain_text("There is nothing at /nothing")
    tab.locator("main").get_by_role("link", name="Model").click()
    expect(tab.get_by_role("heading", level=1)).to_have_text("Model")


def test_every_page_says_where_its_data_come_from_and_how_far_they_reach(look, address):
    tab = look("/")
    for path in PAGES:
        tab.goto(address + path)
        footer = tab.get_by_role("contentinfo")
        expect(footer).to_contain_text("Simulated sample")
        expect(footer).to_contain_text("2013-04-01 00:00 to 2013-08-31 23:00 UTC")
        expect(footer).to_contain_text("Live data off")


def test_the_overview_shows_now_the_years_records_and_repairs(look, small_csv, keep):
    tab = look("/")
    series = pd.read_csv(small_csv)
    drawn(tab, "years-solar_GW", "years-wind_GW")
    panel = tab.locator("#now .wind_GW")
    expect(panel).to_contain_text(f"{series['wind_GW'].iloc[-1]:.2f}\u202fGW")
    expect(panel).to_contain_text("No former year in the data has all of these hours.")
    highest = tab.get_by_role("row", name="Wind, highest hour")
    expect(highest).to_contain_text(f"{series['wind_GW'].max():.2f}\u202fGW")
    expect(tab.locator("#repairs")).to_contain_text(f"0 of {len(series)} hours")
    keep(tab, "overview")
    highest.get_by_role("link").click()
    expect(tab.get_by_role("heading", level=1)).to_have_text("Predictions")
    expect(tab.locator("#predictions-lead")).to_contain_text("168 hours")


def test_the_range_slider_moves_with_the_keys_and_its_link_shows_the_same(look, address):
    tab = look("/")
    drawn(tab, "years-solar_GW")
    tab.get_by_role("slider", name="First day").focus()
    for _ in range(3):
        tab.keyboard.press("ArrowRight")
    expect(tab).to_have_url(re.compile(r"\?days=4-366$"))
    other = look("/?days=122-152")
    drawn(other, "years-solar_GW")
    expect(other.locator("#years-solar_GW .xaxislayer-above")).to_contain_text("05-07")


def test_recorded_and_predicted_are_drawn_with_the_error_a_calendar_and_a_scatter(look, keep):
    tab = look("/predictions")
    drawn(tab, *(f"{kind}-{target}" for kind in ("series", "calendar", "scatter") for target in TARGETS))
    expect(tab.locator("#predictions-lead")).to_contain_text("2013-08-18 to 2013-08-31 (UTC): 336 hours, hourly")
    expect(tab.locator("#series-wind_GW .scatterlayer .trace")).to_have_count(3)
    keep(tab, "predictions")


def test_the_measures_are_those_of_exactly_the_range_that_the_csv_has(look):
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


def test_on_the_holdout_the_page_says_what_the_registry_said(look, production):
    tags = mlflow.MlflowClient().get_model_version("wind_solar", production).tags
    first, last = tags["judged_on"].split(", ")[-1].split(" to ")
    shown = measures(look(f"/predictions?from={first}&to={last}"))
    for place, target in enumerate(TARGETS):
        mae = float(shown["MAE"][place].removesuffix("\u202fGW"))
        assert mae == pytest.approx(float(tags[f"holdout_mae_{target}"]), abs=0.0051)


def test_every_control_of_the_range_leads_to_an_address_that_says_it(look):
    tab = look("/predictions?from=2013-06-01&to=2013-07-20")
    steps = [
        ("Week", "?from=2013-07-14&to=2013-07-20"),
        ("Earlier, by the length of the range", "?from=2013-07-07&to=2013-07-13"),
        ("Later, by the length of the range", "?from=2013-07-14&to=2013-07-20"),
        ("Month", "?from=2013-06-21&to=2013-07-20"),
        ("Year", "?from=2013-04-01&to=2013-07-20"),
        ("Newest", "/predictions"),
    ]
    expect(tab.get_by_label("First day")).to_have_value("2013-06-01")
    for name, address in steps:
        tab.get_by_role("button", name=name).click()
        expect(tab).to_have_url(re.compile(re.escape(address) + "$"))
    expect(tab.get_by_label("First day")).to_have_value("2013-08-18")
    tab.get_by_label("First day").fill("2013-08-30")
    tab.keyboard.press("Enter")
    expect(tab).to_have_url(re.compile(r"\?from=2013-08-30&to=2013-08-31$"))
    expect(tab.locator("#predictions-lead")).to_contain_text("48 hours")
    tab.go_back()
    expect(tab.locator("#predictions-lead")).to_contain_text("336 hours")


def test_a_day_of_the_calendar_is_chosen_by_a_click(look):
    tab = look("/predictions?from=2013-06-01&to=2013-07-20")
    expect(tab.get_by_label("First day")).to_have_value("2013-06-01")
    tab.get_by_label("First day").click()
    tab.get_by_role("button", name="11 June 2013", exact=True).click()
    expect(tab).to_have_url(re.compile(r"\?from=2013-06-11&to=2013-07-20$"))


def test_a_change_of_the_range_is_computed_once(look):
    tab = look("/predictions")
    drawn(tab, "scatter-wind_GW")
    asked = []
    tab.on("request", lambda request: asked.append(request.post_data or "") if request.method == "POST" else None)
    tab.get_by_role("button", name="Week").click()
    expect(tab.locator("#predictions-lead")).to_contain_text("168 hours")
    tab.get_by_role("button", name="Month").click()
    expect(tab.locator("#predictions-lead")).to_contain_text("720 hours")
    assert sum("predictions-figures" in body for body in asked) == 2
    assert sum('"tick"' not in body for body in asked) == 2


def test_a_long_range_is_drawn_as_daily_means(look):
    tab = look("/predictions?from=2013-04-01&to=2013-08-31")
    expect(tab.locator("#predictions-lead")).to_contain_text("daily means")
    expect(tab.locator("#measures")).to_contain_text("The model has learnt from")


def test_a_link_to_a_range_that_can_not_be_shown_says_why_and_goes_on(look, address):
    tab = look("/")
    for query, words in (
        ("?from=2031-01-01&to=2031-01-07", "The data hold no day from 2031-01-01 to 2031-01-07; they reach from 2013-"),
        ("?from=yesterday", "found 'yesterday'"),
        ("?from=2013-08-02&to=2013-08-01", "after its end on 2013-08-01"),
    ):
        tab.goto(f"{address}/predictions{query}")
        expect(tab.locator("#predictions-empty")).to_contain_text(words)
    tab.get_by_role("button", name="Newest").click()
    drawn(tab, "series-solar_GW")


def test_the_card_tells_all_of_the_model_in_production(look, production, keep):
    client = mlflow.MlflowClient()
    version = client.get_model_version("wind_solar", production)
    run = client.get_run(version.run_id)
    tab = look("/model")
    card = tab.locator("#card")
    expect(card).to_contain_text(f"wind_solar, version {production}")
    expect(card).to_contain_text(f"{float(version.tags['holdout_mae_wind_GW']):.3f}\u202fGW")
    expect(card).to_contain_text(run.data.tags["source"])
    expect(card).to_contain_text("3_projects")
    expect(card.locator("code", has_text="rad_horizontal").first).to_be_attached()
    for name in ("Alias", "Trained", "Judged on", "Code", "Parameters", "Signature"):
        expect(card).to_contain_text(name)
    expect(card.get_by_role("link", name=version.run_id)).to_have_attribute(
        "href", re.compile(f"/runs/{version.run_id}$")
    )
    expect(tab.locator("#runs .ag-row").first).to_be_visible()
    keep(tab, "model")


def test_another_version_can_be_put_beside_production_and_sent_as_a_link(look, production):
    versions = [about.version for about in mlflow.MlflowClient().search_model_versions("name = 'wind_solar'")]
    others = [version for version in versions if version != production]
    tab = look(f"/model?beside={others[-1]}")
    expect(tab.locator("#against thead")).to_contain_text(f"Version {others[-1]}")
    tab.get_by_role("textbox", name="Version beside it").click()
    tab.get_by_role("option", name=f"Version {others[0]} ").click()
    expect(tab).to_have_url(re.compile(rf"\?beside={others[0]}$"))
    expect(tab.locator("#against thead")).to_contain_text(f"Version {others[0]}")


def test_the_runs_can_be_sorted_searched_and_followed_into_mlflow(look, production):
    run_id = mlflow.MlflowClient().get_model_version("wind_solar", production).run_id
    tab = look("/model")
    rows = tab.locator("#runs .ag-center-cols-container .ag-row")
    expect(rows.first).to_be_visible()
    assert rows.count() >= 5
    tab.get_by_label("Search all columns").fill("production")
    expect(rows).to_have_count(1)
    expect(rows.locator("a").first).to_have_attribute("href", re.compile(f"/runs/{run_id}$"))
    tab.get_by_label("Search all columns").fill("")
    header = tab.locator("#runs .ag-header-cell", has_text="Holdout MAE")
    header.locator(".ag-header-cell-label").click()
    expect(header).to_have_attribute("aria-sort", "ascending")


def test_the_theme_follows_the_system_and_a_choice_is_remembered(look, keep):
    tab = look("/predictions", color_scheme="dark")
    drawn(tab, "series-wind_GW")
    root = tab.locator("html")
    expect(root).to_have_attribute("data-mantine-color-scheme", "dark")
    line = tab.locator("#series-wind_GW .scatterlayer .trace path.js-line").first
    expect(line).to_have_css("stroke", "rgb(86, 180, 233)")
    keep(tab, "predictions-dark")
    tab.get_by_role("button", name="light and the dark theme").click()
    expect(root).to_have_attribute("data-mantine-color-scheme", "light")
    expect(line).to_have_css("stroke", "rgb(0, 114, 178)")
    tab.reload()
    expect(root).to_have_attribute("data-mantine-color-scheme", "light")


def test_a_phone_shows_every_page_without_scrolling_sideways(look, keep):
    tab = look("/", width=390, height=844, has_touch=True)
    graphs = {"/": ["years-wind_GW"], "/predictions": ["scatter-wind_GW"]}
    for path, name in PAGES.items():
        link = tab.locator("nav").get_by_role("link", name=name, exact=True)
        expect(link).to_be_in_viewport(ratio=1)
        link.tap()
        expect(tab.get_by_role("heading", level=1)).to_have_text(name)
        drawn(tab, *graphs.get(path, []))
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
    tab.keyboard.press("Tab")
    expect(tab.get_by_label("First day")).to_be_focused()


def test_a_reader_of_the_screen_finds_landmarks_and_words_for_every_figure(look):
    tab = look("/predictions")
    for role in ("banner", "main", "contentinfo"):
        expect(tab.get_by_role(role)).to_have_count(1)
    expect(tab.get_by_role("navigation", name="Pages")).to_have_count(1)
    assert tab.locator("html").get_attribute("lang") == "en"
    drawn(tab, "scatter-wind_GW")
    figures = tab.locator("figure")
    assert figures.count() == 6
    for figure in figures.all():
        picture = figure.get_by_role("img").first
        expect(picture).to_have_accessible_name(re.compile("Solar|Wind"))
        expect(picture).to_have_accessible_description(re.compile(r"GW"))


def test_the_answers_forbid_other_hosts_and_frames(address):
    with opener.open(address) as answer:
        policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe-eval" not in policy
    assert "'unsafe-inline'" not in policy.split("script-src")[1].split(";")[0]


def test_the_csv_of_a_range_that_is_not_there_is_refused_in_one_line(address):
    connection = http.client.HTTPConnection(address.removeprefix("http://"))
    with contextlib.closing(connection):
        connection.request("GET", "/predictions.csv?from=../../etc/passwd")
        answer = connection.getresponse()
        assert answer.status == 400
        said = "Expected a day such as 2013-08-31 after from= in the address, found '../../etc/passwd'.\n"
        assert answer.read().decode() == said


def test_the_documented_command_makes_the_picture_of_the_readme(address, root):
    OUTPUT.mkdir(parents=True, exist_ok=True)
    picture = OUTPUT / "readme.png"
    picture.unlink(missing_ok=True)
    command = [sys.executable, root / "dashboard" / "screenshot.py", "--address", address, "--output", picture]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert picture.read_bytes().startswith(b"\x89PNG")
