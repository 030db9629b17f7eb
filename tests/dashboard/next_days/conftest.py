"""Open-Meteo and Energy-Charts on this machine: they answer in the documented shapes, or as badly as a test wants."""

import contextlib
import json
import math
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from urllib.parse import parse_qsl, urlsplit

import numpy as np
import pandas as pd
import pytest

from dashboard.next_days.weather import COLUMNS, Plan, Site, read_plan
from dashboard.settings import Settings

NOW = datetime(2026, 6, 10, 9, 40, tzinfo=UTC)
UNITS = {"wind_speed_10m": "m/s", "temperature_2m": "°C", "direct_radiation": "W/m²", "diffuse_radiation": "W/m²"}


def hours(start: str, end: str, step: str = "h") -> list[int]:
    """Return Unix seconds of a period; its last day counts."""
    times = pd.date_range(f"{start}T00:00", pd.Timestamp(end) + pd.Timedelta(days=1), freq=step, inclusive="left")
    return [int(time.timestamp()) for time in times.tz_localize("UTC")]


def sun(second: int) -> float:
    """Return how high the sun of these tests stands, from 0 to 1."""
    return max(math.sin((second / 3600 - 5.5) % 24 / 24 * 2 * math.pi), 0.0)


def place(times: list[int], wind: float = 5.0) -> dict:
    """Return Open-Meteo's answer for one place."""
    values = {
        "wind_speed_10m": [wind + 2 * math.sin(second / 50_000) for second in times],
        "temperature_2m": [15.0 for _ in times],
        "direct_radiation": [500 * sun(second - 1800) for second in times],  # of the hour before
        "diffuse_radiation": [100 * sun(second - 1800) for second in times],
    }
    about = {"latitude": 51.5, "longitude": 10.0, "generationtime_ms": 0.1, "utc_offset_seconds": 0, "elevation": 38.0}
    units = {"time": "unixtime", **UNITS}
    return about | {"timezone": "GMT", "hourly_units": units, "hourly": {"time": times, **values}}


def forecast(query: dict) -> object:
    """Return what Open-Meteo answers to a query."""
    times = hours(query["start_date"], query["end_date"])
    places = [place(times, 3.0 + number) for number in range(query["latitude"].count(",") + 1)]
    return places if len(places) > 1 else places[0]


def quarters(query: dict) -> list[int]:
    """Return the quarter hours of a query, as Unix seconds; the end counts."""
    first, last = (int(datetime.fromisoformat(query[name]).timestamp()) for name in ("start", "end"))
    return list(range(first, last + 1, 900))


def public_power(query: dict) -> object:
    """Return what Energy-Charts has measured: 60 GW of sun at most, 20 GW of wind. The last quarters are missing."""
    times = quarters(query)
    known = [second < times[-1] - 1200 for second in times]
    types = {
        "Hydro Run-of-River": [1500.0 for _ in times],
        "Wind offshore": [5000.0 if there else None for there in known],
        "Wind onshore": [15000.0 if there else None for there in known],
        "Solar": [60_000 * sun(second + 450) if there else None for second, there in zip(times, known, strict=True)],
    }
    named = [{"name": name, "data": data} for name, data in types.items()]
    return {"unix_seconds": times, "production_types": named, "deprecated": False}


def public_power_forecast(query: dict) -> object:
    """Return the forecast of the day before; it ends with tomorrow."""
    times = quarters(query)
    today = (times[0] + times[-1]) // 2 // 86400 * 86400
    times = [second for second in times if second < today + 48 * 3600]
    name = query["production_type"]
    values = [{"solar": 57_000 * sun(second + 450), "wind_onshore": 14_000.0}.get(name, 4_000.0) for second in times]
    about = {"production_type": name, "forecast_type": query["forecast_type"], "deprecated": False}
    return {"unix_seconds": times, "forecast_values": values, **about}


