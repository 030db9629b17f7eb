"""Type the README's command for the dashboard, and open it in a browser."""

import subprocess

import pandas as pd
import psutil
import pytest
from playwright.sync_api import expect
from sklearn.linear_model import LinearRegression

from server.processes import process
from server.servers import get

TARGETS = ["solar_GW", "wind_GW"]


@pytest.fixture(scope="module")
def dashboard(root, typed, free_port, tmp_path_factory):
    """Run the dashboard; return its process and its address."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [*typed("1_starting_point/dashboard/app.py"), "--port", str(port)]
    with process("The dashboard", command, tmp_path_factory.mktemp("logs") / "dashboard.log", cwd=root) as running:
        running.wait_until(lambda: get(url) is not None, 60)
        yield running, url


@pytest.fixture
def page(dashboard, tab):
    """Open the dashboard."""
    tab.goto(dashboard[1])
    expect(tab.locator("#error")).to_contain_text("Mean absolute error", timeout=15_000)
    return tab


def test_it_says_that_the_data_are_simulated_and_draws_both_targets(page):
    expect(page.locator("#source")).to_contain_text("Simulated data")
    for graph in ("solar", "wind"):
        expect(page.locator(f"#{graph} .gtitle")).to_contain_text("(simulated)")
        expect(page.locator(f"#{graph} .scatterlayer .trace")).to_have_count(2)


def test_another_month_shows_the_errors_of_a_regression_trained_from_2015_on(page, root):
    table = pd.read_csv(root / "1_starting_point" / "germany.csv", index_col=0, parse_dates=True)
    train, month, weather = table["2015":], table.loc["2014-05"], table.columns[2:]
    power = LinearRegression().fit(train[weather], train[TARGETS]).predict(month[weather]).clip(min=0)
    solar, wind = (power - month[TARGETS]).abs().mean()
    page.locator("#month").click()
    page.get_by_text("2014-05", exact=True).last.click()
    expect(page.locator("#error")).to_have_text(f"Mean absolute error: solar_GW {solar:.2f} GW, wind_GW {wind:.2f} GW")
    expect(page.locator("#wind .gtitle")).to_contain_text("2014-05")


def test_it_listens_on_this_machine_only(dashboard):
    running, _ = dashboard
    connections = psutil.Process(running.popen.pid).net_connections("inet")
    assert {one.laddr.ip for one in connections if one.status == psutil.CONN_LISTEN} == {"127.0.0.1"}


def test_a_taken_port_is_named_without_a_traceback(dashboard, root, typed):
    command = [*typed("1_starting_point/dashboard/app.py"), "--port", dashboard[1].rpartition(":")[2]]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0
    assert "in use" in done.stderr
    assert "Traceback" not in done.stderr
