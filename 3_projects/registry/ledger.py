"""Show who brought which version into production, when and why, with the errors of both versions.

    mlflow run 3_projects/registry -e ledger --env-manager local
    mlflow run 3_projects/registry -e ledger --env-manager local -P format=json

It is read from the registered model's own tags. ``python ledger.py --format json`` prints nothing else to its standard
output.
"""

import argparse
import json
import os
from collections.abc import Sequence

import mlflow
from decisions import read_ledger

from forecasting.entry_point import command, next_command
from forecasting.errors import UserError
from forecasting.ledger import Entry, Ledger
from forecasting.production import REGISTERED_MODEL

HEADER = ["when (UTC)", "action", "from -> to", "who", "MAE from -> to", "why"]


def row(entry: Entry) -> list[str]:
    """Return an entry of the ledger as cells."""
    maes = (entry.metrics.get(side, {}).get("mae") for side in ("from", "to"))
    remark = " (automatic)" if entry.auto else ""
    if entry.action != "reject" and not entry.moved:
        remark += " (without effect)"
    return [
        f"{entry.when:%Y-%m-%d %H:%M:%S}",
        entry.action + remark,
        f"{entry.from_version or '-'} -> {entry.to_version or '-'}",
        entry.by or "-",
        " -> ".join("-" if mae is None else f"{mae:.3f}" for mae in maes),
        entry.reason,
    ]


def as_table(history: Ledger) -> str:
    """Return the ledger as aligned text, and what is in production."""
    rows = [HEADER, *map(row, history.entries)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.ljust, cells, widths)).rstrip() for cells in rows]
    now = f"version {history.production} is in production" if history.production else "nothing is in production"
    waits = f"version {history.candidate} waits for approval" if history.candidate else "nothing waits for approval"
    return "\n".join([*lines, f"{history.name}: {now}, {waits}."])


def as_json(history: Ledger) -> str:
    """Return the ledger as JSON, with what is in production and what waits."""
    content = {
        "registered_model": history.name,
        "production": history.production,
        "candidate": history.candidate,
        "disagreement": history.disagreement,
        "entries": [json.loads(entry.to_json()) for entry in history.entries],
    }
    return json.dumps(content, indent=2)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the ledger, and leave it on the run."""
    parser = argparse.ArgumentParser(description="Show who brought which version into production, when and why.")
    parser.add_argument("--format", default="table", choices=["table", "json"], help="default: %(default)s")
    parser.add_argument("--registered-model", default=REGISTERED_MODEL, help="default: %(default)s")
    with command("ledger", parser, arguments) as options:
        name = options.registered_model
        history = read_ledger(name)
        if history == Ledger(name):
            validate = next_command("registry -e validate", name)
            raise UserError(f"the ledger of {name} is empty, and no version of it waits; judge models with: {validate}")
        text = as_json(history) if options.format == "json" else as_table(history)
        print(text, flush=True)
        mlflow.log_text(text, "ledger.json" if options.format == "json" else "ledger.txt")


if __name__ == "__main__":
    os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"  # nothing but the ledger goes there
    main()
