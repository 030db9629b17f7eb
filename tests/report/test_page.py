import re

import pytest

from report import summary
from report.render import Renderer
from report.week import first_hour, hours_of
from report.week_statistics import week_statistics

WEEK = first_hour("2016-W20")


@pytest.fixture(scope="module")
def page(make_table, make_inputs, made_at):
    """Return a function that makes the page of a week of a table, by default of four years."""

    def make(table=None, start=WEEK, ranges=False, **changes) -> str:
        inputs = make_inputs(table or make_table("2013-01-01", "2016-12-31 23:00", "2016-01-01"), ranges, **changes)
        return Renderer(inputs).page(week_statistics(inputs, start), made_at)

    return make


@pytest.fixture(scope="module")
def plain(page) -> str:
    return page()


@pytest.fixture(scope="module")
def ranged(page) -> str:
    return page(ranges=True)


def outline(page: str) -> list[tuple[str, dict[str, str]]]:
    """Return the tags of a page with their attributes."""
    tags = re.findall(r"<(\w+)((?:\s[^<>]*)?)>", page)
    return [(tag, dict(re.findall(r'([\w-]+)="([^"]*)"', attributes))) for tag, attributes in tags]


def every(page: str, *names: str) -> list[dict[str, str]]:
    return [attributes for tag, attributes in outline(page) if tag in names]


def test_the_same_inputs_make_the_same_page_in_any_order(table, make_inputs, made_at, ranged):
    inputs = make_inputs(table, True)
    renderer = Renderer(inputs)
    for name in ("2016-W21", "2016-W20"):
        last = renderer.page(week_statistics(inputs, first_hour(name)), made_at)
    assert last == ranged
    again = renderer.page(week_statistics(inputs, WEEK), made_at.replace(year=2020)).splitlines()
    assert [line for line, other in zip(last.splitlines(), again, strict=True) if line != other] == [
        line for line in last.splitlines() if "Report made" in line
    ]


