"""Put a report where it belongs: into its folder and on the tracking server, whole or not at all."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import mlflow
import pandas as pd

from report.basis import Source
from report.facts import Facts
from report.production import without_password
from report.render import write_pdf

EXPERIMENT = "weekly_report"


@dataclass(frozen=True)
class Filed:
    """Where a report is: its files, and the run that it is logged as, if it is."""

    files: list[Path]
    run_id: str | None


def file_report(folder: Path, facts: Facts, page: str, source: Source, log: bool, pdf: bool) -> Filed:
    """Write the page, and its PDF if wanted, log them, and say where they are.

    They are written beside their place and renamed at the end, so a reader never meets half a page, and whatever fails
    leaves the report that was there before. Raises OSError and MlflowException.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".part-") as beside:
        made = [Path(beside) / f"{facts.name}.html"]
        made[0].write_text(page, encoding="utf-8", newline="\n")
        if pdf:
            made.append(made[0].with_suffix(".pdf"))
            write_pdf(page, made[1])
        for path in made:
            if (folder / path.name).is_dir():
                raise IsADirectoryError(f"{folder / path.name} is a folder, and no report can take its place. Move it.")
        run_id = log_report(facts, source, made) if log else None
        return Filed([path.replace(folder / path.name) for path in made], run_id)


def log_report(facts: Facts, source: Source, files: list[Path]) -> str:
    """Log the files of a report as a run that names the model version that made it, and return the run's id."""
    found = mlflow.get_experiment_by_name(EXPERIMENT)
    experiment_id = found.experiment_id if found else mlflow.create_experiment(EXPERIMENT)
    tags = {
        "step": "report",
        "week": facts.name,
        "model_version": source.production.version,
        "data_run": source.table_run,
        "verdict": facts.verdict,
        "drift": facts.drift.state,
        "source": without_password(source.table.attrs["source"]),
    }
    metrics = {f"mae_{power.target}": power.mae for power in facts.powers}
    metrics |= {f"error_ratio_{power.target}": power.judgement.ratio for power in facts.powers}
    with mlflow.start_run(experiment_id=experiment_id, run_name=facts.name, tags=tags) as run:
        mlflow.log_metrics({name: value for name, value in metrics.items() if pd.notna(value)})
        for path in files:
            mlflow.log_artifact(str(path))
    return run.info.run_id
