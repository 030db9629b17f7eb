"""The rules that a candidate has to pass, as pure functions of predictions and recorded values.

Frames have one column for each target, in the target's unit, on the same UTC index.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from errors import metrics_of, season_of
from rules import Rules

PASSED, FAILED, NOT_APPLICABLE = "passed", "failed", "not applicable"
RULES = ["gain", "naive", "parts", "values", "signature", "loads", "speed"]
SAMPLES = 2000
INTERVAL = (2.5, 97.5)  # percent


@dataclass(frozen=True)
class Result:
    """What came of one rule for one candidate."""

    rule: str
    outcome: str
    sentence: str
    numbers: dict[str, float] | None = None


def result(rule: str, passed: bool, sentence: str, numbers: dict[str, float] | None = None) -> Result:
    """Return that a rule has been passed, or not."""
    return Result(rule, PASSED if passed else FAILED, sentence, numbers)


def days_of(index: pd.DatetimeIndex) -> int:
    """Return on how many days there are rows."""
    return index.normalize().nunique()


def interval_of_gain(candidate: pd.DataFrame, production: pd.DataFrame, truth: pd.DataFrame) -> dict[str, float]:
    """Return by which share of production's mean absolute error a candidate is better, with its 95 % interval.

    Against a model without errors all three are 0. Errors of neighbouring hours are alike, so whole days are drawn,
    with replacement: the block bootstrap of H. R. Künsch, The jackknife and the bootstrap for general stationary
    observations, Annals of Statistics 17 (1989).
    """
    ours, theirs = ((frame - truth).abs().mean(axis=1) for frame in (candidate, production))
    sums = pd.DataFrame({"gain": theirs - ours, "error": theirs}).groupby(truth.index.normalize()).sum()
    drawn = np.random.default_rng(0).multinomial(len(sums), np.full(len(sums), 1 / len(sums)), size=SAMPLES)
    errors = drawn @ sums["error"]
    shares = np.divide(drawn @ sums["gain"], errors, out=np.zeros(SAMPLES), where=errors > 0)
    low, high = np.percentile(shares, INTERVAL, method="nearest")
    gain, error = sums["gain"].sum(), sums["error"].sum()
    return {"gain": float(gain / error) if error else 0.0, "low": float(low), "high": float(high)}


def judge_gain(candidate: pd.DataFrame, production: pd.DataFrame, truth: pd.DataFrame, rules: Rules) -> Result:
    """Ask for a better mean absolute error than production's, by more than chance and by more than a re-train gives."""
    found = interval_of_gain(candidate, production, truth)
    ours, theirs = ((frame - truth).abs().mean(axis=None) for frame in (candidate, production))
    sentence = (
        f"mean absolute error {ours:.3f} {'/'.join(sorted(set(rules.targets.values())))} against {theirs:.3f} of "
        f"production: {found['gain']:+.1%} better, and with 95 % confidence between {found['low']:+.1%} and "
        f"{found['high']:+.1%}; needed is more than {rules.smallest_gain:.1%}"
    )
    return result("gain", found["low"] > rules.smallest_gain, sentence, found)


def judge_naive(candidate: pd.DataFrame, naive: dict[str, pd.DataFrame], truth: pd.DataFrame, rules: Rules) -> Result:
    """Ask for a smaller mean absolute error than that of each naive forecast, in each target.

    If the rules want it by more than chance, the whole 95 % interval of the gain has to be above 0.
    """
    if not naive:
        return Result("naive", NOT_APPLICABLE, "the rules name no naive forecast")
    better, as_good = [], []
    for name, forecast in naive.items():
        for target, unit in rules.targets.items():
            ours, theirs = (
                metrics_of(frame[target].reindex(truth.index), truth[target])["mae"] for frame in (candidate, forecast)
            )
            words, passed = f"MAE {ours:.4g} {unit} against its {theirs:.4g}", ours < theirs
            if rules.naive_by_more_than_chance:
                found = interval_of_gain(
                    *(frame[[target]].reindex(truth.index) for frame in (candidate, forecast, truth))
                )
                words += f", and with 95 % confidence between {found['low']:+.1%} and {found['high']:+.1%} better"
                passed = found["low"] > 0
            (better if passed else as_good).append(f"{name} in {target} ({words})")
    if as_good:
        return result("naive", False, f"not better than {', '.join(as_good)}")
    return result("naive", True, f"better than {', '.join(better)}")


