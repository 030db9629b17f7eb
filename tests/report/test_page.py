import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest

from report.facts import measure
from report.production import without_password
from report.render import Renderer
from report.week import first_hour, hours_of

WEEK = first_hour("2016-W20")


@pytest.fixture
def page(make_basis, made_at):
    """Return a function that makes the page of a week of a table."""

    def make(table, start=WEEK, ranges=False, **changes) -> str:
        basis = make_basis(table, ranges, **changes)
        return Renderer(basis).page(measure(basis, start), made_at)

    return make


class Outline(HTMLParser):
    """What is in a page: tags with their attributes."""

    def __init__(self, page: str):
        super().__init__()
        self.tags = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def all(self, name: str) -> list[dict]:
        return [attributes for tag, attributes in self.tags if tag == name]


def test_the_same_inputs_make_the_same_page_in_any_order_and_in_another_process(table, make_basis, made_at, page):
    basis = make_basis(table, True)
    renderer = Renderer(basis)
    pages = {name: renderer.page(measure(basis, first_hour(name)), made_at) for name in ("2016-W20", "2016-W21")}
    for name in reversed(pages):
        assert page(table, first_hour(name), ranges=True) == pages[name]
    code = (
        "import sys; sys.path[:0] = ['server', 'tests/report']; import conftest as c\n"
        "from report.basis import Source, prepare; from report.facts import measure;\n"
        "from report.render import Renderer; from report.week import first_hour\n"
        "t = c.made_up('2013-01-01', '2016-12-31 23:00', '2016-01-01')\n"
        "s = Source(c.production(t, True), t, 'd' * 32, 'f' * 64, '7', (t['split'] != 'holdout').to_numpy())\n"
        "b = prepare(s); print(Renderer(b).page(measure(b, first_hour('2016-W20')), c.MADE_AT))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.rstrip("\n") == pages["2016-W20"].rstrip("\n")


def test_only_the_time_of_making_differs_if_a_page_is_made_again(table, make_basis, made_at):
    basis = make_basis(table)
    first, second = (
        Renderer(basis).page(measure(basis, WEEK), at).splitlines() for at in (made_at, made_at.replace(year=2020))
    )
    assert [line for line, other in zip(first, second, strict=True) if line != other] == [
        line for line in first if "Report made" in line
    ]


def test_the_page_has_no_script_nothing_from_outside_and_no_id_twice(table, page):
    outline = Outline(page(table, ranges=True))
    assert outline.all("script") + outline.all("link") + outline.all("img") + outline.all("use") == []
    ids = [attributes["id"] for _, attributes in outline.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert not [attributes for tag, attributes in outline.tags if tag != "a" and "href" in attributes]
    assert "url(" not in page(table)


def test_figures_say_what_they_show_and_tables_have_headers(table, page):
    text = page(table)
    outline = Outline(text)
    drawings = outline.all("svg")
    assert len(drawings) == 6
    for drawing in drawings:
        assert drawing["role"] == "img"
        assert re.match(r"Line chart\. (Solar|Wind), ", drawing["aria-label"])
        assert "nan" not in drawing["aria-label"]
    assert {attributes["scope"] for attributes in outline.all("th")} == {"col", "row", "colgroup"}
    assert len(outline.all("caption")) == 3
    assert 'html lang="en"' in text


def test_a_range_is_drawn_and_counted_if_the_model_gives_one(table, page):
    with_range, without = page(table, ranges=True), page(table)
    assert with_range.count("#cccccc") == without.count("#cccccc") + 4
    assert "Hours inside the range" in with_range
    assert "should be in here" in with_range
    assert "Hours inside the range" not in without
    assert "should be in here" not in without


def test_filled_in_hours_leave_a_gap_in_the_line(table, page):
    whole = page(table)
    table.loc[hours_of(table, WEEK).index[50:60], "repaired"] = True
    broken = page(table)
    line = r'<path d="([^"]*)" style="fill: none; stroke: #0072b2; stroke-width: 2.2'
    assert re.search(line, whole)[1].count("M") == 1
    assert re.search(line, broken)[1].count("M") == 2


@pytest.mark.parametrize("week", ["2013-W01", "2015-W53", "2016-W12", "2016-W51", "2016-W52"])
def test_the_weeks_at_the_ends_and_the_odd_ones_have_a_page(week, table, page):
    text = page(table, first_hour(week))
    assert f"week {week}</h1>" in text
    assert ">nan" not in text


def test_no_password_of_an_address_is_in_the_page_or_its_links(table, page, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://ann:s3cret@127.0.0.1:5000")
    table.attrs["source"] = "fetched from https://ann:s3cret@example.org/data.csv"
    text = page(table, trained_on="ftp://ann:s3cret@example.org", packages=("x @ git+https://t0ken@example.org/x",))
    assert "s3cret" not in text
    assert "t0ken" not in text
    assert "https://example.org/data.csv" in text
    assert 'href="http://127.0.0.1:5000/#/models/wind_solar/versions/3"' in text
    assert 'href="http://127.0.0.1:5000/#/experiments/7/runs/0123456789abcdef0123456789abcdef"' in text
    assert without_password("a@b, no address") == "a@b, no address"


def test_text_from_outside_is_text_and_a_database_is_no_link(table, page, monkeypatch, tmp_path):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'x.db'}")
    table.attrs["source"] = '<script>alert("1")</script>'
    text = page(table)
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert Outline(text).all("a") == []


def test_model_data_and_code_are_named(table, page):
    text = page(table)
    for words in ("wind_solar, version 3, alias production (made up)", "d" * 32, "f" * 64, "c0ffee" * 6):
        assert words in text
    assert "scikit-learn==1.9.1" in text
    assert "2017-01-02 06:00 UTC" in text
    assert "not in a git repository" in page(table, commit="")


def test_a_page_is_small_enough_for_a_mail(table, page):
    assert len(page(table, ranges=True).encode()) < 150_000


def test_the_page_fits_a_phone_a_screen_and_paper(table, page, chromium, tmp_path, root):
    from playwright.sync_api import sync_playwright

    path = tmp_path / "page.html"
    path.write_text(page(table, ranges=True), encoding="utf-8")
    asked, problems = [], []
    shots = root / "tests" / "output"
    shots.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for name, width in (("screen", 1200), ("phone", 390), ("narrow", 320)):
            tab = browser.new_page(viewport={"width": width, "height": 800}, java_script_enabled=True)
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
