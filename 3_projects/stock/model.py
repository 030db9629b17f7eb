"""The models as they are deployed: MLflow stores this file with each and runs it wherever the model is loaded.

All take the closing prices of a window as they are, in the share's currency, oldest first. The window is made relative
to its last price, so that a model trained at 20 dollars can be asked at 200; scaler and estimator follow.
"""

import os

import joblib
import mlflow
import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException

LARGEST = 1e30  # no price in any currency; a float32 in a model would soon overflow


def check(rows: pd.DataFrame) -> None:
    """Raise MlflowException, which MLflow's server answers as HTTP 400, unless each value is a price."""
    if rows.empty:
        raise MlflowException.invalid_parameter_value("expected at least one row, found none")
    values = rows.to_numpy(float)
    good = (values > 0) & (values < LARGEST)  # NaN is neither
    if not good.all():
        row, column = np.argwhere(~good)[0]
        value = values[row, column]
        raise MlflowException.invalid_parameter_value(
            f"expected a price above 0 in every input column, found {'none' if np.isnan(value) else value} in "
            f"{rows.columns[column]} (row {row + 1} of {len(rows)})"
        )


def relative(closes: pd.DataFrame) -> np.ndarray:
    """Return each price of a window as its difference from the last one, as a share of that; the last one is left out.

    Shape (rows, days - 1).
    """
    prices = closes.to_numpy(float)
    return prices[:, :-1] / prices[:, -1:] - 1


class StockModel(mlflow.pyfunc.PythonModel):
    """Take the window that the signature names, return tomorrow's closing price, or whether it will be higher.

    ``next_close`` is in the share's currency; ``up`` is 1.0 or 0.0, and ``up_probability`` is between 0 and 1.
    """

    def load_context(self, context):
        """Load what was fitted: a network, an estimator, or, for the moving average, nothing."""
        self.closes, self.target = context.model_config["closes"], context.model_config["target"]
        self.network = self.estimator = None
        if "network" in context.artifacts:
            os.environ["KERAS_BACKEND"] = "tensorflow"  # whatever keras.json says
            import keras  # takes seconds, and the other models do without

            self.network = keras.models.load_model(context.artifacts["network"])
        elif "estimator" in context.artifacts:
            self.estimator = joblib.load(context.artifacts["estimator"])

    def change(self, closes: pd.DataFrame) -> np.ndarray:
        """Return the expected change of the price until the day after, as a share of the last price."""
        if self.network is not None:
            window = relative(closes).astype("float32")
            return self.network.predict(window, batch_size=4096, verbose=0)[:, 0].astype(float)
        if self.estimator is not None:
            return self.estimator.predict(relative(closes))
        return closes.mean(axis=1).to_numpy() / closes.iloc[:, -1].to_numpy() - 1

    def predict(self, context, model_input: pd.DataFrame, params=None) -> pd.DataFrame:
        """Return a frame with the prediction for each row of ``model_input``, on the same index."""
        closes = model_input[self.closes]
        check(closes)
        if self.target == "up":
            probability = self.estimator.predict_proba(relative(closes))[:, 1].astype(float)
            columns = {"up": (probability > 0.5).astype(float), "up_probability": probability}
        else:
            columns = {"next_close": closes.iloc[:, -1].to_numpy(float) * (1 + self.change(closes))}
        return pd.DataFrame(columns, index=model_input.index)


mlflow.models.set_model(StockModel())
