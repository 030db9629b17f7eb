"""The derived features of the hourly table, for whoever has weather and needs what a model takes.

The functions are those of the lesson 3_projects/data, which stands alone and so can't import them from here.
"""

import runpy
from pathlib import Path

import pandas as pd

LESSON = Path(__file__).resolve().parents[1] / "3_projects" / "data" / "features.py"


def add_features(weather: pd.DataFrame) -> pd.DataFrame:
    """Return hourly weather (UTC index without gaps) with the table's derived columns added."""
    return runpy.run_path(str(LESSON))["add_features"](weather)
