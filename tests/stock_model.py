"""A model in the shape of those of 3_projects/stock, as simple as can be; a test may ask for a broken one."""

import json
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd


class WindowModel(mlflow.pyfunc.PythonModel):
    """Say that the price goes on as it went yesterday."""

    def load_context(self, context):
        """Read how sure the model is of itself, and whether it says something else each time."""
        self.about = json.loads(Path(context.artifacts["about"]).read_text(encoding="utf-8"))

    def predict(self, context, model_input: pd.DataFrame, params=None) -> pd.DataFrame:
        """Return ``up`` and ``up_probability``."""
        step = model_input["close_14"] / model_input["close_13"] - 1
        probability = 1 / (1 + np.exp(-self.about["sureness"] * step))
        if self.about.get("moody"):
            probability = np.random.default_rng().random(len(step))
        return pd.DataFrame({"up": (probability > 0.5).astype(float), "up_probability": probability})


mlflow.models.set_model(WindowModel())
