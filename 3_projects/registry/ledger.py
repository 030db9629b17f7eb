"""Show who brought which version into production, when and why, with the errors of both versions.

    mlflow run 3_projects/registry -e ledger --env-manager local
    mlflow run 3_projects/registry -e ledger --env-manager local -P format=json

It is read from the registered model's own tags. Run by itself, ``python ledger.py --format json`` prints nothing else
to its standard output.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence

import mlflow
import transitions
from command import Refused, trouble
from lock import find
from mlflow.exceptions import MlflowException
from mlflow_ftp.preflight import preflight
from transitions import State

HEADER = ["when (UTC)", "action", "from -> to", "who", "MAE from -> to", "why"]


def row(entry: dict) -> list[str]:
    """Return an entry of the ledger as cells."""
    maes = (entry["metrics"][side].get("mae") for side in ("from", "to"))
    return [
        entry["when"][:19].replace("T", " "),
        entry["action"] + (" (automatic)" if entry["auto"] else ""),
        f"{entry['from'] or '-'} -> {entry['to'] or '-'}",
        entry["by"] or "-",
        " -> ".join("-" if mae is None else f"{mae:.3f}" for mae in maes),
        entry["reason"],
    ]


def as_table(name: str, state: State) -> str:
    """Return the ledger as aligned text, and what is in production."""
    rows = [HEADER, *map(row, state.entries)]
    widths = [max(len(cells[column]) for cells in rows) for column in range(len(HEADER))]
    lines = ["  ".join(c.ljust(width) for c, width in zip(cells, widths, strict=True)).rstrip() for cells in rows]
    now = f"version {state.production} is in production" if state.production else "nothing is in production"
    waits = f"version {state.candidate} waits for approval" if state.candidate else "nothing waits for approval"
    return "\n".join([*lines, f"{name}: {now}, {waits}."])


def as_json(name: str, state: State) -> str:
    """Return the ledger as JSON, with what is in production and what waits."""
    content = {"registered_model": name, "production": state.production, "candidate": state.candidate}
    return json.dumps(content | {"entries": state.entries}, indent=2)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the ledger, and leave it on the run if MLflow has started one."""
    parser = argparse.ArgumentParser(description="Show who brought which version into production, when and why.")
    parser.add_argument("--format", default="table", choices=["table", "json"], help="default: %(default)s")
    parser.add_argument("--registered-model", default="wind_solar", help="default: %(default)s")
    options = parser.parse_args(arguments)
    name = options.registered_model
    preflight("ledger")
    try:
        if find(name) is None:
            raise Refused(f"there is no registered model {name}; promote makes one")
        state = transitions.mend(name)
        text = as_json(name, state) if options.format == "json" else as_table(name, state)
        if run_id := os.environ.get("MLFLOW_RUN_ID"):
            client = mlflow.MlflowClient()
            client.set_tag(run_id, "step", "ledger")
            client.log_text(run_id, text, "ledger.json" if options.format == "json" else "ledger.txt")
    except Refused as error:
        sys.exit(f"ledger: {error}")
    except (MlflowException, OSError) as error:
        sys.exit(f"ledger: {trouble(error)}")
    print(text)


if __name__ == "__main__":
    main()
