"""Series of daily prices that the tests make, and the project's modules under names that no other project's have."""

import importlib
import sys
from pathlib import Path
from types import ModuleType

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.entities import Run

STOCK = Path(__file__).parents[1] / "3_projects" / "stock"


def load(name: str) -> ModuleType:
    """Return a module of the project. What it imports is found beside it, and known to no other test by its name."""
    own = {path.stem for path in STOCK.glob("*.py")}
    if f"stock_{name}" not in sys.modules:
        others = {each: sys.modules.pop(each) for each in own if each in sys.modules}
        sys.modules |= {each: sys.modules[f"stock_{each}"] for each in own if f"stock_{each}" in sys.modules}
        sys.path.insert(0, str(STOCK))
        try:
            importlib.import_module(name)
        finally:
            sys.path.remove(str(STOCK))
            sys.modules |= {f"stock_{each}": sys.modules.pop(each) for each in own if each in sys.modules} | others
    return sys.modules[f"stock_{name}"]


def run_step(name: str, experiment: str, **options: object) -> Run:
    """Run a step as MLproject does, but in this process, and return its run."""
    typed = [f"--{option.replace('_', '-')}={value}" for option, value in options.items()]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(STOCK)
        patch.setenv("MLFLOW_EXPERIMENT_NAME", experiment)
        patch.setattr(sys, "argv", [f"{name}.py", *typed])
        load(name).main()
    return mlflow.get_run(mlflow.last_active_run().info.run_id)


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
