"""How good the predictions are: pure functions of frames on the days of the holdout."""

import numpy as np
import pandas as pd
from sklearn import metrics


def of_direction(truth: pd.Series, up: pd.Series, probability: pd.Series | None = None) -> dict[str, float | None]:
    """Return how good a forecast of the direction is; ``truth`` and ``up`` are 1.0 for a rise, else 0.0.

    ``up`` is the positive class. Precision, recall and F1 are 0 if no rise was predicted. ROC AUC and log loss need a
    probability of a rise; they are None without one, and so is ROC AUC if the holdout has one direction only. Matthews
    is the correlation of B. W. Matthews, Biochimica et Biophysica Acta 405 (1975): 1 is perfect, 0 is a coin.
    """
    found = {
        "accuracy": metrics.accuracy_score(truth, up),
        "precision": metrics.precision_score(truth, up, zero_division=0),
        "recall": metrics.recall_score(truth, up, zero_division=0),
        "f1": metrics.f1_score(truth, up, zero_division=0),
        "roc_auc": None,
        "matthews": metrics.matthews_corrcoef(truth, up) if pd.concat([truth, up]).nunique() == 2 else 0.0,
        "log_loss": None,
    }
    if probability is not None:
        found["log_loss"] = metrics.log_loss(truth, probability, labels=[0.0, 1.0])
        if truth.nunique() == 2:
            found["roc_auc"] = metrics.roc_auc_score(truth, probability)
    return {name: None if value is None else float(value) for name, value in found.items()}


def confusion(truth: pd.Series, up: pd.Series) -> dict[str, int]:
    """Return how often a rise and its absence were predicted rightly and wrongly."""
    matrix = metrics.confusion_matrix(truth, up, labels=[0.0, 1.0])
    names = ("true_no_rise", "false_rise", "false_no_rise", "true_rise")
    return dict(zip(names, map(int, matrix.ravel()), strict=True))


def of_price(truth: pd.Series, predicted: pd.Series, last: pd.Series) -> dict[str, float]:
    """Return RMSE and MAE in money, and the share of the last price's MAE by which this one is smaller."""
    error, naive = (predicted - truth).to_numpy(), np.abs(last - truth).mean()
    mae = float(np.abs(error).mean())
    return {"rmse": float((error**2).mean() ** 0.5), "mae": mae, "skill": float(1 - mae / naive) if naive else 0.0}
