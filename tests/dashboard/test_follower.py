from types import SimpleNamespace

import pandas as pd
import pytest
from mlflow.entities import Run, RunData, RunInfo, RunTag

from dashboard import follower as module
from dashboard.follower import Follower
from forecasting.errors import UserError
from forecasting.table import HourlyTable

INDEX = pd.date_range("2015-01-01", periods=48, freq="h", tz="UTC")
NO_ALIAS = UserError("no version of wind_solar has the alias production.")


def run_of(run_id: str, **tags: str) -> Run:
    info = RunInfo(run_id, "1", "me", "FINISHED", 0, 0, "active")
    return Run(info, RunData(tags=[RunTag(*tag) for tag in tags.items()]))


class Server:
    """A tracking server that a test sets up as it wants."""

    def __init__(self):
        self.version, self.table_run, self.broken, self.loaded = "1", "t1", set(), []
        self.targets = ["solar_GW", "wind_GW"]
        self.training = run_of("training", fitted_on="train")

    def production_version(self) -> SimpleNamespace:
        if isinstance(self.version, Exception):
            raise self.version
        return SimpleNamespace(name="wind_solar", version=self.version, source=f"models:/m-{self.version}")

    def load(self, about: SimpleNamespace):
        self.loaded.append(about.version)
        if about.version in self.broken:
            raise OSError("no such file\nand more of that")
        return SimpleNamespace(
            version=about.version,
            model_uri=about.source,
            training=self.training,
            project="rf",
            targets=self.targets,
            predict=lambda frame: pd.DataFrame(1.0, frame.index, self.targets),
        )


@pytest.fixture
def clock(monkeypatch):
    """Return the time of the test, in seconds."""
    time = SimpleNamespace(now=100.0)
    monkeypatch.setattr(module.time, "monotonic", lambda: time.now)
    return time


@pytest.fixture
def server(monkeypatch, clock, table_of) -> Server:
    fake = Server()
    frame = table_of(pd.DataFrame({"solar_GW": 1.0, "wind_GW": 2.0}, INDEX)).frame
    frame.loc[INDEX[12:], "split"] = ["validation"] * 12 + ["holdout"] * 24
    for name in ("production_version", "load"):
        monkeypatch.setattr(module, name, getattr(fake, name))
    monkeypatch.setattr(module, "newest_table_run", lambda version: run_of(fake.table_run))
    monkeypatch.setattr(
        module.HourlyTable, "read", staticmethod(lambda run: HourlyTable(frame, run.info.run_id, "digest", "1"))
    )
    monkeypatch.setattr(module, "read_registry", lambda before: SimpleNamespace(key="k", versions=()))
    return fake


@pytest.fixture
def follower(server) -> Follower:
    """Return a follower that has loaded the first version."""
    follower = Follower(1)
    follower.follow()
    assert follower.problem is None
    return follower


def test_model_and_table_are_loaded_once_as_long_as_nothing_changes(follower, server, clock):
    for _ in range(2):
        follower.follow()
    assert (follower.view.key, server.loaded) == ("1/models:/m-1/t1", ["1"])
    assert follower.view.forecast.index.equals(INDEX)
    assert follower.view.seen.tolist() == [True] * 12 + [False] * 36  # what the training run says
    server.table_run = "t2"
    clock.now += module.REGISTRY_INTERVAL + 1
    follower.follow()
    assert (follower.view.key, server.loaded) == ("1/models:/m-1/t2", ["1"])


def test_a_version_that_can_not_be_loaded_is_tried_again_and_says_so_until_it_can_or_is_taken_back(
    follower, server, clock, caplog
):
    server.version, server.broken = "2", {"2"}
    for _ in range(25):
        follower.follow()
        clock.now += 1
    assert follower.view.production.version == "1"
    assert follower.problem == (
        "Version 2 of wind_solar is in production, but can't be shown: no such file. Version 1 is still shown. It is "
        "tried again automatically."
    )
    assert server.loaded.count("2") == 9  # not at each look
    assert caplog.text.count("Traceback") == 1
    server.version = "1"
    follower.follow()
    assert follower.problem is None
    server.version, server.broken = "2", set()
    follower.follow()  # it is mended, and tried at once
    assert (follower.view.production.version, follower.problem) == ("2", None)


def test_a_model_that_predicts_something_else_is_not_shown(server):
    server.targets = ["solar_GW"]
    follower = Follower(1)
    follower.follow()
    assert follower.view is None
    assert "it doesn't predict wind_GW" in follower.problem


def test_a_server_that_is_away_or_an_alias_that_is_gone_leaves_the_view_and_is_logged_once(follower, server, caplog):
    caplog.set_level("INFO", "dashboard.follower")
    view = follower.view
    for state, words in (
        (ConnectionError("refused"), "does not answer. The pages show its state of 20"),
        ("1", "up to date again"),
        (NO_ALIAS, "No version of wind_solar has the alias production."),
        ("1", "up to date again"),
    ):
        caplog.clear()
        server.version = state
        for _ in range(5):
            follower.follow()
        assert [words in line for line in caplog.messages] == [True]
        assert follower.view is view
        assert follower.problem is None if state == "1" else words in follower.problem


def test_a_server_that_hangs_is_named_while_the_look_goes_on(follower, monkeypatch, clock):
    said = []

    def hang():
        said.append(follower.problem)
        clock.now += module.HANGS + 1
        said.append(follower.problem)
        raise TimeoutError

    monkeypatch.setattr(module, "production_version", hang)
    follower.follow()
    assert said[0] is None
    assert "has not answered for a while" in said[1]
