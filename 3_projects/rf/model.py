"""The model as it is deployed: MLflow stores this file with it and runs it wherever the model is loaded."""

import sys

import joblib
import mlflow
import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException

LARGEST = 1e30  # no unit makes weather of it, and a float32 in a model would soon overflow beyond


def check(rows: pd.DataFrame) -> None:
    """Raise MlflowException, which a server answers as HTTP 400, unless each value is a finite number."""
    if rows.empty:
        raise MlflowException.invalid_parameter_value("expected at least one row, found none")
    good = np.abs(rows.to_numpy(float)) < LARGEST  # which a missing number is not
    if not good.all():
        row, column = np.argwhere(~good)[0]
        value = rows.iat[row, column]
        raise MlflowException.invalid_parameter_value(
            f"expected a number in every input column, found {'none' if np.isnan(value) else value} in "
            f"{rows.columns[column]} (row {row + 1} of {len(rows)})"
        )


def answer_400(server, served) -> None:
    """Let MLflow's scoring server say what is wrong with a request that it would answer with a bare HTTP 500.

    MLflow 3.17 does so where no content type is stated, and where its reader gives up, as on JSON nested too deep.
    """

    def invocations(data, content_type, *rest):
        if content_type is None:
            raise MlflowException.invalid_parameter_value(
                "expected a body and the header Content-Type: application/json, found no content type"
            )
        try:
            return served(data, content_type, *rest)
        except MlflowException:
            raise
        except Exception as error:
            raise MlflowException.invalid_parameter_value(
                f"expected rows in one of MLflow's formats, found what can't be read ({type(error).__name__})"
            ) from None

    server.invocations = invocations


class WindSolarModel(mlflow.pyfunc.PythonModel):
    """Take the columns that the signature names, return the power in GW in named columns, never negative."""

    def load_context(self, context):
        """Load the fitted estimator; it remembers the names and the order of its input columns."""
        self.estimator = joblib.load(context.artifacts["estimator"])
        # Threads add up the trees in any order, so the last digit would change from call to call.
        self.estimator.n_jobs = 1

    def predict(self, context, model_input: pd.DataFrame, params=None) -> pd.DataFrame:
        """Return a frame with ``solar_GW`` and ``wind_GW`` for the rows of ``model_input``, on the same index."""
        inputs = model_input[self.estimator.feature_names_in_]
        check(inputs)
        power = self.estimator.predict(inputs)
        return pd.DataFrame(power.clip(min=0), columns=["solar_GW", "wind_GW"], index=model_input.index)


if "mlflow.pyfunc.scoring_server.app" in sys.modules:  # this is mlflow models serve, loading its model
    from mlflow.pyfunc import scoring_server

    answer_400(scoring_server, scoring_server.invocations)

mlflow.models.set_model(WindSolarModel())
