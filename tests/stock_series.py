"""Series of daily prices that the tests make, and the project's modules under names that no other project's have."""

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd

STOCK = Path(__file__).parents[1] / "3_projects" / "stock"


def load(name: str, folder: Path = STOCK) -> ModuleType:
    """Return a module of the project; what it imports is found beside it, now and not later."""
    alias = f"stock_{name}"
    if alias not in sys.modules:
        sys.path.insert(0, str(folder))
        try:
            spec = importlib.util.spec_from_file_location(alias, folder / f"{name}.py")
            sys.modules[alias] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(sys.modules[alias])
        finally:
            sys.path.remove(str(folder))
    return sys.modules[alias]


def rows(days: int = 150, closes: np.ndarray | None = None, **more) -> pd.DataFrame:
    """Return rows as a CSV has them, of working days from 2020-01-01; one close in a hundred is a round number."""
    dates = pd.bdate_range("2020-01-01", periods=days)
    closes = 50 + 10 * np.sin(np.arange(days) / 9) if closes is None else closes
    frame = pd.DataFrame({"date": dates.strftime("%Y-%m-%d"), "open": closes, "high": closes + 1, "low": closes - 1})
    return frame.assign(close=closes, volume=1000, **more)


def there_and_back(days: int) -> np.ndarray:
    """Return prices of which a rise mostly follows a fall: what a model can learn, and no naive forecast knows."""
    random, changes = np.random.default_rng(1), [0.0]
    for noise in random.normal(scale=0.004, size=days - 1):
        changes.append(-0.9 * changes[-1] + noise)
    return 40 * np.exp(np.cumsum(changes))
