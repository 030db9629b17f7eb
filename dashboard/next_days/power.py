"""Measured and published power from Energy-Charts: which requests are made, and what their answers mean.

Documented at https://api.energy-charts.info: values in MW, at the start of each quarter of an hour (or of each hour).
"""

import time
from datetime import datetime

import pandas as pd
from pydantic import BaseModel

from dashboard.next_days.answers import Times, Unavailable, Values, checked, get, series
from dashboard.next_days.outlook import AFTER, BEFORE
from dashboard.settings import Settings

PAUSE = 1.0  # seconds before each request for a forecast; Energy-Charts lets a client in twice a second
FORECAST_TYPE = "day-ahead"  # made before the day, so that its errors are those of a forecast
HIGHEST = 1_000_000  # MW; some storms away from what Germany can make
# Name in public_power, and in public_power_forecast, by target. A target is the sum of its parts.
MEASURED = {"solar_GW": ["Solar"], "wind_GW": ["Wind onshore", "Wind offshore"]}
PUBLISHED = {"solar_GW": ["solar"], "wind_GW": ["wind_onshore", "wind_offshore"]}


class ProductionType(BaseModel):
    """The power of one kind of plant."""

    name: str
    data: Values


class PublicPower(BaseModel):
    """An answer of ``public_power``."""

    unix_seconds: Times
    production_types: list[ProductionType]


class PublicPowerForecast(BaseModel):
    """An answer of ``public_power_forecast``."""

    unix_seconds: Times
    forecast_values: Values


def ask_measured(settings: Settings, now: datetime) -> pd.DataFrame:
    """Ask for the power up to now (UTC), as ``read_measured`` returns it; raises Unavailable."""
    address = f"{settings.energy_charts}/public_power"
    return read_measured(get(address, period(now - BEFORE, now), settings.timeout))


def ask_published(settings: Settings, now: datetime) -> pd.DataFrame:
    """Ask for the forecasts around now (UTC), as ``read_published`` returns them; raises Unavailable."""
    address, answers = f"{settings.energy_charts}/public_power_forecast", {}
    for name in (name for names in PUBLISHED.values() for name in names):
        time.sleep(PAUSE)
        kind = {"production_type": name, "forecast_type": FORECAST_TYPE}
        answers[name] = get(address, period(now - BEFORE, now + AFTER) | kind, settings.timeout)
    return read_published(answers)


def period(start: datetime, end: datetime) -> dict[str, str]:
    """Return the part of a query that says from when to when, in UTC."""
    return {"country": "de", "start": f"{start:%Y-%m-%dT%H}:00Z", "end": f"{end:%Y-%m-%dT%H}:00Z"}


def hourly(times: list[int], values: list[float | None], where: str) -> pd.Series:
    """Return means by the start of the hour in UTC; an hour counts only if none of its values is missing.

    ``where`` names the values in an error. Raises Unavailable.
    """
    power = series(times, values, -HIGHEST, HIGHEST, where)
    steps = pd.Series(power.index).diff().dropna().dt.total_seconds()
    step = steps.mode().iloc[0] if len(steps) else 3600
    if step > 3600:
        raise Unavailable(f"{where}: expected a value for every hour at least, found one every {step:g} s.")
    by_hour = power.groupby(power.index.floor("h"))
    return by_hour.mean().where(by_hour.count() >= 3600 / step)


def add_up(parts: dict[str, pd.Series], names: dict[str, list[str]]) -> pd.DataFrame:
    """Return the targets in GW, of parts in MW. Where a part is missing, so is the sum: half is not all."""
    columns = [name for several in names.values() for name in several]
    power = pd.DataFrame(parts).reindex(columns=columns) / 1000
    return pd.DataFrame({target: power[several].sum(axis=1, skipna=False) for target, several in names.items()})


def read_measured(answer: object) -> pd.DataFrame:
    """Return ``solar_GW`` and ``wind_GW`` by the hour (UTC) of an answer of ``public_power``; raises Unavailable."""
    power = checked(PublicPower, answer, "Energy-Charts")
    wanted = [name for several in MEASURED.values() for name in several]
    parts = {
        one.name: hourly(power.unix_seconds, one.data, f"Energy-Charts, {one.name}")
        for one in power.production_types
        if one.name in wanted
    }
    if not parts:
        raise Unavailable(f"Energy-Charts: expected {', '.join(wanted)}, found none of them.")
    return add_up(parts, MEASURED)


def read_published(answers: dict[str, object]) -> pd.DataFrame:
    """Return ``solar_GW`` and ``wind_GW`` by the hour of answers of ``public_power_forecast``; raises Unavailable."""
    parts = {}
    for name, answer in answers.items():
        where = f"Energy-Charts, forecast of {name}"
        forecast = checked(PublicPowerForecast, answer, where)
        parts[name] = hourly(forecast.unix_seconds, forecast.forecast_values, where)
    return add_up(parts, PUBLISHED)
