"""A copy of the chapter to work in, since its notebooks write beside themselves, and its commands."""

import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import opsd
import pandas as pd
import pytest
from playwright.sync_api import Page, sync_playwright

LEFT_BEHIND = shutil.ignore_patterns("opsd", "*.joblib", "*.html", "__pycache__", ".ipynb_checkpoints")


@pytest.fixture(scope="session")
def copy_chapter(root, tmp_path_factory) -> Callable[[], Path]:
    """Return a function that copies the chapter into a project of its own, without what earlier runs left behind."""

    def copy() -> Path:
        folder = tmp_path_factory.mktemp("project") / "1_starting_point"
        return Path(shutil.copytree(root / "1_starting_point", folder, ignore=LEFT_BEHIND))

    return copy


@pytest.fixture(scope="session")
def raw_files() -> dict[str, bytes]:
    """Return small files with the shape of the real ones: other years, columns of other countries, MW, gaps, twins."""
    hours = pd.date_range("2012-12-30", "2017-01-02 23:00", freq="h", tz="UTC")
    number, stamp = np.arange(len(hours)), hours.strftime("%Y-%m-%dT%H:%M:%SZ")
    series = pd.DataFrame(
        {
            "utc_timestamp": stamp,
            "cet_cest_timestamp": hours.tz_convert("Europe/Berlin").strftime("%Y-%m-%dT%H:%M:%S%z"),
            "AT_load_actual_entsoe_transparency": pd.Series(6000 + number % 900).where(number % 7 > 0),
            "DE_solar_generation_actual": 1001.0 * (number % 24),
            "DE_wind_generation_actual": 500.0 + number % 30011,
            "GB_GBN_price_day_ahead": "",
        }
    )
    series.loc[series.utc_timestamp == "2014-05-01T10:00:00Z", "DE_solar_generation_actual"] = np.nan
    again = series[series.utc_timestamp == "2013-10-27T01:00:00Z"].assign(DE_wind_generation_actual=777.0)
    series = pd.concat([series, again]).sort_values("utc_timestamp", kind="stable")
    weather = pd.DataFrame(
        {
            "utc_timestamp": stamp,
            "AT_temperature": 1.5,
            "DE_windspeed_10m": 1 + number % 14 / 4,
            "DE_temperature": number % 40 - 10.5,
            "DE_radiation_direct_horizontal": number % 700 / 20,
            "DE_radiation_diffuse_horizontal": number % 300 / 5,
            "NO_windspeed_10m": "",
        }
    )
    weather.loc[weather.utc_timestamp == "2015-05-01T10:00:00Z", "DE_temperature"] = np.nan
    files = {opsd.SERIES.file: series, opsd.WEATHER.file: weather}
    return {name: frame.to_csv(index=False, lineterminator="\n").encode() for name, frame in files.items()}


@pytest.fixture(scope="session")
def typed(root) -> Callable[[str], list[str]]:
    """Return a function that gives the command of the chapter's README that runs a script, ready to be started."""
    readme = (root / "1_starting_point" / "README.md").read_text(encoding="utf-8")

    def command(script: str) -> list[str]:
        (line,) = re.findall(rf"^    python ({re.escape(script)}.*)$", readme, re.MULTILINE)
        return [sys.executable, *line.split()]

    return command


@pytest.fixture(scope="module")
def browser(chromium):
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])


@pytest.fixture
def tab(browser) -> Iterator[Page]:
    """Return an empty tab; no error and no request to another host may come up meanwhile."""
    problems, page = [], browser.new_page()
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("request", lambda request: problems.append(request.url))
    yield page
    page.close()
    assert [found for found in problems if not found.startswith(("data:", "blob:", "file:", "http://127.0.0.1:"))] == []
