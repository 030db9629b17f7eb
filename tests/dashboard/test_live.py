from types import SimpleNamespace

import pandas as pd
import pytest

from dashboard import live as module
from dashboard.live import Live
from report.production import NotThere

INDEX = pd.date_range("2015-01-01", periods=48, freq="h", tz="UTC")
TABLE = pd.DataFrame({"windspeed": 5.0}, INDEX)


class Server:
    """A tracking server that a test sets up as it wants."""

    def __init__(self):
        self.version, self.table_run, self.broken, self.loaded = "1", "t1", set(), []
        self.columns = ["solar_GW", "wind_GW"]

    def production_version(self) -> str:
        if isinstance(self.version, Exception):
            raise self.version
        return self.version

    def load(self, version: str):
        self.loaded.append(version)
        if version in self.broken:
            raise OSError("no such file\nand more of that")
        model = SimpleNamespace(predict=lambda rows: pd.DataFrame(1.0, range(len(rows)), self.columns))
        return SimpleNamespace(version=version, run_id="r", kind="rf", columns=["windspeed"], model=model)


@pytest.fixture
def clock(monkeypatch):
    """Return the time of the test, in seconds."""
    time = SimpleNamespace(now=100.0)
    monkeypatch.setattr(module.time, "monotonic", lambda: time.now)
    return time


@pytest.fixture
def server(monkeypatch, clock) -> Server:
    found = Server()
    for name in ("production_version", "load"):
        monkeypatch.setattr(module, name, getattr(found, name))
    monkeypatch.setattr(module, "newest_table_run", lambda: found.table_run)
    monkeypatch.setattr(module, "read_table", lambda run: TABLE)
    monkeypatch.setattr(module, "read_run", lambda run: None)
    monkeypatch.setattr(module, "read_registry", lambda before: SimpleNamespace(key="k", versions=()))
    return found


def test_a_model_is_loaded_once_as_long_as_nothing_changes(server):
    live = Live(1)
    for _ in range(3):
        live.follow()
    assert server.loaded == ["1"]
    assert live.problem is None
    assert live.view.key == "1/t1"
    assert live.view.predicted.index.equals(INDEX)


def test_a_new_table_is_found_within_some_seconds_and_keeps_the_model(server, clock):
    live = Live(1)
    live.follow()
    server.table_run = "t2"
    clock.now += module.SELDOM + 1
    live.follow()
    assert (live.view.key, server.loaded) == ("1/t2", ["1"])


def test_a_version_that_can_not_be_loaded_is_tried_again_at_growing_intervals(server, clock):
    live = Live(1)
    live.follow()
    server.version, server.broken = "2", {"2"}
    for _ in range(60):
        live.follow()
        clock.now += 1
    assert live.view.production.version == "1"
    assert live.problem == (
        "Version 2 of wind_solar is in production, but can't be loaded and used: no such file. Version 1 is shown on. "
        "It is tried again by itself."
    )
    assert server.loaded.count("2") == 6  # after 1, 2, 4, 8, 16 seconds
    server.broken = set()
    clock.now += module.LONGEST_PAUSE
    live.follow()
    assert (live.view.production.version, live.problem) == ("2", None)


def test_going_back_from_a_broken_version_clears_the_warning(server):
    live = Live(1)
    live.follow()
    server.version, server.broken = "2", {"2"}
    live.follow()
    server.version = "1"
    live.follow()
    assert live.problem is None


def test_a_model_that_predicts_something_else_is_not_shown(server):
    server.columns = ["solar_GW"]
    live = Live(1)
    live.follow()
    assert live.view is None
    assert "found none of wind_GW" in live.problem


def test_a_server_that_is_away_leaves_the_view_and_says_since_when(server):
    live = Live(1)
    live.follow()
    view = live.view
    server.version = ConnectionError("refused")
    live.follow()
    assert live.view is view
    assert "does not answer. The pages show what it said at 20" in live.problem
    server.version = "1"
    live.follow()
    assert live.problem is None


def test_a_server_that_hangs_is_named_while_the_look_goes_on(server, clock):
    live = Live(1)
    live.follow()
    live.begin()
    assert live.problem is None
    clock.now += module.HANGS + 1
    assert "has not answered for a while" in live.problem


def test_an_alias_that_is_gone_leaves_the_view_with_a_notice(server):
    live = Live(1)
    live.follow()
    server.version = NotThere("No version of wind_solar has the alias production.")
    live.follow()
    assert live.view.production.version == "1"
    assert live.problem == "No version of wind_solar has the alias production."
