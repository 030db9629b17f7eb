"""The rows and the columns of the grid of all runs."""

from datetime import UTC, datetime

from mlflow.entities import Run

from dashboard.registry import Registry, Version
from dashboard.targets import Target
from forecasting.tracking import project_of, server_address


def _column(field: str, name: str, **more) -> dict:
    return {"field": field, "headerName": name} | more


def _number(field: str, name: str, digits: int) -> dict:
    return _column(
        field,
        name,
        filter="agNumberColumnFilter",
        type="rightAligned",
        valueFormatter={"function": f"params.value == null ? '–' : d3.format('.{digits}f')(params.value)"},
    )


def columns_of(targets: list[Target]) -> list[dict]:
    """Return the columns of the grid."""
    maes = [
        _number(f"{part}_mae_{target.name}", f"{part.capitalize()} MAE {target.label.lower()}", 3)
        for part in ("holdout", "validation")
        for target in targets
    ]
    units = ", ".join(sorted({target.unit for target in targets}))
    return [
        _column("started", "Started (UTC)", sort="desc", pinned=None),
        _column("name", "Run", cellRenderer="RunLink"),
        _column("project", "Project"),
        _column("version", "Version", cellRenderer="VersionLink", filter="agNumberColumnFilter", type="rightAligned"),
        _column("alias", "Alias"),
        _column("status", "Status"),
        _number("seconds", "Seconds", 1),
        _number("holdout_mae", f"Holdout MAE, {units}", 3),
        *maes,
        _column("experiment", "Experiment"),
        _column("user", "By"),
        _column("parameters", "Parameters", maxWidth=420, tooltipField="parameters"),
    ]


def rows_of(registry: Registry) -> list[dict]:
    """Return a row for each run, with the version that it became, if any."""
    versions = {version.run_id: version for version in reversed(registry.versions)}
    return [row_of(run, registry.experiments, versions.get(run.info.run_id)) for run in registry.runs]


def row_of(run: Run, experiments: dict[str, str], version: Version | None) -> dict:
    """Return the cells of a run by the field of their column."""
    info, data = run.info, run.data
    return {
        "id": info.run_id,
        "started": f"{datetime.fromtimestamp(info.start_time / 1000, UTC):%Y-%m-%d %H:%M:%S}",
        "name": info.run_name or info.run_id[:8],
        "url": f"{server_address()}/#/experiments/{info.experiment_id}/runs/{info.run_id}",
        "project": project_of(run) if {"project", "step"} & set(data.tags) else "",
        "version": int(version.number) if version else None,
        "version_url": version.url if version else None,
        "alias": ", ".join(version.aliases) if version else "",
        "status": info.status,
        "seconds": (info.end_time - info.start_time) / 1000 if info.end_time else None,
        **{name: value for name, value in data.metrics.items() if name.startswith("validation_mae_")},
        **{f"holdout_{name}": value for name, value in (version.holdout if version else {}).items()},
        "experiment": experiments.get(info.experiment_id, info.experiment_id),
        "user": data.tags.get("mlflow.user", ""),
        "parameters": ", ".join(f"{name}={value}" for name, value in sorted(data.params.items())),
    }
