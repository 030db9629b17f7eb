"""The model as it is deployed: MLflow stores this file with it and runs it wherever the model is loaded."""

import keras
import mlflow
import pandas as pd


class WindSolarModel(mlflow.pyfunc.PythonModel):
    """Take the columns that the signature names, return the power in GW in named columns, never negative."""

    def load_context(self, context):
        """Load the network; it knows its inputs by their order only, so the signature has to give the names."""
        self.network = keras.models.load_model(context.artifacts["network"])
        self.features = context.model_config["features"]

    def predict(self, context, model_input: pd.DataFrame, params=None) -> pd.DataFrame:
        """Return a frame with ``solar_GW`` and ``wind_GW`` for the rows of ``model_input``, on the same index."""
        inputs = model_input[self.features].to_numpy("float32")
        power = self.network.predict(inputs, batch_size=4096, verbose=0)
        return pd.DataFrame(power.clip(min=0), columns=["solar_GW", "wind_GW"], index=model_input.index)


mlflow.models.set_model(WindSolarModel())
