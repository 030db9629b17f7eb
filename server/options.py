"""The commands of workshop.py and their options. Standard library only, so --help works before .venv is made."""

import argparse
import os
from pathlib import Path

COMMANDS = {
    "run": "the whole main job: servers, models, report, dashboard",
    "servers": "just the two servers, to follow the chapters by hand",
    "notebook": "JupyterLab beside the two servers; what follows goes to it",
    "check": "what is done, step by step through the chapters, and what to do next",
    "test": "all tests; what follows goes to pytest",
}


def parse(arguments: list[str]) -> argparse.Namespace:
    """Return the command and its options; ``arguments`` has what the command passes on to another program."""
    parser = argparse.ArgumentParser(prog="workshop.py", description="The MLflow workshop: one door to all of it.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="command")
    for name, text in COMMANDS.items():
        own = name not in ("check", "test")
        command = commands.add_parser(name, help=text, description=text, allow_abbrev=False, add_help=own)
        if own:
            add_port(command, "--ftp-port", "FTP_PORT", "2121")
            add_port(command, "--mlflow-port", "MLFLOW_PORT", "5000")
            command.add_argument(
                "--state",
                type=lambda text: Path(text).resolve(),
                default=os.environ.get("WORKSHOP_STATE", Path(__file__).parent),
                metavar="DIR",
                help="folder of database, artifacts, logs and reports (default: WORKSHOP_STATE, else server)",
            )
    run = commands.choices["run"]
    add_port(run, "--dashboard-port", "DASHBOARD_PORT", "8050")
    run.add_argument("--once", action="store_true", help="end after the report and the dashboard's answer")
    run.add_argument("--data", type=Path, metavar="CSV", help="another file with the columns of germany.csv")
    run.add_argument(
        "--holdout-days", type=float, default=365, help="days at the end to judge the models on (default: 365)"
    )
    run.add_argument(
        "-P",
        dest="parameters",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="another parameter of 3_projects/workflow, such as trials=5; may be given several times",
    )
    options, rest = parser.parse_known_args(arguments)
    if rest and options.command in ("run", "servers"):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    options.arguments = rest
    return options


def add_port(command: argparse.ArgumentParser, option: str, variable: str, default: str) -> None:
    """Add an option for a port, with an environment variable as its fall-back."""
    command.add_argument(
        option,
        type=port,
        default=os.environ.get(variable, default),
        metavar="PORT",
        help=f"default: {variable}, else {default}",
    )


def port(text: str) -> int:
    """Return the port as a number from 1 to 65535."""
    if text.isdecimal() and text.isascii() and 1 <= int(text) <= 65535:
        return int(text)
    raise argparse.ArgumentTypeError(f"expected a number from 1 to 65535, found {text!r}")
