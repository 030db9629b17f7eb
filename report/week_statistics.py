"""The numbers of one week: everything that the report says in words, tables and figures. Hours are in UTC.

Only recorded hours count, for the model and for the baselines. Comparisons look back, never ahead, so a report that is
made again next year says the same.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import numpy as np
import pandas as pd

from forecasting.metrics import coverage, score, skill
from report import drift, verdict
from report.report_inputs import ReportInputs
from report.week import HOUR, HOURS, WEEK, hours_of, name_of

YEAR = 53  # ranked weeks that are needed before anything is called a record
NIGHTS = 0.05  # share of hours at 0 from which a lowest hour is not worth a word


class Extreme(NamedTuple):
    """A value and the hour in which it occurred."""

    value: float = np.nan
    at: pd.Timestamp | None = None


@dataclass(frozen=True)
class TargetStatistics:
    """One target in one week, in its unit; NaN or None is what can't be known."""

    target: str
    title: str
    unit: str
    mean: float
    total: float  # sum of the recorded hours: the energy in unit-hours, if the unit is one of power
    highest: Extreme
    lowest: Extreme | None  # None if the target is often 0
    earlier_mean: float  # mean of the three weeks around this one in earlier years
    earlier_years: list[int]
    rank: int  # of this week's mean among ``ranked`` weeks, 1 is the highest; 0 if it has none
    rank_from_below: int
    ranked: int
    record_hour: bool  # no hour before was higher, and there is more than a year before
    bias: float
    mae: float
    baseline_mae: dict[str, float]
    not_beaten: list[str]  # the baselines that were as good as the model in the hours that have both
    holdout_mae: float
    inside: float  # share of the hours with a range (quantile 0.1 to 0.9) that are inside it
    judgement: verdict.Judgement  # of its error
    judgement_before: verdict.Judgement  # in the week before
    next_mean: float
    next_highest: Extreme

    @property
    def again(self) -> bool:
        """Whether the error exceeds its limit for the second week in a row."""
        return {self.judgement.level, self.judgement_before.level} <= {verdict.WATCH, verdict.ACT}

    @property
    def narrow(self) -> bool:
        """Whether the range contains too few hours."""
        return self.inside < verdict.FEWEST_INSIDE

    @property
    def level(self) -> str:
        """The verdict on all of its numbers."""
        if self.again:
            return verdict.ACT
        doubtful = self.judgement.level == verdict.AS_EXPECTED and (self.narrow or self.not_beaten)
        return verdict.WATCH if doubtful else self.judgement.level


@dataclass(frozen=True)
class WeekStatistics:
    """One week."""

    start: pd.Timestamp
    place: str
    first: pd.Timestamp
    last: pd.Timestamp  # hours of the week that are in the data
    hours: int
    recorded: int
    seen: int  # hours that the model has learnt from
    next_hours: int  # hours of the next week that can be predicted
    targets: list[TargetStatistics]
    drift: drift.Drift

    @property
    def name(self) -> str:
        """The week's name, such as 2015-W31."""
        return name_of(self.start)

    @property
    def next_name(self) -> str:
        """The name of the week after."""
        return name_of(self.start + WEEK)

    @property
    def title(self) -> str:
        """The title of the report without the week, such as Solar and wind in Germany."""
        names = " and ".join(one.title.lower() for one in self.targets).capitalize()
        return f"{names} in {self.place}" if self.place else names

    @property
    def verdict(self) -> str:
        """The verdict on the model."""
        level = verdict.worst([one.level for one in self.targets])
        return verdict.WATCH if level == verdict.AS_EXPECTED and self.drift.state == drift.NEW else level


def highest_of(series: pd.Series, sign: int = 1) -> Extreme:
    """Return the highest value, or the lowest with ``sign`` -1; the first one of several."""
    series = sign * series.dropna()
    return Extreme(float(sign * series.max()), series.idxmax()) if len(series) else Extreme()


