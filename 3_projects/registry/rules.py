"""The rules that a challenger has to pass, as pure functions of forecasts and actuals.

Frames have one column for each target, in the target's unit, on the same UTC index: ours is the challenger's forecast,
theirs that of the model in production.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from thresholds import Thresholds

from forecasting.metrics import score

PASSED, FAILED, NOT_APPLICABLE = "passed", "failed", "not applicable"
RULES = ["gain", "naive", "parts", "values", "signature", "loads", "speed"]
SAMPLES = 2000
INTERVAL = (2.5, 97.5)  # percent


@dataclass(frozen=True)
class Result:
    """The result of one rule for one challenger."""

    rule: str
    outcome: str
    sentence: str
    numbers: dict[str, float] | None = None


def result(rule: str, passed: bool, sentence: str, numbers: dict[str, float] | None = None) -> Result:
    """Return that a rule has been passed, or not."""
    return Result(rule, PASSED if passed else FAILED, sentence, numbers)


def not_applicable(rules: list[str], why: str) -> list[Result]:
    """Return that some rules don't apply."""
    return [Result(rule, NOT_APPLICABLE, why) for rule in rules]


def better(share: float) -> str:
    """Say by which share something is better, or worse if the share is negative."""
    return f"{abs(share) * 100:.1f} % {'worse' if share < 0 else 'better'}"


def season_of(index: pd.DatetimeIndex, seasons: dict[str, list[int]]) -> pd.Series:
    """Return the season of each row; ``seasons`` gives the months of each. A month of no season has a missing one."""
    names = {month: name for name, months in seasons.items() for month in months}
    return pd.Series(index.month, index).map(names)


def interval_of_gain(challenger: pd.DataFrame, champion: pd.DataFrame, actuals: pd.DataFrame) -> dict[str, float]:
    """Return the share of the champion's mean absolute error that a challenger avoids, with its 95 % interval.

    Against a model without errors all three are 0. Errors of neighbouring hours are alike, so whole days are drawn,
    with replacement: the block bootstrap of H. R. Künsch, The jackknife and the bootstrap for general stationary
    observations, Annals of Statistics 17 (1989).
    """
    ours, theirs = ((frame - actuals).abs().mean(axis=1) for frame in (challenger, champion))
    sums = pd.DataFrame({"gain": theirs - ours, "error": theirs}).groupby(actuals.index.normalize()).sum()
    drawn = np.random.default_rng(0).multinomial(len(sums), np.full(len(sums), 1 / len(sums)), size=SAMPLES)
    errors = drawn @ sums["error"]
    shares = np.divide(drawn @ sums["gain"], errors, out=np.zeros(SAMPLES), where=errors > 0)
    low, high = np.percentile(shares, INTERVAL, method="nearest")
    gain, error = sums["gain"].sum(), sums["error"].sum()
    return {"gain": float(gain / error) if error else 0.0, "low": float(low), "high": float(high)}


def judge_gain(ours: pd.DataFrame, theirs: pd.DataFrame, actuals: pd.DataFrame, thresholds: Thresholds) -> Result:
    """Require a smaller mean absolute error than the champion's, by more than chance and than retraining brings."""
    interval = interval_of_gain(ours, theirs, actuals)
    mae, other = ((frame - actuals).abs().mean(axis=None) for frame in (ours, theirs))
    sentence = (
        f"mean absolute error {mae:.3f} {'/'.join(sorted(set(thresholds.targets.values())))} against {other:.3f} of "
        f"production: {better(interval['gain'])}, and with 95 % confidence between {better(interval['low'])} and "
        f"{better(interval['high'])}; needed is more than {better(thresholds.smallest_gain)}"
    )
    return result("gain", interval["low"] > thresholds.smallest_gain, sentence, interval)


