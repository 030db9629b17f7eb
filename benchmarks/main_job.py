"""How long the main job takes, cold and with every step reused, beside a script that fits the same models.

    python benchmarks/main_job.py
    python benchmarks/main_job.py --data CSV

Each round starts from an empty folder on free ports. The environment has to be installed already. The plain script is
what a user would otherwise have, with no tracking, registry, report or dashboard.
"""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator

from harness import ROOT, SAMPLE, call, free_port, options, print_ratios, take_turns

# It runs in 3_projects/data. How the boosting is searched and fitted is taken from its project.
PLAIN = """
import sys
from pathlib import Path
sys.path.append("../boosting")
import keras
import optuna
from capacity import TARGETS, estimate_growth
from conformal import train_fleet
from ingest import make_table
from search import USUAL, best_settings, run_trial
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression

table, *_ = make_table(Path(sys.argv[1]), 365)
train, validation = (table[table["split"] == part] for part in ("train", "validation"))
weather = [*(name for name in table if name.startswith("windspeed")), "temperature", "rad_horizontal", "rad_diffuse"]
LinearRegression().fit(train[[*weather, "rad_clear_sky"]], train[TARGETS])
forest = RandomForestRegressor(n_estimators=64, max_depth=10, n_jobs=-1, random_state=42)
forest.fit(train[[*weather, "hour", "solar_elevation"]], train[TARGETS])

features = [*weather, "hour", "day_of_year", "solar_elevation", "rad_clear_sky", "trend"]
(x, y), unseen = ([part[names].to_numpy("float32") for names in (features, TARGETS)] for part in (train, validation))
scale = keras.layers.Normalization()
scale.adapt(x)
dense = [keras.layers.Dense(32, activation="relu"), keras.layers.Dense(32, activation="relu"), keras.layers.Dense(2)]
network = keras.Sequential([keras.Input((len(features),)), scale, *dense])
adam = keras.optimizers.Adam(learning_rate=0.003)
network.compile(optimizer=adam, loss="mean_absolute_error", steps_per_execution=16)
stop = keras.callbacks.EarlyStopping(patience=4, restore_best_weights=True)
network.fit(x, y, validation_data=unseen, epochs=30, batch_size=256, verbose=0, callbacks=[stop])

hours = table[(table["split"] != "holdout") & ~table["repaired"]]
growth = {target: estimate_growth(hours, target) for target in TARGETS}
studies = {target: optuna.create_study() for target in TARGETS}
for study in studies.values():
    study.enqueue_trial(USUAL)
for number in range(20):
    run_trial(studies, hours, growth, number, 42)
for target, study in studies.items():
    train_fleet(hours, target, growth[target], best_settings(study, 42))
"""


@contextlib.contextmanager
def empty_state() -> Iterator[None]:
    """Let workshop.py use an empty folder."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["WORKSHOP_STATE"] = folder
        yield


def main() -> None:
    """Measure and print the table."""
    data = options(__doc__.splitlines()[0], data=(str(SAMPLE), "the CSV"))
    csv = ROOT / data.data
    ports = [part for name in ("ftp", "mlflow", "dashboard") for part in (f"--{name}-port", free_port())]
    job = [sys.executable, "workshop.py", "run", "--once", "--data", csv, *ports]
    contenders = {
        "plain script that fits the same four models": lambda: call(
            sys.executable, "-c", PLAIN, csv, cwd=ROOT / "3_projects" / "data"
        ),
        "workshop.py run --once, every step run": lambda: call(*job),
        "workshop.py run --once, every step reused": lambda: call(*job),
    }
    print_ratios(take_turns(data.rounds, contenders, empty_state))


if __name__ == "__main__":
    main()
