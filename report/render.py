"""From the numbers of a week to its page, and to PDF."""

import platform
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import jinja2

from forecasting.errors import UserError
from forecasting.production import ALIAS
from forecasting.tracking import server_address, without_password
from report import drift, summary, verdict
from report.charts import COLOURS
from report.figures import Figures, daily_means
from report.report_inputs import ReportInputs
from report.week_statistics import WeekStatistics


def link(path: str) -> str | None:
    """Return the address of a place in the MLflow pages; None if a database is the server, which has none."""
    server = server_address()
    return f"{server}/#/{path}" if server.startswith(("http://", "https://")) else None


def provenance(inputs: ReportInputs) -> list[tuple[str, str, str | None]]:
    """Return where the report comes from: rows of name, text and link."""
    production, table, index = inputs.production, inputs.table, inputs.table.frame.index
    training, commit = production.training, production.commit
    model = f"{production.name}, version {production.version}, alias {ALIAS} ({production.project})"
    data = f"{table.title}, {index[0]:%Y-%m-%d %H:%M} to {index[-1]:%Y-%m-%d %H:%M} UTC"
    run_link = training and link(f"experiments/{training.info.experiment_id}/runs/{training.info.run_id}")
    return [
        ("Model", model, link(f"models/{production.name}/versions/{production.version}")),
        ("Trained", f"{production.trained_at:%Y-%m-%d %H:%M} UTC, on {production.data_title}", None),
        ("Training run", training.info.run_id if training else "not stated", run_link),
        ("Judged on", production.judged_on, None),
        ("Code", f"git commit {commit}" if commit else "not in a git repository", None),
        ("Packages", ", ".join(production.packages) or "unknown", None),
        ("Data", data, None),
        ("Table run", table.run_id, link(f"experiments/{table.experiment_id}/runs/{table.run_id}")),
        ("Table digest", f"SHA-256 {table.digest}", None),
        ("MLflow", server_address(), link("")),
    ]


@dataclass
class Renderer:
    """Makes page after page; the template is read and the charts are built once."""

    inputs: ReportInputs
    figures: Figures = field(default_factory=Figures)

    def __post_init__(self):
        """Read the template; whatever it prints has passed ``without_password``."""
        environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(Path(__file__).parent),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            finalize=lambda value: without_password(value) if type(value) is str else value,
        )
        self.template = environment.get_template("template.html")

    def page(self, week: WeekStatistics, made_at: datetime) -> str:
        """Return the page of a week; only ``made_at`` (UTC) differs if it is made again."""
        units = {one.unit for one in week.targets}
        return self.template.render(
            week=week,
            unit=units.pop() if len(units) == 1 else "the units of the targets",
            data_title=self.inputs.table.title,
            summary=summary.paragraphs(week),
            judged=map(summary.judged, week.targets),
            next_week=summary.next_week(week),
            advice=summary.advice(week),
            beyond=drift.BEYOND,
            fewest_inside=verdict.FEWEST_INSIDE,
            figures=self.figures.draw(self.inputs, week),
            colours=COLOURS[: len(week.targets)],
            has_range=any(name.endswith("_q90") for name in self.inputs.predicted),
            days=daily_means(self.inputs, week),
            provenance=provenance(self.inputs),
            python=platform.python_version(),
            made_at=made_at,
        )


def check_pdf() -> None:
    """Raise UserError if no PDF can be made here."""
    try:
        import weasyprint  # noqa: F401 (an extra, which takes a second to import)
    except (ImportError, OSError) as error:
        raise UserError(
            f"a PDF needs WeasyPrint, which can't be loaded here ({error}). Type: pip install -r "
            "report/requirements-pdf.txt, and install the system library Pango if it is missing"
        ) from None


def write_pdf(page: str, path: Path) -> None:
    """Write a page as PDF, with the same bytes for the same page."""
    import weasyprint

    weasyprint.HTML(string=page).write_pdf(path, pdf_identifier=b"report")
