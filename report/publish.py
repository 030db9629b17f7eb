"""Put a report into its folder and on the tracking server, whole or not at all."""

import contextlib
from pathlib import Path

import mlflow
import pandas as pd

from forecasting.errors import UserError
from forecasting.files import replacing
from forecasting.tracking import refuse_deleted, without_password
from report.render import write_pdf
from report.report_inputs import ReportInputs
from report.week_statistics import WeekStatistics

EXPERIMENT = "weekly_report"


def publish(
    folder: Path, week: WeekStatistics, page: str, inputs: ReportInputs, log: bool, pdf: bool
) -> tuple[list[Path], str | None]:
    """Write the page, and its PDF if wanted, and log them; return the files and the id of the run, if there is one.

    The files get their names only when all of them are written and logged: a reader never sees half a page, and a
    failure leaves the report of before. Raises OSError, UserError and MlflowException.
    """
    files = [folder / f"{week.name}.{kind}" for kind in ("html", "pdf")[: 1 + pdf]]
    for path in files:
        if path.is_dir():
            raise UserError(f"{path} is a folder, so no report can take its place; move it")
    with contextlib.ExitStack() as stack:
        written = [stack.enter_context(replacing(path)) for path in files]
        written[0].write_text(page, encoding="utf-8", newline="\n")
        if pdf:
            write_pdf(page, written[1])
        run_id = log_report(week, inputs, written) if log else None
    return files, run_id


def log_report(week: WeekStatistics, inputs: ReportInputs, files: list[Path]) -> str:
    """Log the files of a report as a run that names the model version that it is about, and return the run's id."""
    experiment = mlflow.get_experiment_by_name(EXPERIMENT)
    experiment_id = refuse_deleted(experiment).experiment_id if experiment else mlflow.create_experiment(EXPERIMENT)
    tags = {
        "project": "report",
        "week": week.name,
        "model_version": inputs.production.version,
        "data_run": inputs.table.run_id,
        "verdict": week.verdict,
        "drift": week.drift.state,
        "data_title": without_password(inputs.table.title),
    }
    metrics = {f"mae_{one.target}": one.mae for one in week.targets}
    metrics |= {f"error_ratio_{one.target}": one.judgement.ratio for one in week.targets}
    with mlflow.start_run(experiment_id=experiment_id, run_name=week.name, tags=tags) as run:
        mlflow.log_metrics({name: value for name, value in metrics.items() if pd.notna(value)})
        for path in files:
            mlflow.log_artifact(str(path))
    return run.info.run_id