def test_the_page_needs_nothing_from_outside_and_says_in_text_what_its_figures_and_tables_show(ranged):
    assert every(ranged, "script", "link", "img", "use") == []
    ids = [attributes["id"] for _, attributes in outline(ranged) if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert not [attributes for tag, attributes in outline(ranged) if tag != "a" and "href" in attributes]
    assert "url(" not in ranged
    drawings = every(ranged, "svg")
    assert len(drawings) == 6
    for drawing in drawings:
        assert drawing["role"] == "img"
        assert re.match(r"Line chart\. (Solar|Wind), ", drawing["aria-label"])
        assert "nan" not in drawing["aria-label"]
    assert {attributes["scope"] for attributes in every(ranged, "th")} == {"col", "row", "colgroup"}
    assert len(every(ranged, "caption")) == 3
    assert 'html lang="en"' in ranged
    assert len(ranged.encode()) < 150_000  # small enough for a mail


def test_every_prediction_says_what_weather_it_is_made_from(table, plain, make_inputs):
    labels = [svg["aria-label"] for svg in every(plain, "svg")]
    said = re.findall(r"<h2>.*?</h2>|<figcaption>.*?</figcaption>|<p>.*?</p>", plain) + labels
    said += summary.letter(week_statistics(make_inputs(table), WEEK), "made up", "model").split("\n\n")
    made = [part for part in said if re.search(r"(?i)the model (predicts|was off)|predicted (from|for|\d)", part)]
    assert len(made) == 11
    assert [part for part in made if "recorded weather" not in part] == []
    assert "its errors leave out those of a weather forecast" in plain


def test_a_range_is_drawn_and_counted_if_the_model_gives_one(plain, ranged):
    assert ranged.count("#cccccc") == plain.count("#cccccc") + 4
    for words in ("Hours inside the range", "range that should contain"):
        assert words in ranged
        assert words not in plain


def test_filled_in_hours_leave_a_gap_in_the_line(table, page, plain):
    table.frame.loc[hours_of(table.frame, WEEK).index[50:60], "repaired"] = True
    line = r'<path d="([^"]*)" style="fill: none; stroke: #0072b2; stroke-width: 2.2'
    assert [re.search(line, text)[1].count("M") for text in (plain, page(table))] == [1, 2]


def test_the_weeks_at_the_ends_and_the_odd_ones_have_a_page(table, make_inputs, made_at):
    inputs = make_inputs(table)
    renderer = Renderer(inputs)
    for week in ("2013-W01", "2015-W53", "2016-W12", "2016-W51", "2016-W52"):
        text = renderer.page(week_statistics(inputs, first_hour(week)), made_at)
        assert f"week {week}</h1>" in text
        assert ">nan" not in text


def test_another_subject_needs_no_change_of_the_report(table, page):
    subject = table.frame.attrs["subject"]
    subject["place"] = "Utopia"
    subject["columns"][0] |= {"title": "Trains", "unit": "thousand"}
    text = page(table)
    assert "<h1>Trains and wind in Utopia, week 2016-W20</h1>" in text
    assert re.search(r"<p>Trains: [\d.]+ thousand on average\.", text)
    assert "solar" not in text.lower().partition("where this comes from")[0]


def test_no_password_of_an_address_is_in_the_page_or_its_links(table, page, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://ann:s3cret@127.0.0.1:5000")
    table.frame.attrs["subject"]["title"] = "fetched from https://ann:s3cret@example.org/data.csv"
    text = page(table, data_title="ftp://ann:s3cret@example.org", packages=("x @ git+https://t0ken@example.org/x",))
    assert "s3cret" not in text
    assert "t0ken" not in text
    assert "https://example.org/data.csv" in text
    assert 'href="http://127.0.0.1:5000/#/models/wind_solar/versions/3"' in text
    assert f'href="http://127.0.0.1:5000/#/experiments/7/runs/{"0123456789abcdef" * 2}"' in text


def test_text_from_outside_is_text_and_a_database_is_not_a_link(table, page, monkeypatch, tmp_path):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'x.db'}")
    table.frame.attrs["subject"]["title"] = '<script>alert("1")</script>'
    text = page(table)
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert every(text, "a") == []
    assert f"sqlite:///{tmp_path / 'x.db'}" in text


def test_model_data_and_code_are_named(plain, page):
    for words in ("wind_solar, version 3, alias production (made up)", "d" * 32, "f" * 64, "c0ffee" * 6):
        assert words in plain
    assert "scikit-learn==1.9.1" in plain
    assert "2017-01-02 06:00 UTC" in plain
    unknown = page(training=None)
    assert "not in a git repository" in unknown
    assert "not stated" in unknown


def test_the_page_fits_a_phone_a_screen_and_paper(ranged, chromium, tmp_path, root):
    from playwright.sync_api import sync_playwright

    path = tmp_path / "page.html"
    path.write_text(ranged, encoding="utf-8")
    asked, problems = [], []
    shots = root / "tests" / "output"
    shots.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for name, width in (("screen", 1200), ("phone", 390), ("narrow", 320)):
            tab = browser.new_page(viewport={"width": width, "height": 800})
            tab.on("request", lambda request: asked.append(request.url))
            tab.on("console", lambda message: problems.append(message.text))
            tab.goto(path.as_uri())
            assert tab.evaluate("document.documentElement.scrollWidth") <= width, name
            for drawing in tab.locator("svg").all():
                box = drawing.bounding_box()
                assert 250 < box["width"] <= width
                assert box["height"] > 100
            assert tab.get_by_role("img", name="Wind, week 2016-W20").count() == 1
            tab.screenshot(path=shots / f"report_{name}.png", full_page=True)
        paper = tab.pdf(prefer_css_page_size=True)
        browser.close()
    assert asked == [path.as_uri()] * 3
    assert problems == []
    assert len(re.findall(rb"/Type\s*/Page\b", paper)) <= 4
