"""The days around now: what is measured, what is published, and what the model in production makes of the weather.

Pure functions of frames with an hourly UTC index that names the start of each hour; power in GW. "Now" is a value.
"""

import functools
import importlib.util
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd

from dashboard.measures import measure
from report.production import TARGETS, Production

BEFORE, AFTER = pd.Timedelta(days=3), pd.Timedelta(days=3)  # what is shown
FEATURES = Path(__file__).resolve().parents[2] / "3_projects" / "data" / "features.py"


class NoPrediction(Exception):
    """The model in production can't be used on the forecast; the message is one sentence."""


@dataclass(frozen=True)
class Outlook:
    """The hours around now, on one index; what is not known is NaN."""

    now: pd.Timestamp
    measured: pd.DataFrame  # solar_GW, wind_GW
    published: pd.DataFrame
    predicted: pd.DataFrame  # and ..._q10, ..._q90, if the model gives them


@functools.cache
def load_features():
    """Return 3_projects/data/features.py as a module; no copy of it is kept."""
    spec = importlib.util.spec_from_file_location("features_of_the_table", FEATURES)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def summer_time(index: pd.DatetimeIndex) -> pd.Series:
    """Return for each hour whether Germany has summer time."""
    local = index.tz_convert("Europe/Berlin").tz_localize(None)
    return pd.Series(local - index.tz_convert(None) > pd.Timedelta(hours=1), index)


def late_in_summer(table: pd.DataFrame) -> bool:
    """Return whether the weather of the table stands an hour late while summer time lasts, as in the real series.

    The sun tells: then radiation goes better with the clear sky of the hour before. A model that learned from such a
    table needs its weather in the same way.
    """
    features = load_features()
    radiation = table["rad_horizontal"] + table["rad_diffuse"]
    clear = pd.Series(features.clear_sky_radiation(features.solar_elevation(table.index)), table.index)
    summer = summer_time(table.index)
    if summer.sum() < 48:
        return False
    on_time, late = radiation[summer].corr(clear[summer]), radiation[summer].corr(clear.shift(1)[summer])
    return bool(late > on_time)


def as_in_table(weather: pd.DataFrame, late: bool) -> pd.DataFrame:
    """Return the weather as the table has it: while summer time lasts, an hour late, if ``late``."""
    return weather.where(~summer_time(weather.index), weather.shift(1), axis=0) if late else weather


def predict(production: Production, weather: pd.DataFrame, index: pd.DatetimeIndex) -> pd.DataFrame:
    """Return the model's outputs for the hours of ``index``; NaN where the weather is not known. Raises NoPrediction.

    ``weather`` should begin a day before the index and end a day after it, so that lags and means are right.
    """
    features = load_features().add_features(weather)
    if missing := [column for column in production.columns if column not in features]:
        raise NoPrediction(f"The model in production takes {missing[0]}, which a weather forecast does not give.")
    rows = features.reindex(index)[production.columns].dropna()
    if rows.empty:
        return pd.DataFrame(np.nan, index, TARGETS)
    power = production.model.predict(rows)
    return power.set_axis(rows.index).reindex(index).astype(float)


def outlook(
    now: datetime,
    predicted: pd.DataFrame | None,
    measured: pd.DataFrame | None,
    published: pd.DataFrame | None,
) -> Outlook:
    """Return everything on the hours around now (UTC). An hour is measured only once it is over."""
    index = hours_around(now)
    empty = pd.DataFrame(np.nan, index, TARGETS)
    frames = [empty if frame is None else frame.reindex(index) for frame in (measured, published, predicted)]
    over = pd.Series(index + pd.Timedelta(hours=1) <= pd.Timestamp(now), index)
    return Outlook(pd.Timestamp(now), frames[0].where(over, axis=0), frames[1], frames[2])


def hours_around(now: datetime) -> pd.DatetimeIndex:
    """Return the hours that are shown."""
    start = pd.Timestamp(now).floor("h")
    return pd.date_range(start - BEFORE, start + AFTER, freq="h", inclusive="left")


def shape(power: pd.Series | pd.DataFrame, line: pd.Series, known: pd.Series) -> pd.Series | pd.DataFrame:
    """Return power over the mean of its ``line`` in the ``known`` hours: what is left without the level, or NaN."""
    mean = line[known].mean()
    return power / (mean if mean > 0 else np.nan)


def errors(seen: Outlook, target: str) -> dict[str, dict[str, float]]:
    """Return what ``measure`` says of the prediction and of the published forecast, on the same measured hours.

    And ``shape_mae``: the mean absolute difference after both series are divided by their own means, a share of 1.
    """
    truth = seen.measured[target]
    forecasts = {"predicted": seen.predicted[target], "published": seen.published[target]}
    known = truth.notna()
    for forecast in forecasts.values():
        known &= forecast.notna() | ~forecast.notna().any()  # one that is not there at all does not count
    found = {}
    for name, forecast in forecasts.items():
        both = known & forecast.notna()
        relative = shape(forecast, forecast, both) - shape(truth, truth, both)
        scores = measure(truth.where(both).to_numpy(), forecast.where(both).to_numpy(), {})
        found[name] = scores | {"shape_mae": float(relative[both].abs().mean())}
    return found
