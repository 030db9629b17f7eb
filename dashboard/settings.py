"""The dashboard's options: read once from the command line and the environment, then passed down as values."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from forecasting.options import add_option, utc_time

OPEN_METEO = "https://api.open-meteo.com"
ENERGY_CHARTS = "https://api.energy-charts.info"


@dataclass(frozen=True)
class Settings:
    """What the dashboard needs to know from outside."""

    host: str = "127.0.0.1"
    port: int = 8050
    refresh: float = 1.0  # seconds between two looks at the tracking server
    live_data: bool = False  # whether Open-Meteo and Energy-Charts may be asked
    open_meteo: str = OPEN_METEO  # address up to the path, for a mirror or a test
    energy_charts: str = ENERGY_CHARTS
    timeout: float = 10.0  # seconds that one of their answers may take
    now: datetime | None = None  # a fixed "now" (UTC), for tests and replays; None is the clock


def number_from(kind: type, low: float, high: float, name: str) -> Callable[[str], float]:
    """Return a parser of numbers within limits."""

    def parse(text: str) -> float:
        try:
            if low <= (number := kind(text)) <= high:
                return number
        except ValueError:
            pass
        raise argparse.ArgumentTypeError(f"expected {name} from {low} to {high}, found {text!r}")

    return parse


def address(text: str) -> str:
    """Return an http or https address without a slash at its end."""
    parts = urlsplit(text)
    if parts.scheme in ("http", "https") and parts.netloc:
        return text.rstrip("/")
    raise argparse.ArgumentTypeError(f"expected an address such as {OPEN_METEO}, found {text!r}")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Give a parser an option for every setting."""
    port, seconds = number_from(int, 1, 65535, "a number"), number_from(float, 0.1, 3600, "seconds")
    add_option(parser, "--host", "DASHBOARD_HOST", Settings.host, "the address to listen on")
    add_option(parser, "--port", "DASHBOARD_PORT", Settings.port, "the port to listen on", type=port)
    for flag, default, meaning in (
        ("--refresh", Settings.refresh, "how often to look at the tracking server"),
        ("--timeout", Settings.timeout, "how long Open-Meteo or Energy-Charts may take"),
    ):
        words = f"{meaning}, default: %(default)s"
        parser.add_argument(flag, type=seconds, default=default, metavar="SECONDS", help=words)
    parser.add_argument("--live-data", action="store_true", help="ask Open-Meteo and Energy-Charts for the next days")
    add_option(parser, "--open-meteo", "OPEN_METEO_URL", OPEN_METEO, "a mirror of Open-Meteo", type=address)
    add_option(parser, "--energy-charts", "ENERGY_CHARTS_URL", ENERGY_CHARTS, "a mirror of Energy-Charts", type=address)
    now = "a fixed time in place of the clock, such as 2015-08-01T06:00 (UTC)"
    parser.add_argument("--now", type=utc_time, metavar="TIME", help=now)
