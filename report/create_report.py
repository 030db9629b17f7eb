"""Write the report of one week with the model that is in production.

    python report/create_report.py
    python report/create_report.py --week 2015-W31 --output DIR --pdf --email ada@example.org
    python report/create_report.py --all

The page holds everything that it shows, so it opens without a network. It is also logged to MLflow, as an artifact of a
run in the experiment ``weekly_report``. Without an option it reports the last complete week in the data.
"""

import os
import sys
from pathlib import Path

# The modules of the report are a package, which the dashboard reads too.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import pandas as pd
from mlflow.exceptions import MlflowException

from report import mail, summary
from report.basis import prepare, read_source
from report.facts import Facts, measure
from report.filing import EXPERIMENT, Filed, file_report
from report.options import Options, read_options
from report.production import (
    NotThere,
    load,
    newest_table_run,
    production_version,
    read_table,
    server_address,
    without_password,
)
from report.render import Renderer, check_pdf
from report.week import check_in_data, complete_weeks, last_complete_week, name_of


def choose_weeks(options: Options, index: pd.DatetimeIndex) -> list[pd.Timestamp]:
    """Return the first hours of the weeks that are asked for; raises NotThere if the data hold none of them."""
    last = last_complete_week(index) if options.week is None else options.week
    check_in_data(index, last)
    return complete_weeks(index) if options.all else [last]


def make(renderer: Renderer, start: pd.Timestamp, options: Options) -> tuple[Facts, Filed]:
    """Make the report of one week and file it."""
    facts = measure(renderer.basis, start)
    page = renderer.page(facts, options.made_at)
    filed = file_report(options.output, facts, page, renderer.basis.source, options.log, options.pdf)
    return facts, filed


def make_all(renderer: Renderer, weeks: list[pd.Timestamp], options: Options) -> None:
    """Make the reports of a backlog; ends the program with the weeks that failed, after all the others."""
    failed = []
    for number, start in enumerate(weeks, 1):
        place = f"[{number}/{len(weeks)}] {name_of(start)}"
        try:
            facts, _ = make(renderer, start, options)
            print(f"report: {place}: {facts.verdict}", flush=True)
        except Exception as error:  # one week must not cost the others, whatever is wrong with it
            failed.append(name_of(start))
            print(f"report: {place}: failed: {explain(error)}", file=sys.stderr, flush=True)
    print(f"report: {len(weeks) - len(failed)} of {len(weeks)} weeks are in {options.output.resolve()}")
    if failed:
        sys.exit(f"report: failed: {', '.join(failed)}. Make one again with: --week {failed[0]}")


def post(options: Options, settings: mail.MailSettings | None, facts: Facts, files: list[Path], renderer: Renderer):
    """Send the report, or print the message if there are no settings."""
    source = renderer.basis.source
    name = f"wind_solar, version {source.production.version} ({source.production.kind})"
    text = summary.letter(facts, source.table.attrs["source"], name)
    sender = settings.sender if settings else os.environ.get("SMTP_FROM") or "report@localhost"
    message = mail.compose(sender, options.email, summary.subject(facts), text, files, options.made_at)
    if settings is None:
        print(mail.shown(message))
    else:
        mail.send(message, settings)
        print(f"report: sent to {', '.join(options.email)}")


def explain(error: Exception) -> str:
    """Return a sentence about what went wrong."""
    reason = without_password((str(error) or type(error).__name__).splitlines()[0])
    if isinstance(error, (NotThere, OSError, mail.MailError)):
        return reason
    if isinstance(error, MlflowException):
        return f"the tracking server {server_address()} or its artifact store did not do its part: {reason}"
    return f"{type(error).__name__}: {reason}"


def run(options: Options) -> None:
    """Read what the reports are made from once, and make them."""
    settings = mail.read_settings(os.environ) if options.email and not options.dry_run else None
    if options.pdf:
        check_pdf()
    version, table_run = production_version(), newest_table_run()
    table = read_table(table_run)
    weeks = choose_weeks(options, table.index)  # before the model is loaded, which takes seconds
    source = read_source(load(version), table, table_run)
    try:
        renderer = Renderer(prepare(source))
    except KeyError as error:
        raise NotThere(
            f"version {version} of wind_solar takes a column that the table lacks: {error}. Train it again."
        ) from None
    if options.all:
        make_all(renderer, weeks, options)
    else:
        facts, filed = make(renderer, weeks[0], options)
        for path in filed.files:
            print(f"report: {path.resolve()}")
        if filed.run_id:
            print(f"report: logged as run {filed.run_id} in the experiment {EXPERIMENT}")
        if options.email:
            post(options, settings, facts, filed.files, renderer)
    print(f"report: wind_solar version {version} ({source.production.kind}) on {table.attrs['source']}")


def main(arguments: list[str] | None = None) -> None:
    """Do what the command line asks for; what goes wrong is told in one sentence."""
    options = read_options(arguments)
    try:
        run(options)
    except (NotThere, OSError, MlflowException, mail.MailError) as error:
        sys.exit(f"report: {explain(error)}")


if __name__ == "__main__":
    # A server that is away should be named at once; MLflow's own seven tries take four minutes.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    # What MLflow says meanwhile would hide what we say, and cron would send it by mail.
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    main()
