"""Options of a program that fall back to environment variables; ``--help`` shows both."""

import argparse
import os
from datetime import UTC, datetime
from typing import Any


def add_option(parser: Any, flag: str, variable: str, default: Any, help: str, **details: Any) -> None:
    """Add an option that falls back to an environment variable, and then to ``default``.

    argparse checks a text from the environment with the option's ``type``, as it checks one that was typed.
    """
    fallback = f"default: {variable}, otherwise {default}"
    parser.add_argument(flag, default=os.environ.get(variable) or default, help=f"{help} ({fallback})", **details)


def utc_time(text: str) -> datetime:
    """Return an ISO time in UTC; one without an offset is taken as UTC. Raises argparse.ArgumentTypeError."""
    try:
        time = datetime.fromisoformat(text)
        return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        expected = "expected a time (UTC) such as 2016-12-31T06:00"
        raise argparse.ArgumentTypeError(f"{expected}, found {text!r}") from None
