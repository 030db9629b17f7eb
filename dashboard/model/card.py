"""The card of the model in production: where it comes from, how good it is, its parameters and its signature."""

from dash import html
from mlflow.entities import Run

from dashboard.components import empty, name_value_list, outside
from dashboard.follower import View
from dashboard.model.errors import errors_table
from dashboard.registry import Registry
from forecasting.production import REGISTERED_MODEL


def card(view: View, registry: Registry | None) -> list:
    """Return the card of the model in production."""
    production, run = view.production, view.production.training
    tags, version = (run.data.tags if run else {}), registry.version(production.version) if registry else None
    aliases = ", ".join(version.aliases) or "none" if version else "not read yet"
    title = f"{REGISTERED_MODEL}, version {production.version}"
    origin = {
        "Model": outside(title, version.url) if version else title,
        "Alias": aliases,
        "Made by": f"3_projects/{production.project}" if production.project != "unknown" else "unknown",
        "Run": outside(html.Code(run.info.run_id), production.run_url) if run else "not stated",
        "Trained": f"{production.trained_at:%Y-%m-%d %H:%M} UTC",
        "Trained on": production.data_title,
        "Table": html.Code(tags.get("data_run", "not stated")),
        "Judged on": production.judged_on,
        "Code": code_of(tags),
    }
    validation = {key.removeprefix("validation_"): value for key, value in (run.data.metrics if run else {}).items()}
    errors = {"Holdout": version.holdout if version else {}, "Validation": validation}
    sections = {
        "Where it comes from": [name_value_list(origin)],
        "How good it is": [errors_table("No training step has seen the holdout", errors, view.targets)],
        "Parameters": [parameters_of(run)],
        "Signature": signature_of(view),
    }
    parts = [html.Div([html.H3(heading), *content]) for heading, content in sections.items()]
    return [html.Div(parts[:2], className="columns"), html.Div(parts[2:], className="columns")]


def code_of(tags: dict[str, str]) -> list:
    """Return the code that made a run, as far as MLflow has noted it."""
    commit, repository = tags.get("mlflow.source.git.commit"), tags.get("mlflow.source.git.repoURL")
    parts = ["commit ", html.Code(commit[:12], title=commit)] if commit else ["no commit noted"]
    if repository:
        parts += [" of ", repository]
    source = tags.get("mlflow.source.name")
    return [*parts, ", ", html.Code(source)] if source else parts


def parameters_of(run: Run | None) -> html.Details | html.Div:
    """Return the parameters of a run as a list."""
    if run is None or not run.data.params:
        return empty("The run has noted no parameters.")
    values = {name: html.Code(value) for name, value in sorted(run.data.params.items()) if value != "None"}
    unset = len(run.data.params) - len(values)
    words = f"{len(values)} parameters, as the training run noted them"
    words += f" ({unset} more are not set)" if unset else ""
    return html.Details([html.Summary(words), name_value_list(values)], open=len(values) <= 8)


def signature_of(view: View) -> list:
    """Return the columns that the model takes and gives."""
    metadata = view.production.model.metadata
    parts = []
    for name, schema in (("takes", metadata.get_input_schema()), ("gives", metadata.get_output_schema())):
        items = [
            html.Li([html.Code(column.get("name", "?")), html.Span(f" {column.get('type', '')}", className="detail")])
            for column in schema.to_dict()
        ]
        parts += [html.P(f"It {name} {len(items)} columns:"), html.Ul(items, className="names")]
    return parts
