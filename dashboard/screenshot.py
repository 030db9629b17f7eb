"""Make the README's picture from a dashboard that runs.

    python dashboard/screenshot.py
    python dashboard/screenshot.py --address http://127.0.0.1:8050 --page /model --theme dark --output model.png

It needs Chromium, Chrome or Edge on the PATH.
"""

import argparse
import os
import shutil
import sys
from pathlib import Path
from typing import Literal

from playwright.sync_api import Error, expect, sync_playwright

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
SIZE = {"width": 1200, "height": 860}
PATIENCE = 30_000  # milliseconds


def find_browser() -> str | None:
    """Return the path of a browser that playwright can drive, if there is one."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def picture(address: str, page: str, theme: Literal["light", "dark"], browser: str, output: Path) -> None:
    """Write what a browser shows of a page when nothing is loading any more; raises playwright's Error."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        tab = started.new_page(viewport=SIZE, color_scheme=theme)
        tab.goto(address + page)
        for what in (".scatterlayer .trace, .ag-row, .empty", "footer b"):
            tab.locator(what).first.wait_for(state="attached", timeout=PATIENCE)
        expect(tab.get_by_text("Loading …")).to_have_count(0, timeout=PATIENCE)
        tab.screenshot(path=output, animations="disabled")
        started.close()


def main() -> None:
    """Take the picture."""
    port = os.environ.get("DASHBOARD_PORT", "8050")
    parser = argparse.ArgumentParser(description="Make a picture of a running dashboard.")
    parser.add_argument("--address", default=f"http://127.0.0.1:{port}", help="default: %(default)s")
    parser.add_argument("--page", default="/predictions", help="path and query, default: %(default)s")
    parser.add_argument("--theme", default="light", choices=["light", "dark"], help="default: %(default)s")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_name("screenshot.png"), help="PNG file")
    options = parser.parse_args()
    browser = find_browser()
    if browser is None:
        sys.exit("screenshot: no Chromium, Chrome or Edge is on the PATH; install one of them.")
    try:
        picture(options.address, options.page, options.theme, browser, options.output)
    except Error as error:
        reason = error.message.splitlines()[0]
        sys.exit(f"screenshot: {options.address} shows no page ({reason}). Start it with: python dashboard/app.py")
    print(f"screenshot: {options.output.resolve()}")


if __name__ == "__main__":
    main()
