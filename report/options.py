"""The options of create_report.py, with their fall-backs in the environment."""

import argparse
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from report import mail
from report.week import first_hour, utc_of

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Options:
    """What was asked for; ``made_at`` is the one "now" of a report (UTC)."""

    week: pd.Timestamp | None  # None is the last complete one
    all: bool
    output: Path
    pdf: bool
    log: bool
    email: list[str]
    dry_run: bool
    made_at: datetime


def moment(text: str) -> datetime:
    """Return a time such as 2016-12-31T06:00 in UTC; raises argparse.ArgumentTypeError."""
    try:
        return utc_of(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a time (UTC) such as 2016-12-31T06:00, found {text!r}") from None


def address(text: str) -> str:
    """Return a mail address; raises argparse.ArgumentTypeError."""
    if not mail.is_address(text):
        raise argparse.ArgumentTypeError(f"expected one mail address, found {text!r}; repeat --email for another one")
    return text


def read_options(arguments: list[str] | None = None) -> Options:
    """Return what the command line and the environment ask for; ends the program if that can't be."""
    parser = argparse.ArgumentParser(
        description="Write the report of one week with the model in production.",
        epilog=f"Settings for --email, in the environment:\n{mail.SETTINGS}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--week", type=first_hour, help="ISO week, such as 2015-W31 (default: the last complete one)")
    which.add_argument("--all", action="store_true", help="every complete week in the data, one after the other")
    parser.add_argument(
        "--output",
        type=Path,
        default=os.environ.get("REPORT_OUTPUT", HERE / "output"),
        help="folder (default: REPORT_OUTPUT, else report/output)",
    )
    parser.add_argument("--pdf", action="store_true", help="a PDF too; wants report/requirements-pdf.txt installed")
    parser.add_argument("--no-log", action="store_true", help="don't log the report to MLflow")
    parser.add_argument("--email", type=address, action="append", default=[], metavar="TO", help="send it; repeatable")
    parser.add_argument("--dry-run", action="store_true", help="with --email: print the message, send nothing")
    parser.add_argument(
        "--now",
        type=moment,
        default=os.environ.get("REPORT_NOW") or datetime.now(UTC).isoformat(),
        metavar="TIME",
        help="time of making (UTC) that the report states (default: REPORT_NOW, else the clock)",
    )
    options = parser.parse_args(arguments)
    if options.all and options.email:
        parser.error("--email sends the report of one week; leave it out with --all")
    if options.dry_run and not options.email:
        parser.error("--dry-run prints the message of --email TO; name an address")
    return Options(
        week=options.week,
        all=options.all,
        output=options.output,
        pdf=options.pdf,
        log=not options.no_log,
        email=options.email,
        dry_run=options.dry_run,
        made_at=options.now,
    )
