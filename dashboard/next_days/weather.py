"""The country's weather from Open-Meteo: which request is made, and what its answer means.

Documented at https://open-meteo.com/en/docs. Several places in one request give a list of answers, in their order.
Radiation is the mean of the hour before its time (open-meteo/open-meteo, issue 959); wind and temperature are values of
that moment. The hourly table names the start of an hour, so that hour_means() moves them.
"""

import tomllib
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from dashboard.next_days.fetch import Unavailable
from dashboard.next_days.numbers import hours_of, kind, number, values_of

PLAN = Path(__file__).with_name("weather.toml")
# More days than are shown, so that the means and lags of the features are right at both ends.
DAYS_BEFORE, DAYS_AFTER = 5, 5
# Column: unit that Open-Meteo names, and the lowest and highest value that can be weather.
COLUMNS = {
    "windspeed": ("m/s", 0, 100),
    "temperature": ("°C", -60, 60),
    "rad_horizontal": ("W/m²", 0, 1500),
    "rad_diffuse": ("W/m²", 0, 1500),
}
LEAST_WEIGHT = 0.5  # of the places have to have a value, or the hour has none


@dataclass(frozen=True)
class Site:
    """A place and how much of the country it stands for."""

    latitude: float
    longitude: float
    weight: float


@dataclass(frozen=True)
class Plan:
    """What is asked for: the hourly variable for each column, and the places."""

    variables: dict[str, str]
    sites: tuple[Site, ...]


def read_plan(path: Path = PLAN) -> Plan:
    """Return what weather.toml says; raises Unavailable."""
    try:
        said = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Unavailable(f"{path.name} can't be read: {str(error).splitlines()[0]}.") from None
    variables, sites = said.get("variables"), said.get("sites")
    if not isinstance(variables, dict) or set(variables) != set(COLUMNS):
        raise Unavailable(f"{path.name}: expected [variables] with {', '.join(COLUMNS)}.")
    ranges = {"latitude": (-90, 90), "longitude": (-180, 180), "weight": (1e-6, 1e9)}
    places = []
    for site in sites if isinstance(sites, list) else []:
        found = {name: number(site.get(name), *limits) for name, limits in ranges.items()}
        if wrong := [name for name, value in found.items() if np.isnan(value)]:
            low, high = ranges[wrong[0]]
            raise Unavailable(f"{path.name}: expected a {wrong[0]} from {low:g} to {high:g}, found another.")
        places.append(Site(**found))
    if not places:
        raise Unavailable(f"{path.name}: expected at least one of [[sites]], found none.")
    return Plan({column: str(variables[column]) for column in COLUMNS}, tuple(places))


def parameters(plan: Plan, now: datetime) -> dict:
    """Return the query of ``/v1/forecast`` for the days around now (UTC)."""
    return {
        "latitude": ",".join(f"{site.latitude:g}" for site in plan.sites),
        "longitude": ",".join(f"{site.longitude:g}" for site in plan.sites),
        "hourly": ",".join(plan.variables.values()),
        "wind_speed_unit": "ms",
        "timeformat": "unixtime",
        "timezone": "UTC",
        "start_date": f"{now - timedelta(days=DAYS_BEFORE):%Y-%m-%d}",
        "end_date": f"{now + timedelta(days=DAYS_AFTER):%Y-%m-%d}",
    }


def read_site(answer: object, plan: Plan, where: str) -> pd.DataFrame:
    """Return the columns of the table for one place at Open-Meteo's times (UTC); raises Unavailable."""
    hourly, units = ((answer.get(name) if isinstance(answer, dict) else None) for name in ("hourly", "hourly_units"))
    if not isinstance(hourly, dict) or not isinstance(units, dict):
        raise Unavailable(f"{where}: expected hourly values and their units, found {kind(answer)} without them.")
    times = hours_of(hourly.get("time"), f"{where}, time")
    columns = {}
    for column, variable in plan.variables.items():
        unit, low, high = COLUMNS[column]
        if units.get(variable) != unit:
            raise Unavailable(f"{where}, {variable}: expected {unit}, found {str(units.get(variable))[:20]}.")
        columns[column] = values_of(hourly.get(variable), len(times), low, high, f"{where}, {variable}")
    frame = pd.DataFrame(columns, index=times)
    return frame[~frame.index.duplicated(keep="last")].sort_index()


def read_weather(answer: object, plan: Plan) -> pd.DataFrame:
    """Return the weighted mean of the places, with a gap-free hourly UTC index; an hour may be NaN.

    A place without a value leaves its weight to the others, as long as half of all weight is there. Raises Unavailable.
    """
    answers = answer if isinstance(answer, list) else [answer]
    if len(answers) != len(plan.sites):
        raise Unavailable(f"Open-Meteo: expected {len(plan.sites)} places, found {len(answers)}.")
    frames = [read_site(one, plan, f"Open-Meteo, place {place}") for place, one in enumerate(answers, 1)]
    index = pd.date_range(
        min(frame.index[0] for frame in frames).floor("h"), max(frame.index[-1] for frame in frames), freq="h"
    )
    if len(index) > 24 * 40:
        raise Unavailable(f"Open-Meteo: expected {DAYS_BEFORE + DAYS_AFTER + 1} days, found {len(index) // 24}.")
    values = np.array([frame.reindex(index).to_numpy() for frame in frames])  # place, hour, column
    weights = np.array([site.weight for site in plan.sites])[:, None, None] * ~np.isnan(values)
    there = weights.sum(axis=0)
    enough = there >= LEAST_WEIGHT * sum(site.weight for site in plan.sites)
    mean = (np.nan_to_num(values) * weights).sum(axis=0) / np.where(enough, there, np.nan)
    return pd.DataFrame(mean, index=index, columns=list(plan.variables))


def hour_means(weather: pd.DataFrame) -> pd.DataFrame:
    """Return the weather by the start of each hour: the radiation of that hour, and the mean of both its ends.

    Takes read_weather()'s frame. The last hour has no end and is left out.
    """
    radiation = [column for column in weather if column.startswith("rad_")]
    following = weather.shift(-1)
    means = (weather + following) / 2
    means[radiation] = following[radiation]
    return means.iloc[:-1]
