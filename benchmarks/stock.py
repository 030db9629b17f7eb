"""How long the second case study takes, cold and with every step reused, beside a script that fits the same models.

    python benchmarks/stock.py

Each round types ``mlflow run 3_projects/stock`` twice, on servers with an empty state and on free ports. The
environment has to be installed already. The plain script is what a user would otherwise have, with no tracking, no
registry and no gate.
"""

import sys

from harness import ROOT, call, empty_servers, options, print_ratios, run_project, take_turns

# It runs in 3_projects/stock.
PLAIN = """
import tempfile
from pathlib import Path
from approaches import APPROACHES, PRICE, fit_estimator, fit_network
from ingest import fetch
from model import relative
from windows import closes_of, make_table
import mlflow.keras

mlflow.keras.autolog = lambda **options: None
prices, _, _ = fetch("MSFT", "sample", "first", "last")
table = make_table(prices, 14, 2)
closes = closes_of(table)
with tempfile.TemporaryDirectory() as folder:
    for model, approach in APPROACHES.items():
        parts = []
        for name in ("train", "validation"):
            rows = table[table["split"] == name]
            wanted = rows["next_close"] / rows[closes[-1]] - 1 if approach.target == PRICE else rows["up"]
            parts.append((relative(rows[closes]), wanted.to_numpy()))
        if model == "lstm":
            fit_network(*parts, 60, 20, Path(folder), 42)
        elif model != "moving_average":
            fit_estimator(model, parts[0], Path(folder), 42)
"""


def main() -> None:
    """Measure and print the table."""
    contenders = {
        "plain script that fits the five models": lambda: call(
            sys.executable, "-c", PLAIN, cwd=ROOT / "3_projects" / "stock"
        ),
        "mlflow run 3_projects/stock, cold": lambda: run_project("stock"),
        "mlflow run 3_projects/stock, every step reused": lambda: run_project("stock"),
    }
    print_ratios(take_turns(options(__doc__.splitlines()[0]).rounds, contenders, empty_servers))
    print("promised: under 120 s cold, under 10 s with every step reused")


if __name__ == "__main__":
    main()
