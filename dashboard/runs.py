"""The rows and the columns of the grid of all runs."""

from datetime import UTC, datetime

from mlflow.entities import Run

from dashboard.registry import Registry


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


COLUMNS = [
    _column("started", "Started (UTC)", sort="desc", pinned=None),
    _column("name", "Run", cellRenderer="RunLink"),
    _column("step", "Step"),
    _column("version", "Version", cellRenderer="VersionLink", filter="agNumberColumnFilter", type="rightAligned"),
    _column("alias", "Alias"),
    _column("status", "Status"),
    _number("seconds", "Seconds", 0),
    _number("mae", "Holdout MAE, GW", 3),
    _number("mae_solar_GW", "solar", 3),
    _number("mae_wind_GW", "wind", 3),
    _number("validation_solar", "Validation MAE solar", 3),
    _number("validation_wind", "wind", 3),
    _column("experiment", "Experiment"),
    _column("user", "By"),
    _column("parameters", "Parameters", maxWidth=420, tooltipField="parameters"),
]


def rows_of(registry: Registry) -> list[dict]:
    """Return a row for each run, with the version that it became, if any."""
    versions = {version.run_id: version for version in reversed(registry.versions)}
    return [row_of(run, registry, versions) for run in registry.runs]


def row_of(run: Run, registry: Registry, versions: dict) -> dict:
    """Return what the grid shows of a run; errors in GW."""
    info, data = run.info, run.data
    version = versions.get(info.run_id)
    holdout = version.holdout if version else {}
    return {
        "id": info.run_id,
        "started": f"{datetime.fromtimestamp(info.start_time / 1000, UTC):%Y-%m-%d %H:%M:%S}",
        "name": info.run_name or info.run_id[:8],
        "url": registry.run_url(run),
        "step": data.tags.get("step", ""),
        "version": int(version.number) if version else None,
        "version_url": registry.version_url(version.number) if version else None,
        "alias": ", ".join(version.aliases) if version else "",
        "status": info.status,
        "seconds": (info.end_time - info.start_time) / 1000 if info.end_time else None,
        "mae": holdout.get("mae"),
        "mae_solar_GW": holdout.get("mae_solar_GW"),
        "mae_wind_GW": holdout.get("mae_wind_GW"),
        "validation_solar": data.metrics.get("validation_mae_solar_GW"),
        "validation_wind": data.metrics.get("validation_mae_wind_GW"),
        "experiment": registry.experiments.get(info.experiment_id, info.experiment_id),
        "user": data.tags.get("mlflow.user", ""),
        "parameters": ", ".join(f"{name}={value}" for name, value in sorted(data.params.items())),
    }
