"""The growth of the fleets of panels and turbines, and the boosting of their power per installed capacity.

The capacity is relative: 1 at the end of the training. A tree predicts no more than it has seen, so it learns the power
per capacity (and light), which stays in its range when the fleet grows; the growth is a straight line, which goes on.
"""

import numpy as np
import pandas as pd
from model import capacity, light_of, size_of
from sklearn.ensemble import HistGradientBoostingRegressor

TARGETS = ["solar_GW", "wind_GW"]
FEATURES = {
    "solar_GW": [
        *("rad_horizontal", "rad_horizontal_lag_1", "rad_horizontal_lead_1"),
        *("rad_diffuse", "rad_diffuse_lag_1", "rad_diffuse_lead_1"),
        *("temperature", "hour", "utc_offset", "solar_elevation", "day_of_year"),
    ],
    "wind_GW": [
        "windspeed",
        *[f"windspeed_{side}_{hours}" for side in ("lag", "lead") for hours in (1, 2, 3)],
        *("windspeed_mean_7h", "windspeed_mean_25h"),
        *("rad_horizontal", "rad_diffuse", "temperature", "hour", "solar_elevation"),
    ],
}
# What drives a fleet, and nothing that tells one year from another: a mild year would look like growth.
DRIVERS = {"solar_GW": ["rad_horizontal", "rad_diffuse", "solar_elevation"], "wind_GW": ["windspeed"]}
TWO_YEARS = pd.Timedelta(days=720)  # a few days may be missing


def has_two_years(hours: pd.DataFrame) -> bool:
    """Check that every season is there twice; otherwise season and growth can't be told apart."""
    return hours.index[-1] - hours.index[0] >= TWO_YEARS


def features_of(hours: pd.DataFrame, target: str) -> list[str]:
    """Return the columns to learn from, without the day of the year if less than two years make it a mere trend."""
    return [name for name in FEATURES[target] if name != "day_of_year" or has_two_years(hours)]


def fold_of(index: pd.DatetimeIndex) -> np.ndarray:
    """Return a fold from 0 to 3 for each hour, by whole weeks, so that neighbouring hours are in the same fold."""
    return ((index - pd.Timestamp("1970-01-05", tz="UTC")) // pd.Timedelta(weeks=1)).to_numpy() % 4


def estimate_growth(hours: pd.DataFrame, target: str) -> float:
    """Return the growth per year of a fleet, as a share of its size at the end of ``hours``.

    ``hours`` has an hourly UTC index, the target in GW, its drivers and ``trend`` in years. The energy of each month is
    compared with a prediction from the drivers alone, for weeks not learnt from; a straight line through the ratios
    is the capacity. This is done twice, the second time with the power per capacity. 0 for less than two years.
    """
    if not has_two_years(hours):
        return 0.0
    inputs, power = hours[DRIVERS[target]].to_numpy(), hours[target].to_numpy()
    years = (hours["trend"] - hours["trend"].iloc[-1]).to_numpy()
    fold, growth = fold_of(hours.index), 0.0
    for _ in range(2):
        per_capacity, expected = power / capacity(years, growth), np.empty(len(hours))
        for part in range(4):
            boosting = HistGradientBoostingRegressor(max_iter=60, learning_rate=0.15, max_leaf_nodes=15, random_state=0)
            boosting.fit(inputs[fold != part], per_capacity[fold != part])
            expected[fold == part] = boosting.predict(inputs[fold == part])
        sums = pd.DataFrame({"power": power, "level": expected, "slope": expected * years}, index=hours.index)
        months = sums.groupby([hours.index.year, hours.index.month]).sum()
        level, slope = np.linalg.lstsq(months[["level", "slope"]].to_numpy(), months["power"].to_numpy())[0]
        growth = float(slope / level) if level > 0 else 0.0  # a fleet that gives nothing has none
    return growth


def fit_mean(hours: pd.DataFrame, target: str, growth: float, **settings) -> HistGradientBoostingRegressor:
    """Return a boosting of the mean power per size; with ``early_stopping`` the validation weeks stop it."""
    size = size_of(hours, target, growth, hours["trend"].iloc[-1])
    hours, size = hours[size > 0], size[size > 0]
    inputs, power = hours[features_of(hours, target)].to_numpy(), hours[target].to_numpy() / size
    # So that an error in twilight counts as much as it does in GW. One weight for all is faster.
    weight = light_of(hours["solar_elevation"].to_numpy()) ** 2 if target == "solar_GW" else None
    kept = settings["early_stopping"] & (hours["split"] == "validation").to_numpy()
    parts = {"sample_weight": None if weight is None else weight[~kept]}
    if settings["early_stopping"]:
        parts |= {"X_val": inputs[kept], "y_val": power[kept]}
        parts |= {"sample_weight_val": None if weight is None else weight[kept]}
    return HistGradientBoostingRegressor(**settings).fit(inputs[~kept], power[~kept], **parts)


def fit_fleet(hours: pd.DataFrame, target: str, growth: float, settings: dict) -> dict:
    """Return the parts of a fleet without its range: growth, end, features and the boosting of the mean.

    ``settings`` are arguments of scikit-learn's HistGradientBoostingRegressor.
    """
    boosting = fit_mean(hours, target, growth, **settings, early_stopping=False)
    features = features_of(hours, target)
    return {"growth": growth, "end": float(hours["trend"].iloc[-1]), "features": features, "mean": boosting}
