"""The model as it is deployed: MLflow stores this file with it and runs it wherever the model is loaded."""

import joblib
import mlflow
import pandas as pd


class WindSolarModel(mlflow.pyfunc.PythonModel):
    """Take the columns that the signature names, return the power in GW in named columns, never negative."""

    def load_context(self, context):
        """Load the fitted estimator; it remembers the names and the order of its input columns."""
        self.estimator = joblib.load(context.artifacts["estimator"])

    def predict(self, context, model_input: pd.DataFrame, params=None) -> pd.DataFrame:
        """Return a frame with ``solar_GW`` and ``wind_GW`` for the rows of ``model_input``, on the same index."""
        power = self.estimator.predict(model_input[self.estimator.feature_names_in_])
        return pd.DataFrame(power.clip(min=0), columns=["solar_GW", "wind_GW"], index=model_input.index)


mlflow.models.set_model(WindSolarModel())
