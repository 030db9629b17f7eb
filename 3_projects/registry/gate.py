"""The gate: put the challengers through the rules, the one with the smallest error first, until one passes."""

from dataclasses import dataclass, field

import mlflow
import numpy as np
import pandas as pd
import rules
from decisions import sent_away
from holdout import Forecast, Holdout
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion
from rules import FAILED, Result, not_applicable
from thresholds import Thresholds

from forecasting.ledger import Ledger
from forecasting.tracking import project_of


@dataclass
class Challenger:
    """A version that is judged: its forecast, its errors, and the rules' results once it was judged."""

    run: Run
    version: ModelVersion
    forecast: Forecast
    scores: dict[str, float]
    results: list[Result] = field(default_factory=list)

    @property
    def number(self) -> str:
        """The version's number."""
        return str(self.version.version)

    @property
    def title(self) -> str:
        """The version and the project that trained it, for a reader."""
        return f"version {self.number} ({project_of(self.run)})"

    @property
    def failed(self) -> list[Result]:
        """The results of the rules that stop it."""
        return [result for result in self.results if result.outcome == FAILED]


@dataclass(frozen=True)
class Champion:
    """The version in production, which challengers are compared with on the rows that it has not learnt from.

    There are no such rows if it can't be compared with.
    """

    version: str | None  # None if nothing is in production
    forecast: Forecast
    unseen: pd.DatetimeIndex
    remark: str  # what a reader has to know of the comparison


def find_champion(ledger: Ledger, holdout: Holdout, forecasts: dict[str, Forecast]) -> Champion:
    """Return the model in production with its forecast; ``forecasts`` are by version.

    A model that can't be judged any more, because it is gone or takes columns that are gone, must not stand in the way
    of its successor. Nor do the hours count that it has learnt from.
    """
    index, version, fewest = holdout.actuals.index, ledger.production, holdout.thresholds.fewest_days
    if version is None:
        return Champion(None, Forecast(None), index[:0], "nothing is in production")
    about = forecasts[version]
    if about.values is not None and not np.isfinite(about.values).all(axis=None):
        about = Forecast(None, "not every prediction is a finite number")
    if about.values is None:
        remark = f"version {version} in production could not be judged any more: {about.problem}"
        return Champion(version, about, index[:0], remark)
    seen = holdout.seen_by(mlflow.MlflowClient().get_model_version(ledger.name, version).run_id)
    if not seen.any():
        return Champion(version, about, index, "")
    remark = (
        f"version {version} in production was trained on {seen.sum()} of the {len(index)} judged rows, so only "
        "the others are compared"
    )
    unseen = index[~seen]
    if unseen.normalize().nunique() < fewest:
        unseen = unseen[:0]
        remark += f", and they are too few for that (less than {fewest:g} days)"
    return Champion(version, about, unseen, remark)


def judge(challenger: Challenger, champion: Champion, holdout: Holdout) -> list[Result]:
    """Return each rule's result for a challenger."""
    about, thresholds = challenger.forecast, holdout.thresholds
    results = rules.judge_trial(about.problem or about.seconds, thresholds)
    if about.values is not None or about.inputs is not None:
        columns = list(holdout.table.frame.columns)
        results.insert(0, rules.judge_signature(about.inputs, about.outputs, columns, thresholds))
    if about.values is not None:
        results.append(rules.judge_values(about.values, thresholds))
        if np.isfinite(about.values).all(axis=None):
            results.append(rules.judge_naive(about.values, holdout.baselines, holdout.actuals, thresholds))
            results += compare(about.values, champion, holdout.actuals, thresholds)
    stopped_by = [result.rule for result in results if result.outcome == FAILED]
    rest = [rule for rule in rules.RULES if rule not in [result.rule for result in results]]
    return results + not_applicable(rest, f"not judged because of {' and '.join(stopped_by)}")


def compare(ours: pd.DataFrame, champion: Champion, actuals: pd.DataFrame, thresholds: Thresholds) -> list[Result]:
    """Return the results of the two rules that compare a challenger with the champion."""
    theirs, rows = champion.forecast.values, champion.unseen
    if theirs is None or rows.empty:
        return not_applicable(["gain", "parts"], champion.remark)
    if ours.equals(theirs):
        same = "it predicts the same as the version in production"
        return [rules.result("gain", False, same), *not_applicable(["parts"], same)]
    ours, theirs, actuals = ours.loc[rows], theirs.loc[rows], actuals.loc[rows]
    return [rules.judge_gain(ours, theirs, actuals, thresholds), rules.judge_parts(ours, theirs, actuals, thresholds)]


def choose(
    challengers: list[Challenger], champion: Champion, holdout: Holdout, ledger: Ledger
) -> tuple[Challenger | None, list[str]]:
    """Judge the challengers in their order until one passes; return it, or None.

    Also return a sentence about each one looked at, the decisive one last. A version that was rejected or rolled back
    is offered again only if it waits already or is the only one.
    """
    sentences, off = [], holdout.thresholds.mode == "off"
    for challenger in challengers:
        title = f"{ledger.name} {challenger.title}"
        decision = sent_away(ledger, challenger.number, challenger.version.tags)
        if challenger.number == champion.version:
            sentences.append(f"{title} stays in production")
            if off:
                break
        elif decision and len(challengers) > 1 and challenger.number != ledger.candidate:
            sentences.append(f"{title} is not offered again ({decision.title}: {decision.reason})")
        elif off and challenger.forecast.values is not None:
            challenger.results = not_applicable(rules.RULES, "the gate is off")
            return challenger, [*sentences, f"{title} waits for approval; no rule has judged it: the gate is off"]
        else:
            challenger.results = judge(challenger, champion, holdout)
            if not challenger.failed:
                gain = next(result.sentence for result in challenger.results if result.rule == "gain")
                return challenger, [*sentences, f"{title} has passed the gate and waits for approval: {gain}"]
            stopped_by = ", ".join(result.rule for result in challenger.failed)
            sentences.append(f"{title} is refused by {stopped_by}: {challenger.failed[0].sentence}")
    if not off:
        sentences.append(f"no {'other ' if champion.version else ''}version of {ledger.name} has passed the gate")
    return None, sentences
