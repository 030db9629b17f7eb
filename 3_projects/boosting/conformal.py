"""The range around the mean that holds the power in four hours of five, in an unseen year too.

Conformalized quantile regression (Y. Romano, E. Patterson, E. Candès, "Conformalized Quantile Regression", NeurIPS
2019) with scores per width (M. Sesia, E. Candès, "A comparison of some conformal quantile regression methods", Stat 9,
2020), for each side and each of the four groups of model.py. The errors are those of a forecast made a year before,
as they will be when the model is used.
"""

import numpy as np
import pandas as pd
from capacity import TARGETS, TWO_YEARS, estimate_growth, fit_fleet, fold_of
from model import DARK, GROUPS, RANGE_FEATURES, SIDES, group_of, predict_power, raw_range, size_of
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.metrics import mean_absolute_error

YEAR = pd.Timedelta(days=365)
FEWEST = 200  # hours in a group; with fewer, the margins are those of all hours


def last_year(index: pd.DatetimeIndex) -> np.ndarray:
    """Return which hours are kept for calibration: the last year, or the last third of less than two years."""
    span = index[-1] - index[0]
    return index > index[-1] - (YEAR if span >= TWO_YEARS else span / 3)


def fit_quantiles(inputs: np.ndarray, error: np.ndarray) -> dict:
    """Return boostings of the quantiles 0.1 and 0.9 of the error; one year is enough for few and small trees only."""
    return {
        side: HistGradientBoostingRegressor(
            loss="quantile",
            quantile=quantile,
            max_iter=40,
            max_leaf_nodes=8,
            min_samples_leaf=100,
            early_stopping=False,
        ).fit(inputs, error)
        for side, quantile in SIDES.items()
    }


def calibrate(hours: pd.DataFrame, target: str, fleet: dict) -> dict:
    """Return the boostings of the range and its margins from hours that ``fleet`` has not seen.

    The margins, of shape (group, side), are in widths of the range that the boostings give for weeks not learnt from.
    """
    hours = hours[is_lit(hours, target)]
    mean = fleet["mean"].predict(hours[fleet["features"]].to_numpy()).clip(min=0)
    error = hours[target].to_numpy() / size_of(hours, target, fleet["growth"], fleet["end"]) - mean
    inputs, years = np.column_stack([mean, hours[RANGE_FEATURES].to_numpy()]), hours["trend"].to_numpy() - fleet["end"]
    fold, low, high = fold_of(hours.index), np.empty(len(hours)), np.empty(len(hours))
    for part in np.unique(fold):
        quantiles = fit_quantiles(inputs[fold != part], error[fold != part])
        here = fold == part
        low[here], high[here] = raw_range(inputs[here], years[here], {**fleet, **quantiles})
    scores = {"q10": (low - error) / (high - low), "q90": (error - high) / (high - low)}
    group, margins = group_of(hours), np.empty((len(GROUPS), len(SIDES)))
    for number in range(len(GROUPS)):
        member = group == number
        if member.sum() < FEWEST:
            member = group >= 0
        # The share that holds for an hour to come as well, not only for these: Romano et al., theorem 1.
        share = min(1.0, 0.9 * (1 + 1 / member.sum()))
        margins[number] = [np.quantile(scores[side][member], share, method="higher") for side in SIDES]
    return {**fit_quantiles(inputs, error), "margins": margins}


def train_fleet(hours: pd.DataFrame, target: str, growth: float, settings: dict) -> tuple[dict, float]:
    """Return a fleet as model.py describes it, and the MAE in GW of a forecast made a year before.

    The mean is learnt from all of ``hours``; the range from the errors that the same boosting makes in their last year
    when it has learnt from the hours before that year only.
    """
    late = last_year(hours.index)
    before, after = hours[~late], hours[late]
    earlier = fit_fleet(before, target, estimate_growth(before, target), settings)
    quantiles = calibrate(after, target, earlier)
    mae = mean_absolute_error(after[target], predict_power(after, target, earlier | quantiles)[target])
    return fit_fleet(hours, target, growth, settings) | quantiles, mae


def is_lit(hours: pd.DataFrame, target: str) -> np.ndarray:
    """Return the hours that have a range: for solar power, those that are not dark."""
    return hours["solar_elevation"].to_numpy() > DARK if target == "solar_GW" else np.ones(len(hours), dtype=bool)


def measure_coverage(hours: pd.DataFrame, power: pd.DataFrame) -> pd.DataFrame:
    """Return the shares of the actual power inside, below and above the range, and the range's width in GW.

    One line for all hours of a target, by day and by night, in summer and in winter, and for each group. The hours that
    are too dark for solar power are counted in no line but their own, ``dark``: they would flatter the others.
    """
    lines, group = [], group_of(hours)
    night, winter = group % 2 == 0, group < 2  # as GROUPS lists them
    for target in TARGETS:
        lit = is_lit(hours, target)
        parts = {"all": lit, "day": lit & ~night, "night": lit & night, "summer": lit & ~winter, "winter": lit & winter}
        parts |= {name: lit & (group == number) for number, name in enumerate(GROUPS)} | {"dark": ~lit}
        low, high = power[f"{target}_q10"].to_numpy(), power[f"{target}_q90"].to_numpy()
        actual = hours[target].to_numpy()
        for part, chosen in parts.items():
            if chosen.any():
                below, above = (actual < low)[chosen].mean(), (actual > high)[chosen].mean()
                line = {"target": target, "hours of": part, "hours": int(chosen.sum()), "inside": 1 - below - above}
                lines.append(line | {"below": below, "above": above, "width_GW": (high - low)[chosen].mean()})
    return pd.DataFrame(lines)
