"""Open-Meteo and Energy-Charts without a network: they answer as documented, or as badly as a test wants."""

import json
import math
from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace

import httpx
import numpy as np
import pandas as pd
import pytest

from dashboard.follower import View
from dashboard.next_days import power
from dashboard.next_days.weather import COLUMNS, Plan, read_plan
from dashboard.settings import Settings
from forecasting.features import add_features

NOW = datetime(2026, 6, 10, 9, 40, tzinfo=UTC)
UNITS = {"wind_speed_10m": "m/s", "temperature_2m": "°C", "direct_radiation": "W/m²", "diffuse_radiation": "W/m²"}


def seconds(first: str, last: str, step: int) -> list[int]:
    """Return Unix seconds of a period of a query; its end counts."""
    times = pd.date_range(pd.Timestamp(first), pd.Timestamp(last), freq=f"{step}s")
    return [int(time.timestamp()) for time in times]


def sun(second: int) -> float:
    """Return how high the sun of these tests stands, from 0 to 1."""
    return max(math.sin((second / 3600 - 5.5) % 24 / 24 * 2 * math.pi), 0.0)


def place(first: str, last: str, wind: float = 5.0) -> dict:
    """Return Open-Meteo's answer for one place from one day to another."""
    times = seconds(first, f"{last}T23:00", 3600)
    values = {
        "wind_speed_10m": [wind + 2 * math.sin(second / 50_000) for second in times],
        "temperature_2m": [15.0 for _ in times],
        "direct_radiation": [500 * sun(second - 1800) for second in times],  # of the hour before
        "diffuse_radiation": [100 * sun(second - 1800) for second in times],
    }
    return {"latitude": 51.5, "hourly_units": {"time": "unixtime", **UNITS}, "hourly": {"time": times, **values}}


def forecast(query: dict) -> list[dict]:
    """Return what Open-Meteo answers to a query for several places."""
    winds = range(3, 4 + query["latitude"].count(","))
    return [place(query["start_date"], query["end_date"], wind) for wind in winds]


def public_power(query: dict) -> dict:
    """Return what Energy-Charts has measured: 60 GW of sun at most, 20 GW of wind. The last quarters are missing."""
    times = seconds(query["start"], query["end"], 900)
    heights = {"Hydro": 1500, "Wind offshore": 5000, "Wind onshore": 15_000, "Solar": 60_000}
    types = []
    for name, height in heights.items():
        power = [height * (sun(second + 450) if name == "Solar" else 1.0) for second in times]
        types.append({"name": name, "data": [*power[:-2], None, None]})
    return {"unix_seconds": times, "production_types": types, "deprecated": False}


def public_power_forecast(query: dict) -> dict:
    """Return the forecast of the day before; it ends with tomorrow."""
    times = seconds(query["start"], "2026-06-11T23:45Z", 900)
    name = query["production_type"]
    values = [{"solar": 57_000 * sun(second + 450), "wind_onshore": 14_000.0}.get(name, 4_000.0) for second in times]
    return {"unix_seconds": times, "forecast_values": values, "production_type": name, "deprecated": False}


class Services:
    """Both services, without a network. ``say`` changes what an address answers with, ``asked`` has what it was asked.

    A reply takes the query and returns a response.
    """

    url = "http://127.0.0.1:9"

    def __init__(self):
        self.asked: list[tuple[str, dict]] = []
        answers = {"/v1/forecast": forecast, "/public_power": public_power}
        answers["/public_power_forecast"] = public_power_forecast
        self.replies: dict[str, Callable] = {
            path: lambda query, answer=answer: httpx.Response(200, json=answer(query))
            for path, answer in answers.items()
        }

    def say(self, path: str, status: int = 200, body: object = "", **headers: str) -> None:
        """Answer with this from now on, or raise it; what is not text becomes JSON."""

        def reply(query: dict) -> httpx.Response:
            if isinstance(body, Exception):
                raise body
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            return httpx.Response(status, headers=named, text=body if isinstance(body, str) else json.dumps(body))

        self.replies[path] = reply

    def count(self, path: str) -> int:
        """Return how often an address was asked."""
        return sum(one == path for one, _ in self.asked)

    def answer(self, request: httpx.Request) -> httpx.Response:
        """Answer a request."""
        path, query = request.url.path, dict(request.url.params)
        self.asked.append((path, query))
        return self.replies[path](query)


@pytest.fixture
def services(monkeypatch) -> Services:
    """Return both services; whoever asks by httpx asks them."""
    both = Services()
    monkeypatch.setattr(httpx, "stream", httpx.Client(transport=httpx.MockTransport(both.answer)).stream)
    monkeypatch.setattr(power, "PAUSE", 0)
    return both


@pytest.fixture
def settings(services):
    """Return settings that ask them, with a fixed now."""
    return Settings(
        live_data=True, open_meteo=services.url, energy_charts=services.url, timeout=5, refresh=0.5, now=NOW
    )


@pytest.fixture
def plan() -> Plan:
    """Return three places, one of which stands for half of the country."""
    weights = {(48, 9): 2, (52, 9): 1, (54, 13): 1}
    sites = [{"latitude": north, "longitude": east, "weight": weight} for (north, east), weight in weights.items()]
    return Plan.model_validate({"variables": read_plan().model_dump()["variables"], "sites": sites})


class Model:
    """A model that anybody can follow: so much per W/m2, so much per m/s. It keeps what it was given."""

    def __init__(self, quantiles: bool = True):
        self.quantiles, self.given = quantiles, None

    def predict(self, rows: pd.DataFrame) -> pd.DataFrame:
        self.given = rows
        assert not rows.isna().any(axis=None)
        solar, wind = (rows["rad_horizontal"] + rows["rad_diffuse"]) / 25, 2 * rows["windspeed_mean_25h"]
        power = {"solar_GW": solar, "wind_GW": wind}
        if self.quantiles:
            for name, line in list(power.items()):
                power |= {f"{name}_q10": 0.8 * line, f"{name}_q90": 1.2 * line}
        return pd.DataFrame({name: line.to_numpy() for name, line in power.items()})


def production(version: str = "7", quantiles: bool = True) -> SimpleNamespace:
    """Return a model in production that takes few columns, in an order of its own."""
    columns = ["windspeed_mean_25h", "rad_diffuse", "rad_horizontal", "windspeed_lag_3", "trend"]
    return SimpleNamespace(
        version=version,
        columns=columns,
        model_uri=f"models:/m-{version}",
        project="lr",
        training=None,
        model=Model(quantiles),
        data_title="Simulated sample: Germany, 2013 to 2016",
    )


def weather_of(index: pd.DatetimeIndex) -> pd.DataFrame:
    """Return a table's weather, on time."""
    up = np.array([sun(int(time.timestamp()) + 1800) for time in index])
    columns = {"windspeed": 5.0, "temperature": 15.0, "rad_horizontal": 500 * up, "rad_diffuse": 100 * up}
    return pd.DataFrame(columns, index=index)[COLUMNS]


@pytest.fixture
def live(table_of):
    """Return what follows the model in production: version 7, on a table whose weather is on time."""
    index = pd.date_range("2016-06-01", "2016-06-30T23:00", freq="h", tz="UTC")
    view = View(production(), table_of(add_features(weather_of(index))), forecast=None, seen=None)
    return SimpleNamespace(view=view, problem=None, registry=None)


@pytest.fixture
def tools() -> SimpleNamespace:
    """Return what tests of several files need."""
    return SimpleNamespace(NOW=NOW, UNITS=UNITS, place=place, production=production, weather_of=weather_of)
