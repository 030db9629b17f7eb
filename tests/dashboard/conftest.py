"""A dashboard beside the running servers, and a browser that watches what its pages do."""

import base64
import contextlib
import json
import os
import socket
import socketserver
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import mlflow
import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from dashboard.follower import View
from forecasting.subject import Column, Subject
from forecasting.table import HourlyTable
from server.processes import process
from server.servers import get

OUTPUT = Path(__file__).resolve().parents[1] / "output" / "dashboard"
WAIT = 30_000  # milliseconds; a busy machine is no reason to fail

SUBJECT = Subject(
    "Simulated sample",
    (Column("solar_GW", "target", "Solar", "GW"), Column("wind_GW", "target", "Wind", "GW")),
    place="Germany",
)

expect.set_options(timeout=WAIT)


@pytest.fixture(scope="session")
def table_of() -> Callable[..., HourlyTable]:
    """Return a function that makes a table about solar and wind power of a frame that lacks what doesn't matter."""

    def make(frame: pd.DataFrame, subject: Subject = SUBJECT) -> HourlyTable:
        whole = pd.DataFrame({"repaired": False, "split": "train"}, frame.index)
        whole[list(frame)] = frame
        whole.attrs["subject"] = subject.to_dict()
        return HourlyTable(whole, "table-run", "digest", "1")

    return make


@pytest.fixture(scope="session")
def view_of(table_of) -> Callable[..., View]:
    """Return a function that makes a view of actuals and forecast; by default the model has seen none of the hours."""

    def make(frame: pd.DataFrame, forecast: pd.DataFrame | None = None, seen: np.ndarray | None = None) -> View:
        seen = np.zeros(len(frame), bool) if seen is None else seen
        production = SimpleNamespace(version="1", model_uri="models:/m-1", project="rf")
        return View(production, table_of(frame), frame if forecast is None else forecast, seen)

    return make


class Proxy:
    """A way to a server that can be cut and mended."""

    def __init__(self, target: int):
        """Listen on a free port, and pass everything on to the loopback port ``target``."""
        self.open, self.ends = True, []
        proxy = self

        class Way(socketserver.BaseRequestHandler):
            def handle(self):
                if not proxy.open:
                    return
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", target)) as server:
                    proxy.ends += [self.request, server]
                    back = threading.Thread(target=proxy.pass_on, args=(server, self.request))
                    back.start()
                    proxy.pass_on(self.request, server)
                    back.join()

        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Way)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self.thread.start()

    def hang_up(self, *ends: socket.socket) -> None:
        """End connections, so that whoever reads from them goes on."""
        for end in ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def pass_on(self, one: socket.socket, other: socket.socket) -> None:
        """Pass on what comes in until one side hangs up; then hang up on both."""
        with contextlib.suppress(OSError):
            while content := one.recv(65536):
                other.sendall(content)
        self.hang_up(one, other)

    def cut(self) -> None:
        """End all connections, and take no new ones."""
        self.open = False
        self.hang_up(*self.ends)

    def mend(self) -> None:
        """Take connections again."""
        self.open = True

    def close(self) -> None:
        """End everything."""
        self.cut()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture(scope="module")
def way(workflow, running_servers) -> Iterator[Proxy]:
    """Return the way from the dashboard to the tracking server."""
    proxy = Proxy(running_servers.mlflow_port)
    yield proxy
    proxy.close()


@pytest.fixture(scope="module")
def log(tmp_path_factory) -> Path:
    """Return the file that the dashboard logs to."""
    return tmp_path_factory.mktemp("logs") / "dashboard.log"


@pytest.fixture(scope="module")
def address(way, root, free_port, log) -> Iterator[str]:
    """Run the dashboard as the README says, and return where it is."""
    port = free_port()
    env = {**os.environ, "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{way.port}"}
    command = [sys.executable, "dashboard/app.py", "--port", port, "--refresh", "0.5"]
    with process("The dashboard", command, log, cwd=root, env=env) as dashboard:
        url = f"http://127.0.0.1:{port}"
        dashboard.wait_until(lambda: (answer := get(url + "/health")) and json.loads(answer)["version"], 90)
        yield url


@pytest.fixture
def way_in(address) -> Iterator[Proxy]:
    """Return the way from a browser to the dashboard."""
    proxy = Proxy(int(address.rpartition(":")[2]))
    yield proxy
    proxy.close()


@pytest.fixture(scope="module")
def browser(chromium) -> Iterator[Browser]:
    """Return a browser for the tests of a module."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def open_page(browser) -> Iterator[Callable[..., Page]]:
    """Return a function that opens an address; no error and no request to another host may come up meanwhile."""
    problems, contexts = [], []

    def start(url: str, width: int = 1200, height: int = 900, **options) -> Page:
        ours = ("/".join(url.split("/")[:3]), "data:", "blob:")

        def watch(tab: Page) -> None:
            tab.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
            tab.on("pageerror", lambda error: problems.append(str(error)))
            tab.on("request", lambda request: None if request.url.startswith(ours) else problems.append(request.url))

        contexts.append(browser.new_context(viewport={"width": width, "height": height}, **options))
        contexts[-1].on("page", watch)
        tab = contexts[-1].new_page()
        tab.goto(url)
        expect(tab.locator("main h1")).to_be_visible()
        return tab

    yield start
    for context in contexts:
        context.close()
    assert problems == []


@pytest.fixture
def look(open_page, address) -> Callable[..., Page]:
    """Return a function that opens a page of the dashboard beside the running servers."""
    return lambda path="/", **options: open_page(address + path, **options)


@pytest.fixture
def keep():
    """Return a function that keeps a picture of a whole page among the test artefacts."""

    def take(tab: Page, name: str) -> None:
        OUTPUT.mkdir(parents=True, exist_ok=True)
        tab.screenshot(path=OUTPUT / f"{name}.png", full_page=True)

    return take


@pytest.fixture
def production():
    """Return the version in production, and put it back afterwards."""
    client = mlflow.MlflowClient()
    before = client.get_model_version_by_alias("wind_solar", "production").version
    yield before
    client.set_registered_model_alias("wind_solar", "production", before)


@pytest.fixture
def other_version(production) -> str:
    """Return a version that is not in production; what was there is put back afterwards."""
    versions = mlflow.MlflowClient().search_model_versions("name = 'wind_solar'")
    return next(about.version for about in versions if about.version != production)


@pytest.fixture(scope="session")
def numbers() -> Callable[[dict], np.ndarray]:
    """Return a function that reads plotly's binary form of numbers."""

    def read(packed: dict) -> np.ndarray:
        values = np.frombuffer(base64.b64decode(packed["bdata"]), "<f4")
        return values.reshape([int(size) for size in packed["shape"].split(",")]) if "shape" in packed else values

    return read
