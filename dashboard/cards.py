"""The card of the model in production: where it comes from, how good it is, its parameters and its signature."""

from collections.abc import Callable
from functools import partial

from dash import html
from mlflow.entities import Run

from dashboard.figures.base import NAMES
from dashboard.live import View
from dashboard.parts import empty, facts, gw, number, outside, table
from dashboard.registry import Registry, Version
from report.production import TARGETS, server_address

ERRORS = {"mae": "MAE", "rmse": "RMSE", "bias": "Bias", "r2": "r²"}
PROMOTE = "mlflow run 3_projects/registry --env-manager local --experiment-name predicting_wind_solar"


def card(view: View, registry: Registry | None) -> list:
    """Return the card of the model in production."""
    production, run = view.production, view.run
    tags, version = (run.data.tags if run else {}), registry and registry.version(production.version)
    aliases = ", ".join(version.aliases) if version else "production"
    server = server_address()
    about = {
        "Model": outside(
            f"wind_solar, version {production.version}", f"{server}/#/models/wind_solar/versions/{production.version}"
        ),
        "Alias": aliases,
        "Made by": f"3_projects/{production.kind}" if production.kind != "unknown" else "unknown",
        "Run": outside(html.Code(production.run_id), production.run_url),
        "Trained": f"{production.trained_at:%Y-%m-%d %H:%M} UTC",
        "Trained on": production.trained_on,
        "Table": html.Code(tags.get("data_run", "not stated")),
        "Judged on": production.judged_on,
        "Code": code_of(tags),
    }
    return [
        html.Div(
            [
                html.Div([html.H3("Where it comes from"), facts(about)]),
                html.Div([html.H3("How good it is"), *metrics_of(version, run)]),
            ],
            className="columns",
        ),
        html.Div(
            [
                html.Div([html.H3("Parameters"), parameters_of(run)]),
                html.Div([html.H3("Signature"), *signature_of(view)]),
            ],
            className="columns",
        ),
    ]


def code_of(tags: dict[str, str]) -> list:
    """Return by which code a run was made, as far as MLflow has noted it."""
    commit, repository = tags.get("mlflow.source.git.commit"), tags.get("mlflow.source.git.repoURL")
    parts = ["commit ", html.Code(commit[:12], title=commit)] if commit else ["no commit noted"]
    if repository:
        parts += [" of ", repository]
    source = tags.get("mlflow.source.name")
    return [*parts, ", ", html.Code(source)] if source else parts


def metrics_of(version: Version | None, run: Run | None) -> list:
    """Return the errors on the holdout and on the validation weeks as a table."""
    noted = {"holdout": version.holdout if version else {}}
    noted["validation"] = {
        key.removeprefix("validation_"): value for key, value in (run.data.metrics if run else {}).items()
    }
    rows = []
    for part, errors in noted.items():
        for key, name in ERRORS.items():
            values = [errors.get(f"{key}_{target}") for target in TARGETS]
            if any(value is not None for value in values):
                rows.append([f"{name}, {part}", *map(shown_as(key), values)])
    if not rows:
        return [empty("No errors are noted for this version. The registry's step notes them:", PROMOTE)]
    return [table("No training step has seen the holdout", ["", *(NAMES[t] for t in TARGETS)], rows, {1, 2})]


def shown_as(key: str) -> Callable[[float | None], str]:
    """Return how the values of a measure are written."""
    return partial(number, digits=3) if key == "r2" else partial(gw, digits=3, sign=key == "bias")


def parameters_of(run: Run | None) -> html.Details | html.Div:
    """Return the parameters of a run as a table."""
    if run is None or not run.data.params:
        return empty("The run has noted no parameters.")
    rows = {name: html.Code(value) for name, value in sorted(run.data.params.items()) if value != "None"}
    unset = len(run.data.params) - len(rows)
    words = f"{len(rows)} parameters, as the training run noted them"
    words += f" ({unset} more are not set)" if unset else ""
    return html.Details([html.Summary(words), facts(rows)], open=len(rows) <= 8)


def signature_of(view: View) -> list:
    """Return the columns that the model takes and gives."""
    metadata = view.production.model.metadata
    found = []
    for name, schema in (("takes", metadata.get_input_schema()), ("gives", metadata.get_output_schema())):
        columns = [] if schema is None else schema.to_dict()
        items = [
            html.Li([html.Code(column.get("name", "?")), html.Span(f" {column.get('type', '')}", className="detail")])
            for column in columns
        ]
        found += [html.P(f"It {name} {len(items)} columns:"), html.Ul(items, className="names")]
    return found
