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


def make_estimator(model: str, seed: int):
    """Return one of scikit-learn's kind, not fitted yet."""
    # Each import takes a second or two, and a run needs one of them.
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if model == "linear":
        from sklearn.linear_model import LinearRegression

        return make_pipeline(StandardScaler(), LinearRegression())
    if model == "knn":
        from sklearn.neighbors import KNeighborsRegressor

        return make_pipeline(StandardScaler(), KNeighborsRegressor(n_neighbors=25))
    if model == "random_forest":
        from sklearn.ensemble import RandomForestClassifier

        return RandomForestClassifier(n_estimators=200, min_samples_leaf=20, random_state=seed)
    from xgboost import XGBClassifier

    return XGBClassifier(n_estimators=200, max_depth=3, learning_rate=0.05, n_jobs=2, random_state=seed)


def fit_estimator(model: str, train: tuple, folder: Path, seed: int) -> dict[str, str]:
    """Fit on the training part (windows, targets), and return the file that it is saved in."""
    estimator = make_estimator(model, seed).fit(*train)
    joblib.dump(estimator, folder / "estimator.joblib")
    return {"estimator": str(folder / "estimator.joblib")}


def fit_network(train: tuple, validation: tuple, units: int, epochs: int, folder: Path, seed: int) -> dict[str, str]:
    """Fit two layers of ``units`` LSTM cells, and return the file that the network is saved in.

    S. Hochreiter and J. Schmidhuber, Long short-term memory, Neural computation 9 (1997). The validation part says when
    to stop. Each epoch's errors are logged on the active run.
    """
    os.environ["KERAS_BACKEND"] = "tensorflow"  # whatever keras.json says
    import keras
    import mlflow

    keras.utils.set_random_seed(seed)
    (windows, changes), shape = train, (train[0].shape[1], 1)
    scale = keras.layers.Normalization()
    scale.adapt(windows.astype("float32"))
    network = keras.Sequential(
        [
            keras.Input((windows.shape[1],)),
            scale,
            keras.layers.Reshape(shape),
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
        windows.astype("float32"),
        changes.astype("float32"),
        validation_data=tuple(part.astype("float32") for part in validation),
        epochs=epochs,
        batch_size=64,
        verbose=2,
        callbacks=[keras.callbacks.EarlyStopping(patience=4, restore_best_weights=True)],
    )
    network.save(folder / "network.keras")
    return {"network": str(folder / "network.keras")}
