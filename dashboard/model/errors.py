"""How far off model versions are: the table of their errors, and whether one is better than another."""

from dash import html

from dashboard.components import empty, known, measure, percent, table
from dashboard.targets import Target
from forecasting.production import REGISTERED_MODEL

ERRORS = {"mae": "MAE", "rmse": "RMSE", "bias": "Bias", "r2": "r²"}
VALIDATE = f"mlflow run 3_projects/registry --env-manager local --experiment-name {REGISTERED_MODEL}"


def errors_table(
    caption: str, columns: dict[str, dict[str, float]], targets: list[Target], compare: bool = False
) -> html.Div:
    """Return errors such as ``mae_solar_GW`` by the title of their column, and whether the second is better."""
    rows = []
    for key, name in ERRORS.items():
        for target in targets:
            values = [errors.get(f"{key}_{target.name}") for errors in columns.values()]
            if any(value is not None for value in values):
                texts = [measure(key, value, target.unit, 3) for value in values]
                verdicts = [verdict(key, *values)] if compare else []
                rows.append([f"{target.label}, {name}", *texts, *verdicts])
    if not rows:
        return empty("No errors are noted. The registry notes them:", VALIDATE)
    header = ["Error", *columns, *(["It is"] if compare else [])]
    return table(caption, header, rows, range(1, 1 + len(columns)))


def verdict(key: str, one: float | None, two: float | None) -> str:
    """Return in words whether the second is better than the first."""
    if not (known(one) and known(two)):
        return "–"
    gain = (two - one) if key == "r2" else abs(one) - abs(two)
    if abs(gain) < 0.0005:
        return "the same"
    share = f" by {percent(abs(gain) / abs(one))}" if key in ("mae", "rmse") and one else ""
    return ("▲ better" if gain > 0 else "▼ worse") + share
