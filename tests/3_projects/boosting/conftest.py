import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parents[3]
sys.path.append(str(ROOT / "3_projects" / "boosting"))  # its modules import each other, as a project's scripts do

from features import add_features  # noqa: E402
from threadpoolctl import threadpool_limits  # noqa: E402


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """Fit with one thread, as train.py does: several wait for each other where other tests use the processors."""
    with threadpool_limits(1, "openmp"):
        yield


@pytest.fixture(scope="session")
def make_hours():
    """Return a function that makes hours of weather, and of power that is known to follow from it.

    ``growth`` is the share of its size at the end of ``end`` by which each fleet grows in a year. Winters are windier.
    """

    def make(start: str, end: str, growth: float = 0.0, seed: int = 0) -> pd.DataFrame:
        index = pd.date_range(start, end, freq="h", tz="UTC", inclusive="left", name="utc_timestamp")
        random = np.random.default_rng(seed)
        season = np.cos(2 * np.pi * index.day_of_year / 365.25).to_numpy()
        wind = np.exp(
            1.4 + 0.2 * season + 0.4 * np.repeat(random.standard_normal(len(index) // 6 + 1), 6)[: len(index)]
        )
        weather = {"windspeed": wind, "temperature": 9 - 9 * season + random.standard_normal(len(index))}
        hours = pd.DataFrame(weather | {"rad_horizontal": 0.0, "rad_diffuse": 0.0}, index=index)
        bright = add_features(hours)["rad_clear_sky"]
        hours["rad_horizontal"], hours["rad_diffuse"] = 0.7 * bright * random.random(len(index)), 0.2 * bright
        hours = add_features(hours)
        size = 1 + growth * (hours["trend"] - 2)  # 1 at New Year 2015
        noise = random.standard_normal((2, len(index)))
        sunshine = (hours["rad_horizontal"] + hours["rad_diffuse"]) / 40
        hours["solar_GW"] = (size * sunshine * (1 + 0.1 * noise[0])).clip(lower=0)
        hours["wind_GW"] = (size * np.minimum(wind**2 / 4, 30) * (1 + 0.15 * noise[1])).clip(lower=0)
        week = (index - pd.Timestamp("1970-01-05", tz="UTC")) // pd.Timedelta(weeks=1)
        return hours.assign(split=np.where(week % 5 == 4, "validation", "train"), repaired=False)

    return make
