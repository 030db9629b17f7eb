"""How the pages look, in windows of three widths, at 400 % zoom and on paper."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

# What is there last on each page.
PAGES = {
    "/": "#years-wind_GW .scatterlayer .trace",
    "/predictions": "#scatter-wind_GW .scatterlayer .trace",
    "/model": "#runs .ag-row",
    "/next-days": "main .empty",
}
# Everything that floats above a page: Mantine's popovers, the grid's menus and tooltips, the figures' tooltips.
FLOATING = ".mantine-Popover-dropdown, .ag-popup-child, .ag-tooltip, .hoverlayer .hovertext, .hoverlayer .legend"


def drawn(tab, path: str) -> None:
    """Wait until all of a page is there."""
    expect(tab.locator(PAGES[path]).first).to_be_attached()


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


def test_no_rule_of_the_style_sheet_reaches_into_components_by_the_name_of_an_element(root):
    style = re.sub(r"/\*.*?\*/", "", (root / "dashboard" / "assets" / "style.css").read_text(), flags=re.S)
    selectors = re.findall(r"(?:^|[{}])\s*([^@{}]+?)\s*(?=\{)", style)
    assert len(selectors) > 50
    assert [selector for selector in selectors if not re.search(r"[.#\[:*]|^(html|body)$", selector)] == []


def test_no_popover_menu_or_tooltip_is_wider_than_the_window(look, address):
    tab = look("/")
    for path, graphs in (("/", ["years"]), ("/predictions", ["series", "calendar", "scatter"]), ("/model", [])):
        tab.goto(address + path)
        drawn(tab, path)
        for width in widths(tab):
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


def widths(tab) -> Iterator[int]:
    """Give the window one width after the other."""
    for width in (390, 1024, 1440):
        tab.set_viewport_size({"width": width, "height": 900})
        yield width


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
        tab.wait_for_timeout(300)
        if tab.locator(f"#{graph} .hoverlayer > *").count():
            return


@pytest.mark.parametrize("path", PAGES)
def test_what_has_the_focus_is_never_hidden_and_each_column_of_a_table_has_its_name(look, path):
    tab = look(path)
    drawn(tab, path)
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
    for width, height in ((390, 844), (640, 400), (320, 256)):  # a phone; 1280 x 800 at 200 %; 1280 x 1024 at 400 %
        tab.set_viewport_size({"width": width, "height": height})
        tab.locator("main h1").focus()
        for _ in range(25):
            tab.keyboard.press("Tab")
            tab.wait_for_function(seen)  # a popover takes a moment to close
        assert sum(tab.evaluate(fixed)) <= height / 10


def test_tooltips_have_a_time_a_unit_and_a_real_minus(look):
    tab = look("/predictions")
    drawn(tab, "/predictions")
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


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_paper_is_white_and_holds_every_figure_whole(look, theme):
    tab = look("/predictions", color_scheme=theme)
    drawn(tab, "/predictions")
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
    ink = "rgb(163, 171, 179)" if theme == "dark" else "rgb(86, 93, 101)"
    expect(tab.locator("#series-wind_GW .xtick text").first).to_have_css("fill", ink)  # as before, on the screen
    tab.emulate_media(media="print")
    tab.set_viewport_size({"width": 718, "height": 1000})
    look_of = (
        "(path) => { const s = getComputedStyle(document.querySelector(path)); return [s.color, s.backgroundColor]; }"
    )
    assert tab.evaluate(look_of, "body") == ["rgb(28, 32, 36)", "rgb(255, 255, 255)"]
    for path in ("nav", ".controls", "#scheme"):
        expect(tab.locator(path).first).to_be_hidden()
    assert tab.locator("table").evaluate_all("(all) => Math.max(...all.map((one) => one.offsetWidth))") <= 680
