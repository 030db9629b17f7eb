import dataclasses
import threading

import pandas as pd
import pytest

from dashboard.next_days.feed import Feed


@pytest.fixture
def feed(settings, live) -> Feed:
    return Feed(settings, live)


def test_everything_comes_together(feed, services, live):
    feed.follow(0)
    state = feed.state
    assert [source.problem for source in feed.sources] == [None] * 3
    assert (state.view.production.version, state.problem, state.late) == ("7", None, False)
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
    asked = [query for path, query in services.asked if path == "/public_power_forecast"]
    assert [query["production_type"] for query in asked] == ["solar", "wind_onshore", "wind_offshore"]
    assert {query["forecast_type"] for query in asked} == {"day-ahead"}
    assert {(query["country"], query["start"], query["end"]) for query in asked} == {
        ("de", "2026-06-07T09:00Z", "2026-06-13T09:00Z")
    }
    paths = ("/v1/forecast", "/public_power", "/public_power_forecast")
    assert [services.count(path) for path in paths] == [1, 1, 3]
    feed.follow(900)
    assert [services.count(path) for path in paths] == [1, 2, 3]
    feed.follow(3600)
    assert [services.count(path) for path in paths] == [2, 3, 6]


def test_a_service_that_never_answers_leaves_the_other_one_alone(feed, services):
    services.say("/v1/forecast", 500)
    feed.follow(0)
    assert feed.state.outlook.predicted.isna().all(axis=None)
    assert feed.state.outlook.measured["wind_GW"].notna().any()
    assert "HTTP 500" in feed.sources[0].problem


def test_another_model_in_production_predicts_without_another_request(feed, services, live, tools):
    feed.follow(0)
    asked, number = len(services.asked), feed.state.key
    live.view = dataclasses.replace(live.view, production=tools.production("8", quantiles=False))
    feed.follow(1)
    assert (feed.state.view.production.version, feed.state.key, len(services.asked)) == ("8", number + 1, asked)
    assert list(feed.state.outlook.predicted) == ["solar_GW", "wind_GW"]


def test_without_a_model_or_with_a_broken_one_the_rest_is_shown_and_the_reason_said_in_one_line(feed, live):
    def predict(rows):
        raise RuntimeError("bad shape\nin line 7")

    live.view.production.model.predict = predict
    feed.follow(0)
    assert feed.state.problem.endswith("can't be used on the forecast: bad shape")
    live.view, live.problem = None, "No version of wind_solar has the alias production."
    feed.follow(1)
    assert feed.state.problem == "No version of wind_solar has the alias production."
    assert feed.state.outlook.measured["wind_GW"].notna().any()


def test_the_thread_follows_by_itself(feed, services):
    answered = threading.Event()
    usual = services.replies["/public_power"]
    services.replies["/public_power"] = lambda query: (answered.set(), usual(query))[1]
    feed.start()
    assert answered.wait(20)
