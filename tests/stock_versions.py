"""Windows of prices, and registered models that take them, for the tests of 3_projects/stock."""

import json
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema

from forecasting import ledger

ROOT = Path(__file__).resolve().parents[1]
INPUTS = [f"close_{day}" for day in range(1, 15)]
OUTPUTS = ["up", "up_probability"]
SIGNATURE = ModelSignature(
    Schema([ColSpec("double", name) for name in INPUTS]), Schema([ColSpec("double", name) for name in OUTPUTS])
)


def made_windows(count: int) -> pd.DataFrame:
    """Return windows of made prices, each with a date and a name beside them."""
    steps = np.random.default_rng(3).normal(1, 0.02, (count, len(INPUTS)))
    windows = pd.DataFrame(25 * steps.cumprod(axis=1), columns=INPUTS)
    windows.insert(0, "date", pd.bdate_range("2013-01-01", periods=count).strftime("%Y-%m-%d"))
    return windows.assign(name="Müller, Söhne & Co")


def new_version(name: str, folder: Path, example: bool = True, **about) -> str:
    """Return the number of a new version of a registered model, which nobody has approved."""
    path = folder / "about.json"
    path.write_text(json.dumps({"sureness": 30.0} | about))
    with mlflow.start_run():
        info = mlflow.pyfunc.log_model(
            name="model",
            python_model=str(ROOT / "tests" / "stock_model.py"),
            artifacts={"about": str(path)},
            signature=SIGNATURE,
            input_example=made_windows(3)[INPUTS] if example else None,
            pip_requirements=["mlflow"],
        )
    return mlflow.register_model(info.model_uri, name).version


def approve(name: str, version: str) -> None:
    """Put a version into production, as the registry project does with one that has passed the gate."""
    before = ledger.read(name)
    entry = ledger.Entry(
        "approve", before.production, version, "Ada", "for a test", False, before.next_time(), moved=True
    )
    ledger.write(name, entry)
    mlflow.MlflowClient().set_registered_model_alias(name, "production", version)