def judge_naive(
    challenger: pd.DataFrame, baselines: dict[str, pd.DataFrame], actuals: pd.DataFrame, thresholds: Thresholds
) -> Result:
    """Require a smaller mean absolute error than that of each naive forecast, in each target.

    If the thresholds ask for more than chance, the whole 95 % interval of the gain has to be above 0.
    """
    if not baselines:
        return Result("naive", NOT_APPLICABLE, "the rules name no naive forecast")
    beaten, unbeaten = [], []
    for name, baseline in baselines.items():
        for target, unit in thresholds.targets.items():
            ours, theirs = (score(actuals[target], frame[target])["mae"] for frame in (challenger, baseline))
            words, passed = f"MAE {ours:.4g} {unit} against its {theirs:.4g}", ours < theirs
            if thresholds.naive_by_more_than_chance:
                interval = interval_of_gain(challenger[[target]], baseline[[target]], actuals[[target]])
                words += f", and with 95 % confidence between {better(interval['low'])} and {better(interval['high'])}"
                passed = interval["low"] > 0
            (beaten if passed else unbeaten).append(f"{name} in {target} ({words})")
    if unbeaten:
        return result("naive", False, f"not better than {', '.join(unbeaten)}")
    return result("naive", True, f"better than {', '.join(beaten)}")


def judge_parts(ours: pd.DataFrame, theirs: pd.DataFrame, actuals: pd.DataFrame, thresholds: Thresholds) -> Result:
    """Require that no target, and no target in one season, is much worse than the champion's."""
    seasons = season_of(actuals.index, thresholds.seasons)
    parts = {"all seasons": pd.Series(True, actuals.index)}
    for name in thresholds.seasons:
        if actuals.index[seasons == name].normalize().nunique() >= thresholds.fewest_days:
            parts[name] = seasons == name
    changes = {}
    for target in thresholds.targets:
        for name, rows in parts.items():
            part = actuals.loc[rows, target]
            mae, other = (score(part, frame.loc[rows, target])["mae"] for frame in (ours, theirs))
            changes[f"{target} in {name}"] = (mae / other - 1) if other else (float("inf") if mae else 0.0)
    worse = [f"{part} {better(-change)}" for part, change in changes.items() if not change <= thresholds.largest_loss]
    worst = max(changes, key=lambda part: changes[part])
    sentence = ", ".join(worse) if worse else f"the worst part is {worst}, {better(-changes[worst])}"
    return result("parts", not worse, f"{sentence} than production; allowed is {better(-thresholds.largest_loss)}")


def judge_values(challenger: pd.DataFrame, thresholds: Thresholds) -> Result:
    """Require a finite number everywhere, none below the lowest one allowed."""
    values, lowest = challenger.to_numpy(float), thresholds.lowest
    if bad := int((~np.isfinite(values)).any(axis=1).sum()):
        return result("values", False, f"{bad} of {len(values)} rows have no finite number")
    if lowest is not None and (low := int((values < lowest).any(axis=1).sum())):
        sentence = f"{low} of {len(values)} rows are below {lowest:g}, the lowest is {values.min():.3f}"
        return result("values", False, sentence)
    none_below = "" if lowest is None else f", none below {lowest:g}"
    return result("values", True, f"{len(values)} rows of finite numbers{none_below}")


def judge_signature(
    inputs: list[str] | None, outputs: list[str] | None, columns: list[str], thresholds: Thresholds
) -> Result:
    """Require a signature whose inputs are columns of the table and whose outputs include the targets."""
    if inputs is None or outputs is None:
        return result("signature", False, "it has no signature that names its input and output columns")
    if missing := [name for name in inputs if name not in columns]:
        return result("signature", False, f"it takes {', '.join(missing)}, which the table does not have")
    if missing := [name for name in thresholds.targets if name not in outputs]:
        return result("signature", False, f"its outputs are {', '.join(outputs)}; {', '.join(missing)} is missing")
    return result("signature", True, f"takes {len(inputs)} columns of the table, gives {', '.join(outputs)}")


def judge_trial(trial: float | str, thresholds: Thresholds) -> list[Result]:
    """Require that it loads in a clean process and predicts one row quickly; ``trial`` is the seconds or a problem."""
    if isinstance(trial, str):
        failed = result("loads", False, f"in a clean process: {trial}")
        return [failed, *not_applicable(["speed"], "it could not be loaded in a clean process")]
    limit = thresholds.slowest_prediction
    sentence = f"one row takes {trial * 1000:.0f} ms; allowed is {limit * 1000:.0f} ms"
    loads = result("loads", True, "loads in a clean process")
    return [loads, result("speed", trial < limit, sentence, {"seconds": trial})]
