"""Windows of prices, and registered models that take them, for the tests of 3_projects/stock."""

import json
import os
import subprocess
import sys
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema

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
    """Let a version into production as the registry project does, if the gate has passed it."""
    client = mlflow.MlflowClient()
    against = client.get_registered_model(name).aliases.get("production", "")
    for key, value in {"gate": "passed", "gate.against": against}.items():
        client.set_model_version_tag(name, version, key, value)
    client.set_registered_model_alias(name, "candidate", version)
    command = [sys.executable, "approve.py", "approve", "--auto", "true", "--registered-model", name]
    done = subprocess.run(
        command,
        cwd=ROOT / "3_projects" / "registry",
        env=dict(os.environ),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert client.get_model_version_by_alias(name, "production").version == version
