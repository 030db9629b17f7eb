"""Write the report of one week with the model that is in production.

    python report/create_report.py
    python report/create_report.py --week 2015-W31 --output DIR --pdf --email ada@example.org
    python report/create_report.py --all

The page contains everything that it shows, so it opens without a network. It is also logged to MLflow, as an artifact
of a run in the experiment ``weekly_report``. Without an option it reports the last complete week in the data.
"""

import os
import sys
from argparse import Namespace
from pathlib import Path

import pandas as pd
from mlflow.exceptions import MlflowException

from forecasting import errors
from forecasting.errors import UserError
from forecasting.production import Production, load, newest_table_run, production_version
from forecasting.table import HourlyTable
from forecasting.tracking import choose_server, server_address, without_password
from report import mail, summary
from report.options import report_options
from report.publish import EXPERIMENT, publish
from report.render import Renderer, check_pdf
from report.report_inputs import prepare
from report.week import choose_weeks, name_of
from report.week_statistics import WeekStatistics, week_statistics


def make(renderer: Renderer, start: pd.Timestamp, options: Namespace) -> tuple[WeekStatistics, list[Path], str | None]:
    """Make and publish the report of one week; return its numbers, its files and the id of its run."""
    week = week_statistics(renderer.inputs, start)
    page = renderer.page(week, options.now)
    files, run_id = publish(options.output, week, page, renderer.inputs, options.log, options.pdf)
    return week, files, run_id


def make_all(renderer: Renderer, weeks: list[pd.Timestamp], options: Namespace) -> None:
    """Make the reports of a backlog; raises UserError with the weeks that failed, after all the others."""
    failed = []
    for number, start in enumerate(weeks, 1):
        progress = f"report: [{number}/{len(weeks)}] {name_of(start)}"
        try:
            week, *_ = make(renderer, start, options)
            print(f"{progress}: {week.verdict}", flush=True)
        except Exception as error:  # one week must not cost the others, whatever is wrong with it
            failed.append(name_of(start))
            print(f"{progress}: failed: {explain(error)}", file=sys.stderr, flush=True)
    print(f"report: {len(weeks) - len(failed)} of {len(weeks)} weeks are in {options.output.resolve()}")
    if failed:
        raise UserError(f"failed: {', '.join(failed)}. Make one again with: --week {failed[0]}")


def make_one(renderer: Renderer, start: pd.Timestamp, options: Namespace, settings: mail.MailSettings | None) -> None:
    """Make the report of one week; mail it if that was asked for, or print the message if there are no settings."""
    week, files, run_id = make(renderer, start, options)
    for path in files:
        print(f"report: {path.resolve()}")
    if run_id:
        print(f"report: logged as run {run_id} in the experiment {EXPERIMENT}")
    if not options.email:
        return
    text = summary.letter(week, renderer.inputs.table.title, named(renderer.inputs.production))
    sender = settings.sender if settings else os.environ.get("SMTP_FROM", "").strip() or "report@localhost"
    message = mail.compose(sender, options.email, summary.headline(week), text, files, options.now)
    if settings is None:
        print(mail.preview(message))
        return
    failed = mail.send(message, settings)
    if sent := [to for to in options.email if to not in failed]:
        print(f"report: sent to {', '.join(sent)}")
    if failed:
        again = " ".join(["python report/create_report.py --week", week.name, *(f"--email {to}" for to in failed)])
        raise UserError(" ".join([*dict.fromkeys(failed.values()), f"The report is written. To send it: {again}"]))


def named(production: Production) -> str:
    """Return the name of the model for a reader."""
    return f"{production.name} version {production.version} ({production.project})"


def explain(error: Exception) -> str:
    """Return a sentence about what went wrong, without the password of an address."""
    if isinstance(error, MlflowException):
        return without_password(errors.explain(error))
    kind = "" if isinstance(error, (UserError, OSError)) else f"{type(error).__name__}: "
    return without_password(kind + errors.first_line(error))


def run(options: Namespace) -> None:
    """Read what all reports are made from, and make them."""
    settings = mail.read_settings(os.environ) if options.email and not options.dry_run else None
    if options.pdf:
        check_pdf()
    version = production_version()
    table = HourlyTable.read(newest_table_run(version))
    weeks = choose_weeks(table.frame.index, options.week, options.all)  # before the model is loaded, which takes long
    production = load(version)
    try:
        renderer = Renderer(prepare(table, production))
    except KeyError as error:
        raise UserError(f"{named(production)} takes a column that the table lacks: {error}; train it again") from None
    if options.all:
        make_all(renderer, weeks, options)
    else:
        make_one(renderer, weeks[0], options, settings)
    print(f"report: {named(production)} of {server_address()}, on {table.title}")


def main(arguments: list[str] | None = None) -> None:
    """Do what the command line asks for; a failure ends the program with one sentence."""
    options = report_options(arguments)
    choose_server("report")
    try:
        run(options)
    except (UserError, OSError, MlflowException) as error:
        sys.exit(f"report: {explain(error)}")
    except KeyboardInterrupt:
        sys.exit("report: stopped")


if __name__ == "__main__":
    # MLflow's own seven attempts to reach a server that is away take four minutes.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    # MLflow's own output would hide ours, and cron would send it by mail.
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    main()
