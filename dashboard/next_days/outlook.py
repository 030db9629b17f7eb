"""The days around now: what is measured, what is published, and what the model in production makes of the weather.

Pure functions of frames with an hourly UTC index that names the start of each hour; power in GW. "Now" is a value.
"""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd

from dashboard.targets import Target
from forecasting.errors import UserError
from forecasting.features import add_features
from forecasting.metrics import score
from forecasting.production import Production

BEFORE, AFTER = pd.Timedelta(days=3), pd.Timedelta(days=3)  # what is shown
# What the services measure and publish.
TARGETS = [Target("solar_GW", "Solar", "GW", "target1"), Target("wind_GW", "Wind", "GW", "target2")]
NAMES = [target.name for target in TARGETS]
RANGE = {"low": "q10", "high": "q90"}


@dataclass(frozen=True)
class Outlook:
    """The hours around now, on one index; what is not known is NaN."""

    now: pd.Timestamp
    measured: pd.DataFrame  # solar_GW, wind_GW
    published: pd.DataFrame
    predicted: pd.DataFrame  # and ..._q10, ..._q90, if the model gives them

    def lines(self, target: str) -> pd.DataFrame:
        """Return a target's power: ``measured``, ``published``, ``predicted``, and its range ``low`` to ``high``."""
        range_ends = {end: self.predicted.get(f"{target}_{name}", np.nan) for end, name in RANGE.items()}
        lines = {"measured": self.measured[target], "published": self.published[target]}
        return pd.DataFrame(lines | {"predicted": self.predicted[target]} | range_ends)


def summer_time(index: pd.DatetimeIndex) -> pd.Series:
    """Return for each hour whether Germany has summer time."""
    local = index.tz_convert("Europe/Berlin").tz_localize(None)
    return pd.Series(local - index.tz_convert(None) > pd.Timedelta(hours=1), index)


def late_in_summer(table: pd.DataFrame) -> bool:
    """Return whether the weather of the table is an hour late during summer time, as in the real series.

    The sun tells: then radiation goes better with the clear sky of the hour before. A model that learned from such a
    table needs its weather in the same way.
    """
    radiation, clear = table["rad_horizontal"] + table["rad_diffuse"], table["rad_clear_sky"]
    summer = summer_time(table.index)
    if summer.sum() < 48:
        return False
    on_time, late = radiation[summer].corr(clear[summer]), radiation[summer].corr(clear.shift(1)[summer])
    return bool(late > on_time)


def as_in_table(weather: pd.DataFrame, late: bool) -> pd.DataFrame:
    """Return the weather as the table has it: an hour late during summer time, if ``late``."""
    return weather.where(~summer_time(weather.index), weather.shift(1), axis=0) if late else weather


def predict(production: Production, weather: pd.DataFrame, index: pd.DatetimeIndex) -> pd.DataFrame:
    """Return the model's outputs for the hours of ``index``; NaN where the weather is not known. Raises UserError.

    ``weather`` should begin a day before the index and end a day after it, so that lags and means are right.
    """
    features = add_features(weather)
    if missing := [column for column in production.columns if column not in features]:
        raise UserError(f"The model in production takes {missing[0]}, which a weather forecast does not give.")
    rows = features.reindex(index)[production.columns].dropna()
    if rows.empty:
        return pd.DataFrame(np.nan, index, NAMES)
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
    empty = pd.DataFrame(np.nan, index, NAMES)
    frames = [empty if frame is None else frame.reindex(index) for frame in (measured, published, predicted)]
    over = pd.Series(index + pd.Timedelta(hours=1) <= pd.Timestamp(now), index)
    return Outlook(pd.Timestamp(now), frames[0].where(over, axis=0), frames[1], frames[2])


def hours_around(now: datetime) -> pd.DatetimeIndex:
    """Return the hours that are shown."""
    start = pd.Timestamp(now).floor("h")
    return pd.date_range(start - BEFORE, start + AFTER, freq="h", inclusive="left")


def in_common(lines: pd.DataFrame) -> pd.DataFrame:
    """Return the hours that all lines of ``Outlook.lines`` have; a line that is not there at all does not count."""
    there = lines.dropna(axis="columns", how="all")
    return lines.loc[there.dropna().index]


def shapes(lines: pd.DataFrame, hours: pd.DataFrame) -> pd.DataFrame:
    """Return each line over its own mean in the ``hours``: what is left without the level; NaN if the mean is 0.

    The range is taken over the mean of the prediction.
    """
    levels = hours.mean()
    levels.update({end: levels["predicted"] for end in RANGE if end in levels})
    return lines / levels.where(levels > 0)


def errors(seen: Outlook, target: str) -> dict[str, dict[str, float]]:
    """Return the scores of the prediction and of the published forecast, on the same measured hours.

    And ``shape_mae``: the mean absolute difference after both series are divided by their own means, a share of 1.
    """
    hours, scores = in_common(seen.lines(target)), {}
    for name in ("predicted", "published"):
        both = hours[["measured", name]].dropna()
        relative = shapes(both, both)
        scores[name] = score(both["measured"], both[name]) | {"hours": len(both)}
        scores[name]["shape_mae"] = float((relative[name] - relative["measured"]).abs().mean())
    return scores
