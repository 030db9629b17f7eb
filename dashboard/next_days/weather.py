"""The country's weather from Open-Meteo: which request is made, and what its answer means.

Documented at https://open-meteo.com/en/docs. Several places in one request give a list of answers, in their order.
Radiation is the mean of the hour before its time (open-meteo/open-meteo, issue 959); wind and temperature are values of
that moment. The hourly table names the start of an hour, so that hour_means() moves them.
"""

import tomllib
from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd
from pydantic import BaseModel, Field

from dashboard.next_days.answers import Times, Unavailable, Values, checked, get, series
from dashboard.settings import Settings

PLAN = Path(__file__).with_name("weather.toml")
# More days than are shown, so that the means and lags of the features are right at both ends.
DAYS_AROUND = timedelta(days=5)
COLUMNS = ["windspeed", "temperature", "rad_horizontal", "rad_diffuse"]  # of the hourly table
LEAST_WEIGHT = 0.5  # of the places have to have a value, or the hour has none


class Variable(BaseModel):
    """An hourly variable of Open-Meteo, and what its values have to be."""

    name: str
    unit: str
    low: float
    high: float


class Site(BaseModel):
    """A place and how much of the country it stands for."""

    latitude: float = Field(ge=-90, le=90)
    longitude: float = Field(ge=-180, le=180)
    weight: float = Field(gt=0)


class Plan(BaseModel):
    """What is asked for: a variable for each column, and the places."""

    variables: dict[str, Variable]
    sites: list[Site] = Field(min_length=1)


class Place(BaseModel):
    """Open-Meteo's answer for one place."""

    hourly: dict[str, object]  # a list for each variable, and one of their times
    hourly_units: dict[str, str]


def ask(settings: Settings, now: datetime) -> pd.DataFrame:
    """Ask for the weather around now (UTC), as ``read_weather`` returns it; raises Unavailable."""
    plan = read_plan()
    return read_weather(get(f"{settings.open_meteo}/v1/forecast", parameters(plan, now), settings.timeout), plan)


def read_plan(path: Path = PLAN) -> Plan:
    """Return what weather.toml says; raises Unavailable."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Unavailable(f"{path.name} can't be read: {str(error).splitlines()[0]}.") from None
    plan = checked(Plan, content, path.name)
    if set(plan.variables) != set(COLUMNS):
        raise Unavailable(f"{path.name}: expected [variables] with {', '.join(COLUMNS)}.")
    return plan


def parameters(plan: Plan, now: datetime) -> dict[str, str]:
    """Return the query of ``/v1/forecast`` for the days around now (UTC)."""
    return {
        "latitude": ",".join(f"{site.latitude:g}" for site in plan.sites),
        "longitude": ",".join(f"{site.longitude:g}" for site in plan.sites),
        "hourly": ",".join(plan.variables[column].name for column in COLUMNS),
        "wind_speed_unit": "ms",
        "timeformat": "unixtime",
        "timezone": "UTC",
        "start_date": f"{now - DAYS_AROUND:%Y-%m-%d}",
        "end_date": f"{now + DAYS_AROUND:%Y-%m-%d}",
    }


def read_place(place: Place, plan: Plan, where: str) -> pd.DataFrame:
    """Return the columns of the hourly table for one place at Open-Meteo's times (UTC); raises Unavailable."""
    columns, times = {}, checked(Times, place.hourly.get("time"), f"{where}, time")
    for column in COLUMNS:
        variable = plan.variables[column]
        about, unit = f"{where}, {variable.name}", place.hourly_units.get(variable.name)
        if unit != variable.unit:
            raise Unavailable(f"{about}: expected {variable.unit}, found {str(unit)[:20]}.")
        values = checked(Values, place.hourly.get(variable.name), about)
        columns[column] = series(times, values, variable.low, variable.high, about)
    return pd.DataFrame(columns)


def read_weather(answer: object, plan: Plan) -> pd.DataFrame:
    """Return the weighted mean of the places, with a gap-free hourly UTC index; an hour may be NaN.

    A place without a value leaves its weight to the others, as long as half of all weight is there. Raises Unavailable.
    """
    places = checked(list[Place], answer if isinstance(answer, list) else [answer], "Open-Meteo, place")
    if len(places) != len(plan.sites):
        raise Unavailable(f"Open-Meteo: expected {len(plan.sites)} places, found {len(places)}.")
    frames = [read_place(place, plan, f"Open-Meteo, place {number}") for number, place in enumerate(places, 1)]
    # One row for each place and hour.
    values = pd.concat(frames, keys=[site.weight for site in plan.sites], names=["weight", "time"])
    times = values.index.get_level_values("time")
    if times.max() - times.min() > 4 * DAYS_AROUND:
        days = (times.max() - times.min()).days + 1
        raise Unavailable(f"Open-Meteo: expected {2 * DAYS_AROUND.days + 1} days, found {days}.")
    weights = values.notna().mul(values.index.get_level_values("weight"), axis=0)
    there = weights.groupby("time").sum().asfreq("h")
    mean = (values.fillna(0) * weights).groupby("time").sum().asfreq("h") / there
    return mean.where(there >= LEAST_WEIGHT * sum(site.weight for site in plan.sites))


def hour_means(weather: pd.DataFrame) -> pd.DataFrame:
    """Return the weather by the start of each hour: the radiation of that hour, and the mean of both its ends.

    Takes read_weather()'s frame. The last hour has no end and is left out.
    """
    radiation = [column for column in weather if column.startswith("rad_")]
    following = weather.shift(-1)
    means = (weather + following) / 2
    means[radiation] = following[radiation]
    return means.iloc[:-1]
