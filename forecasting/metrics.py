"""How far a forecast is from what happened: pure functions of two series or arrays of the same rows and unit.

Rows without an actual (NaN) are left out. A forecast without a number in a row that counts has an error of NaN, which
is never better than anything.
"""

import numpy as np
from numpy.typing import ArrayLike

METRICS = ["mae", "rmse", "bias", "r2"]


def score(actual: ArrayLike, forecast: ArrayLike) -> dict[str, float]:
    """Return ``mae``, ``rmse`` and ``bias`` (forecast minus actual) in the unit of the actuals, and ``r2``.

    All are NaN if there is no actual, and r2 is NaN if all actuals are the same.
    """
    actual, forecast = np.asarray(actual, float), np.asarray(forecast, float)
    known = ~np.isnan(actual)
    actual, error = actual[known], (forecast - actual)[known]
    if not len(error):
        return dict.fromkeys(METRICS, float("nan"))
    spread = ((actual - actual.mean()) ** 2).sum()
    return {
        "mae": float(np.abs(error).mean()),
        "rmse": float((error**2).mean() ** 0.5),
        "bias": float(error.mean()) if np.isfinite(error).all() else float("nan"),
        "r2": float(1 - (error**2).sum() / spread) if spread else float("nan"),
    }


def skill(actual: ArrayLike, forecast: ArrayLike, baseline: ArrayLike) -> float:
    """Return the share of the baseline's mean absolute error that a forecast avoids, on the rows that all three have.

    1 is perfect, 0 is no better than the baseline, negative is worse. NaN if there is no such row or no error to avoid.
    """
    actual, forecast, baseline = (np.asarray(values, float) for values in (actual, forecast, baseline))
    known = np.isfinite(actual) & np.isfinite(forecast) & np.isfinite(baseline)
    theirs = np.abs(baseline - actual)[known].sum()
    return float(1 - np.abs(forecast - actual)[known].sum() / theirs) if theirs else float("nan")


def pinball_loss(actual: ArrayLike, forecast: ArrayLike, quantile: float) -> float:
    """Return the mean pinball loss of a quantile's forecast, in the unit of the actuals.

    R. Koenker and G. Bassett, Regression Quantiles, Econometrica 46 (1978).
    """
    error = np.asarray(actual, float) - np.asarray(forecast, float)
    return float(np.nanmean(np.maximum(quantile * error, (quantile - 1) * error)))


def coverage(actual: ArrayLike, low: ArrayLike, high: ArrayLike) -> float:
    """Return the share of the actuals that lie in a range, its edges included; NaN if there is no actual."""
    actual, low, high = (np.asarray(values, float) for values in (actual, low, high))
    known = np.isfinite(actual) & np.isfinite(low) & np.isfinite(high)
    return float(((actual >= low) & (actual <= high))[known].mean()) if known.any() else float("nan")
