"""A model whose errors a test chooses: it is given the truth and a noise, and adds as much of it as it is told."""

import json
import os
import sys
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd


class MadeModel(mlflow.pyfunc.PythonModel):
    """Predict ``solar_GW`` and ``wind_GW`` with the errors that the artifact ``about`` asks for."""

    def load_context(self, context):
        """Read what is asked for; "needs" is a module that only the process of a test has."""
        self.about = json.loads(Path(context.artifacts["about"]).read_text())
        if needs := self.about.get("needs"):
            __import__(needs)
        if words := self.about.get("broken"):
            raise ImportError(words)
        if words := self.about.get("ends"):
            print(words, file=sys.stderr, flush=True)
            os._exit(7)

    def predict(self, context, model_input: pd.DataFrame, params=None) -> pd.DataFrame:
        """Return truth and noise; ``winter`` is the size of the noise from December to February."""
        about = self.about
        size = np.where(model_input["month"].isin([12, 1, 2]), about.get("winter", about["noise"]), about["noise"])
        noise = model_input["noise"] * size
        power = pd.DataFrame({name: model_input[f"hint_{name}"] + noise for name in ("solar_GW", "wind_GW")})
        power = power if about.get("negative") else power.clip(lower=0)
        if about.get("nan"):
            power.iloc[7, 1] = np.nan
        return power


mlflow.models.set_model(MadeModel())
