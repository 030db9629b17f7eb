"""The model as it is deployed: MLflow stores this file with it and runs it wherever the model is loaded."""

import joblib
import mlflow
import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException

LARGEST = 1e30  # far beyond any weather in any unit, and small enough not to overflow in float32


def check(rows: pd.DataFrame) -> None:
    """Raise MlflowException, which a server returns as HTTP 400, unless every value is a finite number."""
    if rows.empty:
        raise MlflowException.invalid_parameter_value("expected at least one row, found none")
    good = np.abs(rows.to_numpy(float)) < LARGEST  # False for a missing number
    if not good.all():
        row, column = np.argwhere(~good)[0]
        value = rows.iat[row, column]
        raise MlflowException.invalid_parameter_value(
            f"expected a number in every input column, found {'none' if np.isnan(value) else value} in "
            f"{rows.columns[column]} (row {row + 1} of {len(rows)})"
        )


class WindSolarModel(mlflow.pyfunc.PythonModel):
    """Take the columns that the signature names, return the power in GW in named columns, never negative."""

    def load_context(self, context):
        """Load the fitted estimator; it remembers the names and the order of its input columns."""
        self.estimator = joblib.load(context.artifacts["estimator"])

    def predict(self, context, model_input: pd.DataFrame, params=None) -> pd.DataFrame:
        """Return a frame with ``solar_GW`` and ``wind_GW`` for the rows of ``model_input``, on the same index."""
        inputs = model_input[self.estimator.feature_names_in_]
        check(inputs)
        power = self.estimator.predict(inputs)
        return pd.DataFrame(power.clip(min=0), columns=["solar_GW", "wind_GW"], index=model_input.index)


mlflow.models.set_model(WindSolarModel())
