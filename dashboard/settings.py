"""How the dashboard is configured: resolved once from the command line and the environment, then passed down."""

import argparse
import os
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from report.week import utc_of

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
    timeout: float = 10.0  # seconds that one of these answers may take
    now: datetime | None = None  # a fixed "now" (UTC), for tests and replays; None is the clock


def port(text: str) -> int:
    """Return the port as a number from 1 to 65535."""
    if text.isdecimal() and 1 <= int(text) <= 65535:
        return int(text)
    raise argparse.ArgumentTypeError(f"expected a number from 1 to 65535, found {text!r}")


def seconds(text: str) -> float:
    """Return a number of seconds from 0.1 to 3600."""
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if 0.1 <= number <= 3600:
        return number
    raise argparse.ArgumentTypeError(f"expected seconds from 0.1 to 3600, found {text!r}")


def address(text: str) -> str:
    """Return an http or https address without a slash at its end."""
    parts = urlsplit(text)
    if parts.scheme in ("http", "https") and parts.netloc:
        return text.rstrip("/")
    raise argparse.ArgumentTypeError(f"expected an address such as {OPEN_METEO}, found {text!r}")


def moment(text: str) -> datetime:
    """Return an ISO time; one that states no offset is in UTC."""
    try:
        return utc_of(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a time such as 2015-08-01T06:00, found {text!r}") from None


def add_options(parser: argparse.ArgumentParser) -> None:
    """Give a parser an option for every setting."""
    env = os.environ.get
    default = "default: %(default)s"
    parser.add_argument("--host", default=env("DASHBOARD_HOST", Settings.host), help=f"DASHBOARD_HOST, {default}")
    parser.add_argument(
        "--port", type=port, default=env("DASHBOARD_PORT", str(Settings.port)), help=f"DASHBOARD_PORT, {default}"
    )
    parser.add_argument(
        "--refresh",
        type=seconds,
        default=Settings.refresh,
        metavar="SECONDS",
        help=f"how often to look at the tracking server, {default}",
    )
    parser.add_argument("--live-data", action="store_true", help="ask Open-Meteo and Energy-Charts for the next days")
    parser.add_argument(
        "--open-meteo",
        type=address,
        default=env("OPEN_METEO_URL", OPEN_METEO),
        metavar="URL",
        help=f"OPEN_METEO_URL, {default}",
    )
    parser.add_argument(
        "--energy-charts",
        type=address,
        default=env("ENERGY_CHARTS_URL", ENERGY_CHARTS),
        metavar="URL",
        help=f"ENERGY_CHARTS_URL, {default}",
    )
    parser.add_argument(
        "--timeout",
        type=seconds,
        default=Settings.timeout,
        metavar="SECONDS",
        help=f"how long one of them may take, {default}",
    )
    parser.add_argument(
        "--now", type=moment, metavar="TIME", help="a fixed time in place of the clock, such as 2015-08-01T06:00 (UTC)"
    )


def from_options(options: argparse.Namespace) -> Settings:
    """Return the settings that the command line names."""
    return Settings(**{name: getattr(options, name) for name in Settings.__dataclass_fields__})