def judge_parts(candidate: pd.DataFrame, production: pd.DataFrame, truth: pd.DataFrame, rules: Rules) -> Result:
    """Ask that no target, and no target in one season, is much worse than production."""
    seasons = season_of(truth.index, rules.seasons)
    parts = {"all seasons": pd.Series(True, truth.index)} | {name: seasons == name for name in rules.seasons}
    changes = {}
    for target in rules.targets:
        for name, rows in parts.items():
            if name != "all seasons" and days_of(truth.index[rows]) < rules.fewest_days:
                continue
            ours, theirs = (
                metrics_of(f.loc[rows, target], truth.loc[rows, target])["mae"] for f in (candidate, production)
            )
            changes[f"{target} in {name}"] = (ours / theirs - 1) if theirs else (float("inf") if ours else 0.0)
    worse = [f"{part} by {change:.1%}" for part, change in changes.items() if not change <= rules.largest_loss]
    worst = max(changes, key=changes.get)
    allowed = f"allowed is {rules.largest_loss:.1%}"
    sentence = f"worse than production: {', '.join(worse)}" if worse else f"worst is {worst}: {changes[worst]:+.1%}"
    return result("parts", not worse, f"{sentence}; {allowed}")


def judge_values(candidate: pd.DataFrame, rules: Rules) -> Result:
    """Ask for a finite number everywhere, not below the lowest one."""
    values = candidate.to_numpy(float)
    bad = ~np.isfinite(values)
    if bad.any():
        return result("values", False, f"{bad.any(axis=1).sum()} of {len(values)} rows have no finite number")
    floor = "" if rules.lowest is None else f", none below {rules.lowest:g}"
    if rules.lowest is not None and (low := values < rules.lowest).any():
        count = low.any(axis=1).sum()
        return result(
            "values",
            False,
            f"{count} of {len(values)} rows are below {rules.lowest:g}, the lowest is {values.min():.3f}",
        )
    return result("values", True, f"{len(values)} rows of finite numbers{floor}")


def judge_signature(inputs: list[str] | None, outputs: list[str] | None, table: list[str], rules: Rules) -> Result:
    """Ask for a signature whose inputs are columns of the table and whose outputs name the targets."""
    if inputs is None or outputs is None:
        return result("signature", False, "it has no signature that names its input and output columns")
    if missing := [name for name in inputs if name not in table]:
        return result("signature", False, f"it takes {', '.join(missing)}, which the table does not have")
    if missing := [name for name in rules.targets if name not in outputs]:
        return result("signature", False, f"its outputs are {', '.join(outputs)}; {', '.join(missing)} is missing")
    return result("signature", True, f"takes {len(inputs)} columns of the table, gives {', '.join(outputs)}")


def judge_trial(trial: dict, rules: Rules) -> list[Result]:
    """Ask that it loads in a clean process and predicts one row quickly; ``trial`` is what try_model.py printed."""
    if problem := trial.get("problem"):
        speed = Result("speed", NOT_APPLICABLE, "it could not be loaded and asked in a clean process")
        return [result("loads", False, f"in a clean process: {problem}"), speed]
    seconds, limit = trial["seconds"], rules.slowest_prediction
    sentence = f"one row takes {seconds * 1000:.0f} ms; allowed is {limit * 1000:.0f} ms"
    numbers = {"seconds": seconds}
    return [result("loads", True, "loads in a clean process"), result("speed", seconds < limit, sentence, numbers)]
