"""Each target's actuals, forecast and baselines over whole days, and the measures of any part of them."""

import numpy as np
import pandas as pd

from dashboard.follower import View
from dashboard.targets import Target
from forecasting import baselines
from forecasting.metrics import score, skill

BASELINES = {"climatology": baselines.climatology, "persistence": baselines.persistence}
Series = dict[Target, pd.DataFrame]


def series_of(view: View) -> Series:
    """Return the hours of each target, filled up to whole days, in its unit; NaN where there is no number.

    Each frame has an hourly UTC index and the columns ``actual`` (without the hours that were repaired), ``forecast``,
    ``low`` and ``high`` (its 10 % and 90 % quantiles, where the model gives them), one for each baseline, and ``seen``:
    whether the model has learnt from that hour.
    """
    frame, targets = view.table.frame, view.table.targets
    last = frame.index[-1].floor("D") + pd.Timedelta(hours=23)
    index = pd.date_range(frame.index[0].floor("D"), last, freq="h")
    seen = pd.Series(view.seen, frame.index).reindex(index, fill_value=False)
    tables = {"actual": view.table.actuals(), "forecast": view.forecast}
    tables |= {name: baseline(frame, targets) for name, baseline in BASELINES.items()}

    def hours(name: str) -> pd.DataFrame:
        columns = {column: table[name] for column, table in tables.items()}
        low, high = (view.forecast.get(f"{name}_{quantile}", np.nan) for quantile in ("q10", "q90"))
        return pd.DataFrame(columns).assign(low=low, high=high).reindex(index).assign(seen=seen)

    return {target: hours(target.name) for target in view.targets}


def error_of(hours: pd.DataFrame) -> pd.Series:
    """Return the forecast minus the actuals."""
    return hours["forecast"] - hours["actual"]


def measures_of(hours: pd.DataFrame) -> dict[str, float]:
    """Return ``hours`` (that count), MAE, RMSE, bias, r2, and ``skill_NAME`` against each baseline."""
    forecast = hours["forecast"]
    actual = hours["actual"].where(forecast.notna())
    skills = {f"skill_{name}": skill(actual, forecast, hours[name]) for name in BASELINES}
    return {**score(actual, forecast), **skills, "hours": int(actual.count())}
