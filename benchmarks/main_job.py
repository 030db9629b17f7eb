"""How long the main job takes, cold and with every step reused, beside a script that fits the same models untracked.

    python benchmarks/main_job.py
    python benchmarks/main_job.py --data CSV

It starts from an empty folder on free ports. The environment has to be installed already. Ratios are to the plain
script: what a user would otherwise have, with no tracking, registry, report or dashboard.
"""

import argparse
import re
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PLAIN = """
import sys
sys.path.insert(0, "3_projects/data")
from pathlib import Path
import keras
from ingest import make_table
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression

table, _ = make_table(Path(sys.argv[1]), 365)
train, validation = (table[table["split"] == part] for part in ("train", "validation"))
targets = ["solar_GW", "wind_GW"]
features = list(table.columns.drop([*targets, "split", "repaired"]))
x, y = train[features].to_numpy("float32"), train[targets].to_numpy("float32")
LinearRegression().fit(x, y)
RandomForestRegressor(n_estimators=64, max_depth=10, n_jobs=-1, random_state=42).fit(x, y)
scale = keras.layers.Normalization()
scale.adapt(x)
dense = [keras.layers.Dense(32, activation="relu"), keras.layers.Dense(32, activation="relu"), keras.layers.Dense(2)]
network = keras.Sequential([keras.Input((len(features),)), scale, *dense])
network.compile(optimizer="adam", loss="mean_absolute_error")
stop = keras.callbacks.EarlyStopping(patience=4, restore_best_weights=True)
unseen = (validation[features].to_numpy("float32"), validation[targets].to_numpy("float32"))
network.fit(x, y, validation_data=unseen, epochs=30, batch_size=64, verbose=0, callbacks=[stop])
"""


def free_port() -> str:
    """Return a port on which nothing listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return str(listener.getsockname()[1])


def timed(command: list) -> tuple[float, str]:
    """Return how many seconds a command takes, and what it prints."""
    start = time.perf_counter()
    done = subprocess.run([str(part) for part in command], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stdout}{done.stderr}")
    return time.perf_counter() - start, done.stdout


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description="Time the main job, cold and with every step reused.")
    parser.add_argument("--data", type=Path, default=ROOT / "1_starting_point" / "germany.csv", help="the CSV")
    data = parser.parse_args().data.resolve()
    with tempfile.TemporaryDirectory() as state:
        ports = [part for name in ("ftp", "mlflow", "dashboard") for part in (f"--{name}-port", free_port())]
        command = [sys.executable, "workshop.py", "run", "--once", "--data", data, "--state", state, *ports]
        plain, _ = timed([sys.executable, "-c", PLAIN, data])
        cold, said = timed(command)
        warm, _ = timed(command)
    workflow = float(re.search(r"Training and judging the models: done in (\d+) s", said)[1])
    print(f"{'':44}{'seconds':>8}{'ratio':>8}")
    for name, seconds in (
        ("plain script that fits the three models", plain),
        ("the workflow alone, every step run", workflow),
        ("workshop.py run --once, every step run", cold),
        ("workshop.py run --once, every step reused", warm),
    ):
        print(f"{name:44}{seconds:8.1f}{seconds / plain:8.2f}")


if __name__ == "__main__":
    main()
