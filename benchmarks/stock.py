"""How long the second case study takes, cold and with every step reused, beside a script that fits the same models.

    python benchmarks/stock.py

It starts both servers from an empty folder on free ports and types `mlflow run 3_projects/stock`. The environment has
to be installed already. Ratios are to the plain script: what a user would otherwise have, with no tracking, no registry
and no gate.
"""

import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "server"))

from processes import child_environment  # noqa: E402  (found in the folder just named)
from servers import servers  # noqa: E402

STEPS = ("ingest", "transform", "lstm", "linear", "knn", "moving_average", "random_forest", "xgboost")
STEPS += ("evaluate", "register")
PLAIN = """
import sys, tempfile
from pathlib import Path
sys.path.insert(0, "3_projects/stock")
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


def free_port() -> int:
    """Return a port on which nothing listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def timed(command: list, env: dict[str, str]) -> tuple[float, float, str]:
    """Return the seconds that a command takes, those of the processor, and what it prints; ends if it fails."""
    start, before = time.perf_counter(), os.times()
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    seconds, now = time.perf_counter() - start, os.times()
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stdout}{done.stderr}")
    processor = now.children_user + now.children_system - before.children_user - before.children_system
    return seconds, processor, done.stdout


def main() -> None:
    """Measure and print the tables."""
    project = [sys.executable, "-m", "mlflow", "run", "3_projects/stock", "--env-manager", "local"]
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder)
        plain = timed([sys.executable, "-c", PLAIN], child_environment())
        with servers(state, state / "logs", free_port(), free_port()) as up:
            env = child_environment(MLFLOW_TRACKING_URI=up.tracking_uri)
            cold, warm = timed(project, env), timed(project, env)
    if run := re.findall(r"^workflow: (\w+): run ", warm[2], re.MULTILINE):
        sys.exit(f"expected every step to be reused, found that {', '.join(run)} ran; did somebody edit the project?")
    print(f"{'':44}{'seconds':>9}{'processor':>11}{'ratio':>8}")
    for name, (seconds, processor, _) in (
        ("plain script that fits the five models", plain),
        ("mlflow run 3_projects/stock, cold", cold),
        ("mlflow run 3_projects/stock, all reused", warm),
    ):
        print(f"{name:44}{seconds:9.1f}{processor:11.1f}{seconds / plain[0]:8.2f}")
    print("promised: under 120 s cold, under 10 s with every step reused\n")
    taken = dict(re.findall(r"^workflow: (\w+): run \w+ in (\d+) s", cold[2], re.MULTILINE))
    for step in STEPS:
        print(f"{step:20}{taken[step]:>5} s")


if __name__ == "__main__":
    main()
