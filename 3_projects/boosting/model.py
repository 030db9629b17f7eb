"""The model as it is deployed: MLflow stores this file with it and runs it wherever the model is loaded.

A fleet is a dictionary: ``growth`` per year and ``end`` of the training (in the unit of the column ``trend``, years),
``features``, the boostings ``mean``, ``q10`` and ``q90``, and ``margins`` by group and side. capacity.py and
conformal.py make it.
"""

import joblib
import mlflow
import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException
from threadpoolctl import ThreadpoolController

DARK = -6.0  # degrees; with the sun lower, which is the end of civil twilight, panels give next to nothing
GROUPS = ["night winter", "day winter", "night summer", "day summer"]
SIDES = {"q10": 0.1, "q90": 0.9}
RANGE_FEATURES = ["solar_elevation", "temperature"]
FEW = 10_000  # rows; for fewer, several threads would wait for each other longer than they work
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


def capacity(years: np.ndarray, growth: float) -> np.ndarray:
    """Return the capacity of a fleet, 1 at the end of the training, by the years since then (negative: before)."""
    return np.maximum(1 + growth * years, 0.1)


def light_of(elevation: np.ndarray) -> np.ndarray:
    """Return the brightness by the sun's elevation in degrees: 1 by day, less below 3 degrees, and 0 in the dark.

    In twilight the power falls by more than half with each degree. Divided by the light it stays in the range of the
    day, where a boosting can resolve it.
    """
    return np.where(elevation > DARK, np.minimum(np.logaddexp(0, elevation) / 3, 1), 0)


def group_of(rows: pd.DataFrame) -> np.ndarray:
    """Return the number of each row's group in GROUPS: day if the sun is up, summer from April to September."""
    summer = rows["day_of_year"].between(91, 273).to_numpy()  # a day less in leap years, which does no harm
    return 2 * summer + (rows["solar_elevation"] > 0).to_numpy()


def size_of(rows: pd.DataFrame, target: str, growth: float, end: float) -> np.ndarray:
    """Return the divisor of the power in training: the capacity, for solar power multiplied by the light."""
    size = capacity(rows["trend"].to_numpy() - end, growth)
    return size * light_of(rows["solar_elevation"].to_numpy()) if target == "solar_GW" else size


def raw_range(inputs: np.ndarray, years: np.ndarray, fleet: dict) -> tuple[np.ndarray, np.ndarray]:
    """Return the quantiles 0.1 and 0.9 of the error per size, before the margins.

    ``inputs`` are the mean and RANGE_FEATURES. How fast the fleet grows after the training is not known, so the range
    reaches from a standstill to twice the growth.
    """
    doubt = inputs[:, 0] * np.abs(fleet["growth"] * years.clip(min=0)) / capacity(years, fleet["growth"])
    low, high = (fleet[side].predict(inputs) for side in SIDES)
    return np.minimum(low, high - 1e-6) - doubt, high + doubt


def predict_power(rows: pd.DataFrame, target: str, fleet: dict) -> dict[str, np.ndarray]:
    """Return the mean and the range of the power in GW, by the names of the output columns.

    In the dark solar power is 0, and so is its range.
    """
    mean = fleet["mean"].predict(rows[fleet["features"]].to_numpy()).clip(min=0)
    years = rows["trend"].to_numpy() - fleet["end"]
    low, high = raw_range(np.column_stack([mean, rows[RANGE_FEATURES].to_numpy()]), years, fleet)
    margin = fleet["margins"][group_of(rows)] * (high - low)[:, None]
    size = size_of(rows, target, fleet["growth"], fleet["end"])
    return {
        target: mean * size,
        f"{target}_q10": np.minimum(mean + low - margin[:, 0], mean).clip(min=0) * size,
        f"{target}_q90": np.maximum(mean + high + margin[:, 1], mean) * size,
    }


class WindSolarModel(mlflow.pyfunc.PythonModel):
    """Take the columns that the signature names, return the power in GW in named columns, never negative."""

    def load_context(self, context):
        """Load the two fleets and the names of the input columns."""
        self.fleets = joblib.load(context.artifacts["fleets"])
        self.features = context.model_config["features"]
        self.threads = ThreadpoolController()

    def predict(self, context, model_input: pd.DataFrame, params=None) -> pd.DataFrame:
        """Return ``solar_GW``, ``wind_GW`` and then their quantiles 0.1 and 0.9, on the index of ``model_input``."""
        rows = model_input[self.features]
        check(rows)
        power = {}
        with self.threads.limit(limits=1 if len(rows) < FEW else None, user_api="openmp"):
            for target, fleet in self.fleets.items():
                power |= predict_power(rows, target, fleet)
        return pd.DataFrame(power, index=model_input.index)[[*self.fleets, *(name for name in power if "_q" in name)]]


mlflow.models.set_model(WindSolarModel())
