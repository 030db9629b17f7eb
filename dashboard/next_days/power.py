"""Measured and published power from Energy-Charts: which requests are made, and what their answers mean.

Documented at https://api.energy-charts.info: values in MW, at the start of each quarter of an hour (or of each hour).
"""

from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from dashboard.next_days.fetch import Unavailable
from dashboard.next_days.numbers import hours_of, kind, values_of

DAYS_BEFORE, DAYS_AFTER = 3, 3
HIGHEST = 1_000_000  # MW; some storms away from what Germany can make
# Name in public_power, and in public_power_forecast, by target. A target is the sum of its parts.
MEASURED = {"solar_GW": ["Solar"], "wind_GW": ["Wind onshore", "Wind offshore"]}
PUBLISHED = {"solar_GW": ["solar"], "wind_GW": ["wind_onshore", "wind_offshore"]}


def period(now: datetime, before: int, after: int) -> dict:
    """Return the part of a query that says from when to when, in UTC."""
    start, end = now - timedelta(days=before), now + timedelta(days=after)
    return {"country": "de", "start": f"{start:%Y-%m-%dT%H}:00Z", "end": f"{end:%Y-%m-%dT%H}:00Z"}


def hourly(times: pd.DatetimeIndex, values: np.ndarray) -> pd.Series:
    """Return means by the start of the hour in UTC; an hour counts only if none of its values is missing."""
    series = pd.Series(values, times)
    series = series[~times.duplicated(keep="last")].sort_index()
    steps = pd.Series(series.index).diff().dropna().dt.total_seconds()
    step = steps.mode().iloc[0] if len(steps) else 3600
    if step > 3600:
        raise Unavailable(f"Energy-Charts: expected a value for every hour at least, found one every {step:g} s.")
    by_hour = series.groupby(series.index.floor("h"))
    return by_hour.mean().where(by_hour.count() >= 3600 / step)


def add_up(parts: dict[str, pd.Series], names: dict[str, list[str]]) -> pd.DataFrame:
    """Return the targets in GW, of parts in MW. Where a part is missing, so is the sum: half is not all."""
    index = pd.DatetimeIndex(sorted(set().union(*(part.index for part in parts.values()))))
    missing = pd.Series(np.nan, index)
    return pd.DataFrame(
        {
            target: sum(parts.get(part, missing).reindex(index) for part in several) / 1000
            for target, several in names.items()
        }
    )


def read_measured(answer: object) -> pd.DataFrame:
    """Return ``solar_GW`` and ``wind_GW`` by the hour (UTC) of an answer of ``public_power``; raises Unavailable."""
    types = answer.get("production_types") if isinstance(answer, dict) else None
    if not isinstance(types, list):
        raise Unavailable(f"Energy-Charts: expected production_types, found {kind(types)}.")
    times = hours_of(answer.get("unix_seconds"), "Energy-Charts, unix_seconds")
    wanted = [name for several in MEASURED.values() for name in several]
    parts = {}
    for one in types:
        if isinstance(one, dict) and one.get("name") in wanted:
            values = values_of(one.get("data"), len(times), -HIGHEST, HIGHEST, f"Energy-Charts, {one['name']}")
            parts[one["name"]] = hourly(times, values)
    if not parts:
        raise Unavailable(f"Energy-Charts: expected {', '.join(wanted)}, found none of them.")
    return add_up(parts, MEASURED)


def read_published(answers: dict[str, object]) -> pd.DataFrame:
    """Return ``solar_GW`` and ``wind_GW`` by the hour of answers of ``public_power_forecast``; raises Unavailable."""
    parts = {}
    for name, answer in answers.items():
        where = f"Energy-Charts, forecast of {name}"
        if not isinstance(answer, dict):
            raise Unavailable(f"{where}: expected an object, found {kind(answer)}.")
        times = hours_of(answer.get("unix_seconds"), where)
        parts[name] = hourly(times, values_of(answer.get("forecast_values"), len(times), -HIGHEST, HIGHEST, where))
    return add_up(parts, PUBLISHED)
