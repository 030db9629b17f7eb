"""The numbers of one week: all that the report says in words, tables and figures. Power is in GW, hours are in UTC.

Only hours that were recorded count, for the model as for the naive forecasts. Comparisons look back, never ahead, so
that a report made again next year says the same.
"""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd

from report import drift, verdict
from report.basis import Basis, full_weeks
from report.production import TARGETS
from report.week import HOURS, WEEK, check_in_data, hours_of, name_of

NAMES = {"solar_GW": "Solar", "wind_GW": "Wind"}
CALM = 1.0  # GW; below this the wind is worth a word
YEAR = 53  # full weeks that have to be there before anything is called a record


@dataclass(frozen=True)
class Extreme:
    """A value in GW and the hour in which it was."""

    value: float = np.nan
    at: pd.Timestamp | None = None


@dataclass(frozen=True)
class Power:
    """One target in one week; NaN or None is what can't be known."""

    target: str
    mean: float
    energy: float  # GWh of the recorded hours
    highest: Extreme
    lowest: Extreme
    calm: int  # recorded hours below CALM
    former: float  # mean of the three weeks around this one in former years
    former_years: list[int]
    rank: int  # of this week's mean among ``ranked`` weeks, 1 is the highest; 0 if it has none
    rank_from_below: int
    ranked: int
    record_hour: bool  # no hour before was higher, and there is more than a year before
    predicted: float
    bias: float
    mae: float
    naive: dict[str, float]  # MAE
    beaten: dict[str, bool]  # whether the model is better in the hours for which both have a number
    holdout: float  # MAE
    inside: float  # share of the hours that have a range from quantile 0.1 to 0.9 that are inside it
    judgement: verdict.Judgement
    next_mean: float
    next_highest: Extreme

    @property
    def name(self) -> str:
        """Return what people call it."""
        return NAMES[self.target]


@dataclass(frozen=True)
class Facts:
    """One week."""

    start: pd.Timestamp
    first: pd.Timestamp
    last: pd.Timestamp  # hours of the week that are in the data
    hours: int
    recorded: int
    seen: int  # hours of the time that the model was trained on
    following: int  # hours of the next week that can be predicted
    powers: list[Power]
    drift: drift.Drift

    @property
    def name(self) -> str:
        """Return the week's name, such as 2015-W31."""
        return name_of(self.start)

    @property
    def next_name(self) -> str:
        """Return the name of the week after."""
        return name_of(self.start + WEEK)

    @property
    def verdict(self) -> str:
        """Return the verdict that counts."""
        return verdict.worst([power.judgement.level for power in self.powers])


def extreme(series: pd.Series, highest: bool) -> Extreme:
    """Return the highest or the lowest value, the first one of several."""
    series = series.dropna()
    if series.empty:
        return Extreme()
    at = series.idxmax() if highest else series.idxmin()
    return Extreme(float(series[at]), at)


def former_years(recorded: pd.Series, start: pd.Timestamp) -> tuple[float, list[int]]:
    """Return the mean of the week before, this one and the week after in former years, and which years these are."""
    year, number, _ = start.isocalendar()
    index, parts = recorded.index, {}
    for former in range(index[0].year, year):
        same = pd.Timestamp(datetime.fromisocalendar(former, min(number, 52), 1), tz="UTC")  # few years have a week 53
        if same - WEEK >= index[0] and same + WEEK < start:
            parts[former] = recorded.loc[same - WEEK : same + 2 * WEEK - pd.Timedelta(hours=1)]
    return float(pd.concat(parts.values()).mean()) if parts else np.nan, list(parts)


def measure_power(basis: Basis, start: pd.Timestamp, target: str) -> Power:
    """Return the numbers of one target."""
    recorded, predicted = hours_of(basis.recorded[target], start), hours_of(basis.predicted, start)
    measured = recorded.notna()
    error = (predicted[target] - recorded)[measured]
    naive, beaten = {}, {}
    for name, frame in basis.naive.items():
        other = (hours_of(frame[target], start) - recorded).abs().dropna()
        naive[name], beaten[name] = other.mean(), bool(error.abs().loc[other.index].mean() < other.mean())
    weeks = full_weeks(basis, start)[target]
    has_rank = start in weeks.index
    highest = extreme(recorded, True)
    before = basis.recorded.loc[: start - pd.Timedelta(hours=1), target]
    former, years = former_years(basis.recorded[target], start)
    low, high = f"{target}_q10", f"{target}_q90"
    # In the dark the power is 0, and so is a range: such hours would flatter it.
    open_range = measured & (predicted[high] > predicted[low]) if {low, high} <= set(predicted) else measured & False
    following = hours_of(basis.predicted[target], start + WEEK)
    return Power(
        target=target,
        mean=recorded.mean(),
        energy=recorded.sum(),
        highest=highest,
        lowest=extreme(recorded, False),
        calm=int((recorded < CALM).sum()),
        former=former,
        former_years=years,
        rank=int((weeks > weeks[start]).sum()) + 1 if has_rank else 0,
        rank_from_below=int((weeks < weeks[start]).sum()) + 1 if has_rank else 0,
        ranked=len(weeks),
        record_hour=len(before) >= YEAR * HOURS and highest.value > before.max(),
        predicted=predicted[target][measured].mean(),
        bias=error.mean(),
        mae=error.abs().mean(),
        naive=naive,
        beaten=beaten,
        holdout=basis.source.production.holdout[target],
        inside=recorded[open_range].between(predicted[low][open_range], predicted[high][open_range]).mean()
        if open_range.any()
        else np.nan,
        judgement=verdict.judge(basis.references[target], start, error.abs()),
        next_mean=following.mean(),
        next_highest=extreme(following, True),
    )


def measure(basis: Basis, start: pd.Timestamp) -> Facts:
    """Return the numbers of the week that begins at ``start`` (UTC); raises NotThere if the data hold none of it."""
    index = basis.source.table.index
    check_in_data(index, start)
    week = hours_of(basis.recorded, start)
    return Facts(
        start=start,
        first=week.index[0],
        last=week.index[-1],
        hours=len(week),
        recorded=int(week[TARGETS[0]].notna().sum()),
        seen=int(basis.source.seen[index.slice_indexer(week.index[0], week.index[-1])].sum()),
        following=len(hours_of(basis.predicted, start + WEEK)),
        powers=[measure_power(basis, start, target) for target in TARGETS],
        drift=drift.measure(basis.training, start),
    )
