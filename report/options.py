"""The options of create_report.py."""

import argparse
from datetime import UTC, datetime
from pathlib import Path

from forecasting.options import add_option, utc_time
from report import mail
from report.week import first_hour

OUTPUT = Path(__file__).resolve().parent / "output"


def address(text: str) -> str:
    """Return a mail address; raises argparse.ArgumentTypeError."""
    if not mail.is_address(text):
        raise argparse.ArgumentTypeError(f"expected one mail address, found {text!r}; repeat --email for another one")
    return text


def folder(text: str) -> Path:
    """Return the path of a folder, which need not exist; raises argparse.ArgumentTypeError."""
    path = Path(text)
    for part in (path, *path.parents):
        if part.is_file():
            raise argparse.ArgumentTypeError(f"expected a folder, found the file {part}; name another place")
    return path


def report_options(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line and the environment; ends the program on a mistake.

    ``week`` is its first hour, or None for the last complete one; ``now`` is the one "now" of a report (UTC).
    """
    parser = argparse.ArgumentParser(
        description="Write the report of one week with the model in production.",
        epilog=f"Settings for --email, in the environment:\n{mail.SETTINGS}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--week", type=first_hour, help="ISO week, such as 2015-W31 (default: the last complete one)")
    which.add_argument("--all", action="store_true", help="every complete week in the data, one after the other")
    add_option(parser, "--output", "REPORT_OUTPUT", OUTPUT, "folder for the reports", type=folder)
    parser.add_argument("--pdf", action="store_true", help="a PDF too; needs report/requirements-pdf.txt installed")
    parser.add_argument("--no-log", dest="log", action="store_false", help="don't log the report to MLflow")
    parser.add_argument("--email", type=address, action="append", default=[], metavar="TO", help="send it; repeatable")
    parser.add_argument("--dry-run", action="store_true", help="with --email: print the message, send nothing")
    now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M}"
    add_option(
        parser, "--now", "REPORT_NOW", now, "the time (UTC) that the report states", type=utc_time, metavar="TIME"
    )
    options = parser.parse_args(arguments)
    if options.all and options.email:
        parser.error("--email sends the report of one week; leave it out with --all")
    if options.dry_run and not options.email:
        parser.error("--dry-run prints the message of --email TO; name an address")
    return options
