"""From the numbers of a week to its page, and to PDF."""

import sys
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import jinja2
import pandas as pd

from report import drift, summary, verdict
from report.basis import Basis
from report.drawings import Drawings, daily
from report.facts import Facts
from report.production import ALIAS, NAME, NotThere, server_address, without_password

HERE = Path(__file__).resolve().parent


def environment() -> jinja2.Environment:
    """Return how templates are read; whatever a template prints has passed ``without_password``."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: without_password(value) if type(value) is str else value,
    )


def link(path: str) -> str | None:
    """Return the address of a place in the MLflow pages, None if there are none, as with a database as server."""
    server = server_address()
    return f"{server}/#/{path}" if server.startswith(("http://", "https://")) else None


def provenance(basis: Basis) -> list[dict]:
    """Return where the report comes from: rows of name, text and link."""
    source = basis.source
    production, index = source.production, source.table.index
    packages = ", ".join(production.packages) or "unknown"
    table_link = link(f"experiments/{source.experiment_id}/runs/{source.table_run}")
    model_link = link(f"experiments/{production.experiment_id}/runs/{production.run_id}")
    rows = [
        (
            "Model",
            f"{NAME}, version {production.version}, alias {ALIAS} ({production.kind})",
            link(f"models/{NAME}/versions/{production.version}"),
        ),
        ("Trained", f"{production.trained_at:%Y-%m-%d %H:%M} UTC, on {production.trained_on}", None),
        ("Training run", production.run_id, model_link),
        ("Judged on", production.judged_on, None),
        ("Code", f"git commit {production.commit}" if production.commit else "not in a git repository", None),
        ("Packages", packages, None),
        ("Data", f"{source.table.attrs['source']}, {index[0]:%Y-%m-%d %H:%M} to {index[-1]:%Y-%m-%d %H:%M} UTC", None),
        ("Table run", source.table_run, table_link),
        ("Table digest", f"SHA-256 {source.digest}", None),
        ("MLflow", server_address(), link("")),
    ]
    return [{"name": name, "text": text, "link": address} for name, text, address in rows]


@dataclass
class Renderer:
    """Makes page after page; the template is read and the charts are built once."""

    basis: Basis
    drawings: Drawings = field(default_factory=Drawings)

    def __post_init__(self):
        """Read the template."""
        self.template = environment().get_template("template.html")

    def page(self, facts: Facts, made_at: datetime) -> str:
        """Return the page of a week; ``made_at`` (UTC) is all in it that differs if it is made again."""
        return self.template.render(
            facts=facts,
            source=self.basis.source.table.attrs["source"],
            summary=summary.paragraphs(facts),
            judged=summary.judged(facts),
            following=summary.following(facts),
            advice=verdict.ADVICE[facts.verdict],
            beyond=drift.BEYOND,
            figures=self.drawings.draw(self.basis, facts),
            has_range=any(pd.notna(power.inside) for power in facts.powers) or "wind_GW_q90" in self.basis.predicted,
            days=daily(self.basis, facts),
            provenance=provenance(self.basis),
            python=f"{sys.version_info.major}.{sys.version_info.minor}.{sys.version_info.micro}",
            made_at=made_at,
        )


def check_pdf() -> None:
    """Raise NotThere if no PDF can be made here."""
    try:
        import weasyprint  # noqa: F401 (an extra, which takes a second to import)
    except ImportError:
        raise NotThere(
            "A PDF needs WeasyPrint, which is not installed. Type: pip install -r report/requirements-pdf.txt"
        ) from None
    except OSError as error:
        raise NotThere(
            f"WeasyPrint is installed but lacks a library of the system ({error}). Install Pango, such as the "
            "package libpango-1.0-0."
        ) from None


def write_pdf(page: str, path: Path) -> None:
    """Write a page as PDF, with the same bytes for the same page."""
    import weasyprint

    weasyprint.HTML(string=page).write_pdf(path, pdf_identifier=b"wind_solar")