class Services:
    """Both services on one port. ``say`` changes what an address answers with, ``asked`` has what they were asked."""

    def __init__(self):
        self.asked: list[tuple[str, dict]] = []
        self.replies: dict[str, Callable] = {}
        self.leave = threading.Event()  # ends an answer that is slow on purpose
        for path, answer in (
            ("/v1/forecast", forecast),
            ("/public_power", public_power),
            ("/public_power_forecast", public_power_forecast),
        ):
            self.replies[path] = lambda query, answer=answer: (200, {}, json.dumps(answer(query)).encode())
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self.handler())
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def say(self, path: str, status: int = 200, body: object = "", **headers: str) -> None:
        """Answer with this from now on; what is no text becomes JSON."""
        text = body if isinstance(body, str | bytes) else json.dumps(body)
        content = text.encode() if isinstance(text, str) else text
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.replies[path] = lambda query: (status, named, content)

    def count(self, path: str) -> int:
        """Return how often an address was asked."""
        return sum(one == path for one, _ in self.asked)

    def handler(self):
        services = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                parts = urlsplit(self.path)
                query = dict(parse_qsl(parts.query))
                services.asked.append((parts.path, query))
                status, headers, body = services.replies[parts.path](query)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", headers.get("Length", str(len(body))))
                self.end_headers()
                self.wfile.write(body)
                if "Length" in headers and "Cut" not in headers:
                    for _ in range(1000):  # a byte now and then, so that no single read takes too long
                        if services.leave.wait(0.02):
                            return
                        self.wfile.write(b" ")
                        self.wfile.flush()

            def handle(self):
                with contextlib.suppress(ConnectionError):  # the client had enough
                    super().handle()

            def log_message(self, *_):
                pass

        return Handler


@pytest.fixture
def services(monkeypatch):
    """Run both services."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    both = Services()
    thread = threading.Thread(target=both.server.serve_forever, args=(0.01,))
    thread.start()
    yield both
    both.leave.set()
    both.server.shutdown()
    both.server.server_close()
    thread.join()


@pytest.fixture
def settings(services):
    """Return settings that ask them, with a fixed now."""
    return Settings(
        live_data=True, open_meteo=services.url, energy_charts=services.url, timeout=5, refresh=0.5, now=NOW
    )


@pytest.fixture
def plan() -> Plan:
    """Return three places, one of which stands for half of the country."""
    return Plan(read_plan().variables, (Site(48, 9, 2), Site(52, 9, 1), Site(54, 13, 1)))


class Model:
    """A model that anybody can follow: so much per W/m2, so much per m/s. It keeps what it was given."""

    def __init__(self, quantiles: bool = True):
        self.quantiles = quantiles
        self.given: pd.DataFrame | None = None

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
        kind="lr",
        model=Model(quantiles),
        trained_on="Simulated sample: Germany, 2013 to 2016",
    )


def weather_of(index: pd.DatetimeIndex) -> pd.DataFrame:
    """Return a table's weather, on time."""
    up = np.array([sun(int(time.timestamp()) + 1800) for time in index])
    columns = {"windspeed": 5.0, "temperature": 15.0, "rad_horizontal": 500 * up, "rad_diffuse": 100 * up}
    return pd.DataFrame(columns, index=index)[list(COLUMNS)]


@pytest.fixture
def live():
    """Return what follows the model in production: version 7, on a table whose weather is on time."""
    index = pd.date_range("2016-06-01", "2016-06-30T23:00", freq="h", tz="UTC")
    view = SimpleNamespace(production=production(), table=weather_of(index), table_run="run", key="7/run")
    return SimpleNamespace(view=view, problem=None, registry=None)


@pytest.fixture
def tools() -> SimpleNamespace:
    """Return what tests of several files need."""
    return SimpleNamespace(
        NOW=NOW,
        UNITS=UNITS,
        hours=hours,
        place=place,
        forecast=forecast,
        public_power=public_power,
        public_power_forecast=public_power_forecast,
        production=production,
        weather_of=weather_of,
        json=lambda answer: json.dumps(answer).encode(),
    )
