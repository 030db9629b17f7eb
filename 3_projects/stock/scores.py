"""How good forecasts of the price and of the direction are: pure functions of series on the days of the holdout."""

import pandas as pd
from sklearn import metrics

from forecasting.metrics import score, skill


def of_direction(actual: pd.Series, forecast: pd.DataFrame) -> dict[str, float | dict[str, int] | None]:
    """Return the scores of a forecast of the direction; ``actual`` and ``forecast["up"]`` are 1.0 for a rise, else 0.0.

    A rise is the positive class. Precision, recall and F1 are 0 if no rise was predicted. ROC AUC and log loss need
    ``up_probability``; they are None without one, and so is ROC AUC if the holdout has one direction only. Matthews is
    the correlation of B. W. Matthews, Biochimica et Biophysica Acta 405 (1975): 1 is perfect, 0 is a coin.
    ``confusion`` says how often a rise and its absence were predicted rightly and wrongly.
    """
    up, probability = forecast["up"], forecast.get("up_probability")
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(actual, up, average="binary", zero_division=0)
    matrix = metrics.confusion_matrix(actual, up, labels=[0.0, 1.0])
    scores = {
        "accuracy": float(metrics.accuracy_score(actual, up)),
        **{"precision": float(precision), "recall": float(recall), "f1": float(f1), "roc_auc": None},
        "matthews": float(metrics.matthews_corrcoef(actual, up)) if pd.concat([actual, up]).nunique() == 2 else 0.0,
        "log_loss": None,
    }
    if probability is not None:
        scores["log_loss"] = float(metrics.log_loss(actual, probability, labels=[0.0, 1.0]))
        if actual.nunique() == 2:
            scores["roc_auc"] = float(metrics.roc_auc_score(actual, probability))
    names = ("true_no_rise", "false_rise", "false_no_rise", "true_rise")
    return scores | {"confusion": dict(zip(names, map(int, matrix.ravel()), strict=True))}


def of_price(actual: pd.Series, forecast: pd.Series, last: pd.Series) -> dict[str, float]:
    """Return RMSE and MAE in money, and the skill against the last price, which is 0 if the price never moved."""
    errors = score(actual, forecast)
    moved = (last != actual).any()
    return {"rmse": errors["rmse"], "mae": errors["mae"], "skill": skill(actual, forecast, last) if moved else 0.0}
