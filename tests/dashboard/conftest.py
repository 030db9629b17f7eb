"""A dashboard beside the running servers, and a browser that watches what its pages do."""

import contextlib
import json
import os
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from processes import process
from servers import get

OUTPUT = Path(__file__).resolve().parents[1] / "output" / "dashboard"
WAIT = 30_000  # milliseconds; a busy machine is no reason to fail

expect.set_options(timeout=WAIT)


def hang_up(connection: socket.socket) -> None:
    """End a connection, so that whoever reads from it goes on."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


class Proxy:
    """A way to a server that can be cut and mended."""

    def __init__(self, target: int):
        """Listen on a free port, and pass everything on to the loopback port ``target``."""
        self.target, self.open, self.connections = target, True, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.lock = threading.Lock()
        self.threads = []
        self._start(self._accept)

    def _start(self, deed, *arguments) -> None:
        self.threads.append(threading.Thread(target=deed, args=arguments, daemon=True))
        self.threads[-1].start()

    def cut(self) -> None:
        """End all connections, and take no new ones."""
        self.open = False
        with self.lock:
            for connection in self.connections:
                hang_up(connection)

    def mend(self) -> None:
        """Take connections again."""
        self.open = True

    def close(self) -> None:
        """End everything."""
        hang_up(self.listener)
        self.cut()
        for thread in self.threads:
            thread.join()
        for connection in [self.listener, *self.connections]:
            connection.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                if not self.open:
                    client.close()
                    continue
                # Kept until the end, and closed then: nothing is closed while another thread reads from it.
                server = socket.create_connection(("127.0.0.1", self.target))
                with self.lock:
                    self.connections += [client, server]
                for one, other in ((client, server), (server, client)):
                    self._start(self._pass_on, one, other)

    def _pass_on(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while content := one.recv(65536):
                other.sendall(content)
        hang_up(one)
        hang_up(other)


@pytest.fixture(scope="module")
def way(workflow, running_servers) -> Iterator[Proxy]:
    """Return the way from the dashboard to the tracking server."""
    proxy = Proxy(running_servers.mlflow_port)
    yield proxy
    proxy.close()


@pytest.fixture(scope="module")
def address(way, root, free_port, tmp_path_factory) -> Iterator[str]:
    """Run the dashboard as the README says, and return where it is."""
    port = free_port()
    env = {**os.environ, "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{way.port}"}
    command = [sys.executable, "dashboard/app.py", "--port", port, "--refresh", "0.5"]
    log = tmp_path_factory.mktemp("logs") / "dashboard.log"
    with process("The dashboard", command, log, cwd=root, env=env) as dashboard:
        url = f"http://127.0.0.1:{port}"
        dashboard.wait_until(lambda: (answer := get(url + "/health")) and json.loads(answer)["version"], 90)
        yield url


@pytest.fixture(scope="module")
def browser(chromium) -> Iterator[Browser]:
    """Return a browser for the tests of a module."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def look(browser, address):
    """Return a function that opens a page; no error and no request to another host may come up meanwhile."""
    problems, contexts = [], []

    def watch(tab: Page) -> Page:
        tab.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        tab.on("pageerror", lambda error: problems.append(str(error)))
        tab.on("request", lambda request: problems.append(request.url) if not_ours(request.url) else None)
        return tab

    def not_ours(url: str) -> bool:
        return not url.startswith((address, "data:", "blob:"))

    def open_page(path: str = "/", width: int = 1200, height: int = 900, **options) -> Page:
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        context.on("page", watch)
        tab = context.new_page()
        tab.goto(address + path)
        expect(tab.locator("main h1")).to_be_visible()
        return tab

    yield open_page
    for context in contexts:
        context.close()
    assert problems == []


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
