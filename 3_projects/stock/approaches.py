"""The models that can be trained: what each one learns, and how it is fitted. Each takes relative windows (model.py).

Those of the price learn its change until the day after, as a share of the last price. The scaler is fitted on the
training part together with the model, and is saved in it.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import joblib
import numpy as np

PRICE, DIRECTION = "next_close", "up"
# What the saved model needs beside mlflow, numpy and pandas; each a name in python_env.yaml.
SKLEARN = ("joblib", "scikit-learn")


@dataclass(frozen=True)
class Approach:
    """What a model predicts, and the packages that it needs wherever it is loaded."""

    target: str
    packages: tuple[str, ...]


APPROACHES = {
    "lstm": Approach(PRICE, ("joblib", "keras", "tensorflow", "tensorflow-cpu")),
    "linear": Approach(PRICE, SKLEARN),
    "knn": Approach(PRICE, SKLEARN),
    "moving_average": Approach(PRICE, ("joblib",)),
    "random_forest": Approach(DIRECTION, SKLEARN),
    "xgboost": Approach(DIRECTION, (*SKLEARN, "xgboost", "xgboost-cpu")),
}


def fit_estimator(model: str, train: tuple, folder: Path, seed: int) -> dict[str, str]:
    """Fit one of scikit-learn's kind on the training part (windows, targets); return the file that it is saved in."""
    # Together they take seconds to import, and the network does without.
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LinearRegression
    from sklearn.neighbors import KNeighborsRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from xgboost import XGBClassifier

    estimators = {
        "linear": make_pipeline(StandardScaler(), LinearRegression()),
        "knn": make_pipeline(StandardScaler(), KNeighborsRegressor(n_neighbors=25)),
        "random_forest": RandomForestClassifier(n_estimators=200, min_samples_leaf=20, random_state=seed),
        "xgboost": XGBClassifier(n_estimators=200, max_depth=3, learning_rate=0.05, n_jobs=2, random_state=seed),
    }
    path = folder / "estimator.joblib"
    joblib.dump(estimators[model].fit(*train), path)
    return {"estimator": str(path)}


def fit_network(train: tuple, validation: tuple, units: int, epochs: int, folder: Path, seed: int) -> dict[str, str]:
    """Fit two layers of ``units`` LSTM cells, and return the file that the network is saved in.

    S. Hochreiter and J. Schmidhuber, Long short-term memory, Neural computation 9 (1997). The validation part says when
    to stop. Each epoch's errors are logged on the active run.
    """
    os.environ["KERAS_BACKEND"] = "tensorflow"  # whatever keras.json says
    import keras
    import mlflow

    keras.utils.set_random_seed(seed)
    windows, changes = train
    scale = keras.layers.Normalization()
    scale.adapt(windows.astype("float32"))
    network = keras.Sequential(
        [
            keras.Input((windows.shape[1],)),
            scale,
            keras.layers.Reshape((windows.shape[1], 1)),
            keras.layers.LSTM(units, return_sequences=True),
            keras.layers.LSTM(units),
            keras.layers.Dense(1),
            # So that the layers before work on numbers around 1, and not around a hundredth.
            keras.layers.Rescaling(float(np.std(changes)), float(np.mean(changes))),
        ]
    )
    network.compile(optimizer="adam", loss="mean_absolute_error")
    # The model is logged by train.py, with a signature of named columns; autologging it as well would take 10 s.
    mlflow.keras.autolog(log_models=False)
    network.fit(
        *train,
        validation_data=validation,
        epochs=epochs,
        batch_size=64,
        verbose=2,
        callbacks=[keras.callbacks.EarlyStopping(patience=4, restore_best_weights=True)],
    )
    network.save(folder / "network.keras")
    return {"network": str(folder / "network.keras")}
