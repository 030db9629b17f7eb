"""How the model did in a week: as expected, watch or act. The rule and its reason are here and nowhere else.

What an error is worth depends on the weather: a sunny week can go wrong by more than a dark one. So the error of a
week (MAE) is divided by the error that is usual for such hours: the mean absolute error of the hours with a similar
predicted power (ten classes of equal size, and one for the dark) in the holdout, which the model has not learnt from.
This ratio is compared with the ratios of the other weeks of the holdout. Ratios differ half as much as the errors
themselves (standard deviation of the logarithm for solar and wind: 0.22 and 0.18 instead of 0.66 and 0.27 in the
sample, 0.30 and 0.32 instead of 0.54 and 0.49 in the real data), so smaller troubles show. Their logarithms are close
enough to a normal distribution, whose quantiles can be estimated from some 50 weeks; a 99th percentile of the weeks
themselves can't. The week itself has no part in any of this.

Each target is judged on its own, and the worse one counts. ``watch`` is beyond 95 % of the weeks; ``act`` is beyond
99.5 %, or beyond 95 % for the second week in a row. Whatever else the page shows against the model is a ``watch`` too:
a naive forecast that was as good, a range that contained too few hours, or an input that is new. A week with hours that
the model has learnt from is not judged.
In the sample's holdout of 51 weeks that is 14 ``watch`` (4 by the error alone) and no ``act`` with the boosting.
"""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import pandas as pd

from forecasting.production import WORKFLOW
from report.week import HOURS

AS_EXPECTED, WATCH, ACT, UNJUDGED = "as expected", "watch", "act", "not judged"
LIMITS = {WATCH: 0.95, ACT: 0.995}  # quantiles, for each target
FEWEST_WEEKS = 8  # of the holdout; fewer say too little about what is usual
FEWEST_HOURS = HOURS // 2  # recorded hours that a week needs
DARK = 0.05  # in the target's unit; up to here the hours are a class of their own
CLASSES = 10
FEWEST_INSIDE = 0.6  # of the hours in a range that should hold 0.8 of them
SMALLEST = 1e-6  # to which predictions are rounded; a smaller error does not count

ADVICE = {
    AS_EXPECTED: "There is nothing to do.",
    WATCH: "Look again next week.",
    ACT: "First check the week's data; the inputs below help. If they are right, train again with: " + WORKFLOW,
    UNJUDGED: "",
}


@dataclass(frozen=True)
class Reference:
    """The usual errors of one target: the class of each hour, and the sums of the holdout's errors by class.

    ``sums`` of absolute errors in the target's unit and ``counts`` of hours have a row for each week.
    """

    classes: pd.Series
    sums: pd.DataFrame
    counts: pd.DataFrame


@dataclass(frozen=True)
class Judgement:
    """The verdict on one target in one week. Errors in its unit, limits as ratios to the usual error."""

    level: str
    usual: float = np.nan
    ratio: float = np.nan
    watch: float = np.nan
    act: float = np.nan
    why: str = ""  # it is not judged


def make_reference(predicted: pd.Series, error: pd.Series, unseen: pd.Series, starts: pd.Series) -> Reference:
    """Return the usual errors in the holdout.

    ``predicted`` and ``error`` (absolute, NaN where nothing was recorded) are in the target's unit. ``unseen`` says
    which hours count, ``starts`` has the first hour of each one's week. All have the same hourly UTC index.
    """
    power, counts = predicted.to_numpy(), (unseen & error.notna()).to_numpy()
    bright = power[counts & (power > DARK)]
    edges = np.quantile(bright, np.arange(1, CLASSES) / CLASSES) if bright.size else []
    classes = pd.Series(np.searchsorted([DARK, *edges], power), predicted.index)
    groups = error[counts].groupby([starts[counts], classes[counts]])
    sums, hours = (
        part.unstack(fill_value=0).reindex(columns=range(CLASSES + 1), fill_value=0)
        for part in (groups.sum(), groups.size())
    )
    return Reference(classes, sums, hours)


def usual_errors(sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the mean error of each class, in rows; a class without hours gets its neighbour's."""
    means = np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)
    return pd.DataFrame(means).bfill(axis=1).ffill(axis=1).to_numpy()


def ratios_of_weeks(sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the logarithm of each week's ratio to what is usual in the other weeks."""
    usual = usual_errors(sums.sum(axis=0) - sums, counts.sum(axis=0) - counts)
    expected = (counts * usual).sum(axis=1)
    good = (counts.sum(axis=1) >= FEWEST_HOURS) & (expected > SMALLEST)
    return np.log(np.maximum(sums.sum(axis=1)[good] / expected[good], SMALLEST))


def judge(reference: Reference, start: pd.Timestamp, error: pd.Series, seen: int = 0) -> Judgement:
    """Judge the absolute errors of a week (NaN where nothing was recorded), ``seen`` of which the model knows."""
    error = error.dropna()
    # The week itself does not count as usual: a very bad one would hide itself.
    sums, counts = (part.drop(start, errors="ignore").to_numpy() for part in (reference.sums, reference.counts))
    by_class = usual_errors(sums.sum(axis=0, keepdims=True), counts.sum(axis=0, keepdims=True))[0]
    usual = float(by_class[reference.classes.loc[error.index]].mean()) if len(error) else np.nan
    if seen:
        return Judgement(UNJUDGED, usual, why=f"the model has learnt from {seen} hours of this week")
    if len(error) < FEWEST_HOURS:
        why = f"of the {HOURS} hours of the week only {len(error)} were recorded; at least {FEWEST_HOURS} are needed"
        return Judgement(UNJUDGED, usual, why=why)
    if len(counts) and not usual > SMALLEST:
        return Judgement(UNJUDGED, usual, why="the model made no error at all in its holdout")
    others = ratios_of_weeks(sums, counts)
    if len(others) < FEWEST_WEEKS:
        why = f"the holdout has only {len(others)} other weeks to compare with; at least {FEWEST_WEEKS} are needed"
        return Judgement(UNJUDGED, usual, why=why)
    spread = NormalDist(others.mean(), max(others.std(ddof=1), SMALLEST))
    watch, act = (float(np.exp(spread.inv_cdf(LIMITS[level]))) for level in (WATCH, ACT))
    ratio = float(error.mean() / usual)
    level = ACT if ratio > act else WATCH if ratio > watch else AS_EXPECTED
    return Judgement(level, usual, ratio, watch, act)


def worst(levels: list[str]) -> str:
    """Return the worst of several verdicts."""
    return max(levels, key=[UNJUDGED, AS_EXPECTED, WATCH, ACT].index)
