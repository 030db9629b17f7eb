import dataclasses
import threading
from types import SimpleNamespace

import pandas as pd
import pytest

from dashboard.next_days.feed import Feed


@pytest.fixture
def feed(settings, live, tmp_path) -> Feed:
    return Feed(settings, live, tmp_path / "answers", pause=0)


def test_everything_comes_together(feed, services, live):
    feed.follow(0)
    state = feed.state
    assert [source.problem for source in feed.sources] == [None] * 3
    assert (state.version, state.problem, state.late) == ("7", None, False)
    seen = state.outlook
    assert len(seen.predicted) == 144
    assert not seen.predicted.isna().any(axis=None)
    assert seen.measured["wind_GW"].dropna().eq(20).all()
    assert seen.measured["wind_GW"].notna().sum() == 71  # the hour from 08:00 is over, but not yet there
    assert seen.published["wind_GW"].dropna().eq(18).all()
    assert seen.published.dropna().index[-1] == pd.Timestamp("2026-06-11T23:00Z")
    # The sun of the model and that of the country stand highest in the same hour.
    day = slice("2026-06-09T00:00Z", "2026-06-09T23:00Z")
    highest = {name: getattr(seen, name)["solar_GW"][day].idxmax() for name in ("predicted", "measured", "published")}
    assert len(set(highest.values())) == 1, highest


def test_the_services_are_asked_once_for_all_and_not_again_before_it_is_time(feed, services):
    for clock in (0, 1, 2, 899):
        feed.follow(clock)
    paths = ("/v1/forecast", "/public_power", "/public_power_forecast")
    assert [services.count(path) for path in paths] == [1, 1, 3]
    feed.follow(900)
    assert [services.count(path) for path in paths] == [1, 2, 3]
    feed.follow(3600)
    assert [services.count(path) for path in paths] == [2, 3, 6]


def test_a_forecast_is_asked_for_by_production_type_as_of_the_day_before(feed, services):
    feed.follow(0)
    asked = [query for path, query in services.asked if path == "/public_power_forecast"]
    assert [query["production_type"] for query in asked] == ["solar", "wind_onshore", "wind_offshore"]
    assert {query["forecast_type"] for query in asked} == {"day-ahead"}


@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [
        (429, {"error": True, "reason": "Daily API request limit exceeded."}, {"Retry_After": "7200"}),
        (500, "oops", {}),
        (200, "<html></html>", {}),
        (200, {"deprecated": True}, {}),
    ],
)
def test_a_service_that_fails_later_leaves_its_last_good_answer(feed, services, status, body, headers):
    feed.follow(0)
    before = feed.state.outlook
    for path in services.replies:
        services.say(path, status, body, **headers)
    feed.follow(3600)
    assert all(source.problem for source in feed.sources)
    assert feed.state.outlook is before


def test_a_service_that_never_answers_leaves_the_other_one_alone(feed, services):
    services.say("/v1/forecast", 500)
    feed.follow(0)
    assert feed.state.outlook.predicted.isna().all(axis=None)
    assert feed.state.outlook.measured["wind_GW"].notna().any()
    assert "HTTP 500" in feed.weather.problem


def test_another_model_in_production_predicts_without_another_request(feed, services, live, tools):
    feed.follow(0)
    asked, number = len(services.asked), feed.state.number
    live.view = SimpleNamespace(**vars(live.view) | {"production": tools.production("8", quantiles=False)})
    feed.follow(1)
    assert (feed.state.version, feed.state.number, len(services.asked)) == ("8", number + 1, asked)
    assert list(feed.state.outlook.predicted) == ["solar_GW", "wind_GW"]


def test_no_model_in_production_is_said_and_the_rest_is_shown(feed, live):
    live.view, live.problem = None, "No version of wind_solar has the alias production."
    feed.follow(0)
    assert feed.state.problem == "No version of wind_solar has the alias production."
    assert feed.state.outlook.measured["wind_GW"].notna().any()


def test_a_model_that_breaks_is_said_in_one_line(feed, live):
    def predict(rows):
        raise RuntimeError("bad shape\nin line 7")

    live.view.production.model.predict = predict
    feed.follow(0)
    assert feed.state.problem.endswith("can't be used on the forecast: bad shape")


def test_a_slip_in_weather_toml_is_said(feed, monkeypatch, tmp_path):
    monkeypatch.setattr("dashboard.next_days.weather.read_plan.__defaults__", (tmp_path / "weather.toml",))
    feed.follow(0)
    assert "weather.toml can't be read" in feed.weather.problem


def test_a_new_start_asks_nobody_for_what_it_still_knows(settings, live, services, tmp_path):
    settings = dataclasses.replace(settings, now=None)
    Feed(settings, live, tmp_path, pause=0).follow(0)
    asked = len(services.asked)
    again = Feed(settings, live, tmp_path, pause=0)
    again.follow(0)
    assert len(services.asked) == asked
    assert again.state.outlook.predicted["solar_GW"].notna().sum() == 144


def test_a_replay_leaves_no_file(feed, tmp_path):
    feed.follow(0)
    assert list(tmp_path.iterdir()) == []


def test_the_thread_follows_by_itself(feed, services):
    answered = threading.Event()
    usual = services.replies["/public_power"]
    services.replies["/public_power"] = lambda query: (answered.set(), usual(query))[1]
    feed.start()
    assert answered.wait(20)
