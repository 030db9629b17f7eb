"""How long the weekly report takes, one week and a backlog, and how often each of its verdicts falls.

    python benchmarks/report.py
    python benchmarks/report.py --data CSV

It starts both servers from an empty folder on free ports, and trains the random forest. Ratios are to loading the
hourly table from the artifact store, which a report can't do without. The seconds of
CPU are those of this process alone, and tell more than the clock where others use the machine too.
"""

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "server"))

import numpy as np
from servers import servers

ROOT = Path(__file__).resolve().parents[1]
MODELS = ("lr", "rf")


def free_port() -> int:
    """Return a port on which nothing listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def train(data: Path) -> None:
    """Make the table and the models, and put the best one in production."""
    for project, *parameters in (["data", "-P", f"csv={data}"], *([name] for name in MODELS), ["registry"]):
        command = [sys.executable, "-m", "mlflow", "run", f"3_projects/{project}", "--env-manager", "local"]
        done = subprocess.run([*command, *parameters], cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{project} failed:\n{done.stdout}{done.stderr}")


def put_in_production() -> None:
    """Give the alias to the best version, if the judge has left it to a person."""
    import mlflow

    client = mlflow.MlflowClient()
    versions = client.search_model_versions("name = 'wind_solar'")
    best = min(versions, key=lambda version: float(version.tags["holdout_mae"]))
    client.set_registered_model_alias("wind_solar", "production", best.version)


def timed(task) -> np.ndarray:
    """Return the seconds that a call takes, by the clock and of this process's CPU."""
    clock, cpu = time.perf_counter(), time.process_time()
    task()
    return np.array([time.perf_counter() - clock, time.process_time() - cpu])


def measure(output: Path) -> None:
    """Time the report in this process, and print what was found."""
    from report.basis import prepare, read_source
    from report.create_report import make, run
    from report.facts import measure as facts_of
    from report.options import read_options
    from report.production import load, newest_table_run, production_version, read_table
    from report.render import Renderer
    from report.week import complete_weeks

    table_run = newest_table_run()
    baseline = np.median([timed(lambda: read_table(table_run)) for _ in range(5)], axis=0)
    table = read_table(table_run)
    renderer = Renderer(prepare(read_source(load(production_version()), table, table_run)))
    weeks = complete_weeks(table.index)
    options = {arguments: read_options(["--output", str(output), *arguments]) for arguments in ((), ("--no-log",))}
    rows = [("loading the hourly table", baseline)]
    rows.append(("one week, all but the imports", timed(lambda: run(options[()]))))
    rows.append(("one week, with --no-log", timed(lambda: run(options["--no-log",]))))
    for arguments, what in (((), "logged to MLflow"), (("--no-log",), "with --no-log")):
        chosen = options[arguments]
        took = np.array([timed(partial(make, renderer, week, chosen)) for week in weeks])
        rows.append((f"a week of a backlog of {len(weeks)}, {what}: mean", took.mean(axis=0)))
        rows.append((f"a week of a backlog of {len(weeks)}, {what}: p95", np.quantile(took, 0.95, axis=0)))
    print(f"{'':60}{'seconds':>9}{'of CPU':>8}{'ratio':>8}")
    for name, (clock, cpu) in rows:
        print(f"{name:60}{clock:9.2f}{cpu:8.2f}{clock / baseline[0]:8.1f}")
    pages = [path.stat().st_size / 1000 for path in output.glob("*.html")]
    print(f"pages: {np.median(pages):.0f} kB in the middle, {max(pages):.0f} kB at most")
    facts = [facts for week in weeks if (facts := facts_of(renderer.basis, week)).seen == 0]
    for name, found in (("verdicts", [one.verdict for one in facts]), ("inputs", [one.drift.state for one in facts])):
        counts = ", ".join(f"{count} {level}" for level, count in Counter(found).most_common())
        print(f"{name} in the {len(facts)} weeks of the holdout: {counts}")


def main() -> None:
    """Start, train, measure."""
    parser = argparse.ArgumentParser(description="Time the weekly report, one week and a backlog.")
    parser.add_argument("--data", type=Path, default=ROOT / "1_starting_point" / "germany.csv", help="the CSV")
    data = parser.parse_args().data.resolve()
    os.environ.setdefault("MLFLOW_FTP_USERNAME", "guest")
    os.environ.setdefault("MLFLOW_FTP_PASSWORD", "12345")
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
    os.environ["PATH"] = str(Path(sys.executable).parent) + os.pathsep + os.environ["PATH"]
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder)
        with servers(state, state / "logs", free_port(), free_port()) as up:
            os.environ["MLFLOW_TRACKING_URI"] = up.tracking_uri
            train(data)
            put_in_production()
            measure(state / "reports")


if __name__ == "__main__":
    main()