def same_weeks_of_earlier_years(actuals: pd.Series, start: pd.Timestamp) -> tuple[float, list[int]]:
    """Return the mean of the week before, this one and the week after in earlier years, and which years these are."""
    year, number, _ = start.isocalendar()
    index, parts = actuals.index, {}
    for earlier in range(index[0].year, year):
        same = pd.Timestamp(datetime.fromisocalendar(earlier, min(number, 52), 1), tz="UTC")  # few years have a week 53
        if same - WEEK >= index[0] and same + WEEK < start:
            parts[earlier] = actuals.loc[same - WEEK : same + 2 * WEEK - HOUR]
    return float(pd.concat(parts.values()).mean()) if parts else np.nan, list(parts)


def seen_hours(inputs: ReportInputs, start: pd.Timestamp) -> int:
    """Count the hours of a week that the model has learnt from."""
    return int(hours_of(pd.Series(inputs.seen, inputs.actuals.index), start).sum())


def judge(inputs: ReportInputs, start: pd.Timestamp, target: str) -> verdict.Judgement:
    """Judge the errors of one target in a week."""
    error = hours_of(inputs.predicted[target], start) - hours_of(inputs.actuals[target], start)
    return verdict.judge(inputs.references[target], start, error.abs(), seen_hours(inputs, start))


def target_statistics(inputs: ReportInputs, start: pd.Timestamp, target: str) -> TargetStatistics:
    """Return the numbers of one target."""
    every, actuals = inputs.actuals[target], hours_of(inputs.actuals[target], start)
    predicted = hours_of(inputs.predicted, start)
    errors = score(actuals, predicted[target])
    baseline_mae, not_beaten = {}, []
    for name, frame in inputs.baselines.items():
        baseline = hours_of(frame[target], start)
        baseline_mae[name] = (baseline - actuals).abs().mean()
        if baseline_mae[name] == 0 or skill(actuals, predicted[target], baseline) <= 0:
            not_beaten.append(name)
    weeks = inputs.weekly.loc[:start, target]
    mean = weeks.get(start)
    rank, rank_from_below = (1 + (weeks > mean).sum(), 1 + (weeks < mean).sum()) if start in weeks.index else (0, 0)
    highest, before = highest_of(actuals), every.loc[: start - HOUR]
    earlier_mean, earlier_years = same_weeks_of_earlier_years(every, start)
    inside, low, high = np.nan, f"{target}_q10", f"{target}_q90"
    if {low, high} <= set(predicted):
        # In the dark solar power is 0, and so is its range: such hours would flatter it.
        wide = predicted[high] > predicted[low]
        inside = coverage(actuals[wide], predicted[low][wide], predicted[high][wide])
    following = hours_of(inputs.predicted[target], start + WEEK)
    return TargetStatistics(
        target=target,
        title=inputs.table.subject.label(target),
        unit=inputs.table.subject.unit(target),
        mean=actuals.mean(),
        total=actuals.sum(),
        highest=highest,
        lowest=highest_of(actuals, -1) if (every == 0).mean() < NIGHTS else None,
        earlier_mean=earlier_mean,
        earlier_years=earlier_years,
        rank=int(rank),
        rank_from_below=int(rank_from_below),
        ranked=len(weeks),
        record_hour=len(before) >= YEAR * HOURS and highest.value > before.max(),
        bias=errors["bias"],
        mae=errors["mae"],
        baseline_mae=baseline_mae,
        not_beaten=not_beaten,
        holdout_mae=inputs.production.holdout_mae.get(target, np.nan),
        inside=inside,
        judgement=judge(inputs, start, target),
        judgement_before=judge(inputs, start - WEEK, target),
        next_mean=following.mean(),
        next_highest=highest_of(following),
    )


def week_statistics(inputs: ReportInputs, start: pd.Timestamp) -> WeekStatistics:
    """Return the numbers of the week that begins at ``start`` (UTC), of which the data contain at least an hour."""
    week = hours_of(inputs.actuals, start)
    return WeekStatistics(
        start=start,
        place=inputs.table.subject.place,
        first=week.index[0],
        last=week.index[-1],
        hours=len(week),
        recorded=int(week.notna().all(axis=1).sum()),
        seen=seen_hours(inputs, start),
        next_hours=len(hours_of(inputs.predicted, start + WEEK)),
        targets=[target_statistics(inputs, start, target) for target in inputs.table.targets],
        drift=drift.measure(inputs.table, inputs.production.columns, inputs.seen, start),
    )
