"""How fast and in how much memory many rows are scored: pandas in chunks, Spark on two cores, a Spark cluster.

    python benchmarks/scoring.py
    python benchmarks/scoring.py --rows 500000 --rounds 3 --skip cluster

It trains the boosting on the shipped sample in a temporary folder, repeats the sample's hours until there are enough
rows, and scores them with each engine. Seconds of the clock, processor seconds and memory are those of all processes of
an engine together; memory that processes share is counted in each. Ratios are to pandas in chunks. Every engine writes
the same columns as Parquet.
"""

import argparse
import contextlib
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "server"))
from processes import process  # noqa: E402
from servers import listens  # noqa: E402

STAND_IN = "3_projects/rf"
SPARK = Path(__file__).with_name("scoring_spark.py")


class Watched:
    """A command, its lines, and what it and all its children take."""

    def __init__(self, command: list, env: dict[str, str]):
        """Run the command to its end; what each phase took is known afterwards."""
        self.peak, self.lines, self._seconds = 0, [], {}
        popen = subprocess.Popen(
            [str(part) for part in command],
            cwd=ROOT,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        thread = threading.Thread(target=self._watch, args=(psutil.Process(popen.pid),), daemon=True)
        thread.start()
        for line in popen.stdout:
            self.lines.append((line, self.cpu))
        if popen.wait():
            sys.exit(f"{' '.join(map(str, command))[:200]} failed:\n{self.said[-3000:]}")
        thread.join()

    def _watch(self, parent: psutil.Process) -> None:
        while parent.is_running() and parent.status() != psutil.STATUS_ZOMBIE:
            memory = 0
            with contextlib.suppress(psutil.Error):
                for one in (parent, *parent.children(recursive=True)):
                    with contextlib.suppress(psutil.Error):
                        memory += one.memory_info().rss
                        times = one.cpu_times()
                        self._seconds[one.pid, one.create_time()] = times.user + times.system
            self.peak = max(self.peak, memory)
            time.sleep(0.1)

    @property
    def cpu(self) -> float:
        """Return the processor seconds that all processes have taken so far."""
        return sum(list(self._seconds.values()))

    @property
    def said(self) -> str:
        """Return what the command has printed."""
        return "".join(line for line, _ in self.lines)

    def phases(self) -> dict[str, list[tuple[float, float]]]:
        """Return seconds and processor seconds of each phase that the command has named."""
        found, before = {}, 0.0
        for line, cpu in self.lines:
            if named := re.match(r"phase (.*): ([\d.]+)", line):
                found.setdefault(named[1], []).append((float(named[2]), cpu - before))
                before = cpu
        return found


def free_port() -> int:
    """Return a port on which nothing listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextlib.contextmanager
def cluster(workers: int, folder: Path, env: dict[str, str]) -> Iterator[str]:
    """Run a standalone Spark master and workers of one core each on loopback; yields the master's address."""
    import pyspark

    spark_class = Path(pyspark.__file__).parent / "bin" / "spark-class"
    env = env | {"SPARK_LOCAL_IP": "127.0.0.1", "SPARK_WORKER_DIR": str(folder)}
    ports = [free_port() for _ in range(workers + 2)]
    deploy, web = "org.apache.spark.deploy", "--webui-port"
    command = [spark_class, f"{deploy}.master.Master", "--host", "127.0.0.1", "--port", ports[0], web, ports[1]]
    with contextlib.ExitStack() as stack:
        master = stack.enter_context(process("The Spark master", command, folder / "master.log", env=env))
        master.wait_until(lambda: listens(ports[0]), 120)
        address = f"spark://127.0.0.1:{ports[0]}"
        for number, port in enumerate(ports[2:]):
            command = [spark_class, f"{deploy}.worker.Worker", "--host", "127.0.0.1", "--cores", "1", "--memory", "2g"]
            command += [web, port, address]
            stack.enter_context(process(f"Worker {number}", command, folder / f"worker{number}.log", env=env))
        log = folder / "master.log"
        master.wait_until(lambda: log.read_text().count("Registering worker") == workers, 120)
        yield address


def prepare(folder: Path, env: dict[str, str], rows: int, trials: int) -> str:
    """Make a model in production and the rows to score, and return what the model is."""
    import mlflow
    import pyarrow as pa
    from pyarrow import parquet

    client = mlflow.MlflowClient(env["MLFLOW_TRACKING_URI"], env["MLFLOW_TRACKING_URI"])
    experiment = client.create_experiment(env["MLFLOW_EXPERIMENT_NAME"], (folder / "artifacts").as_uri())
    boosting = (ROOT / "3_projects" / "boosting" / "MLproject").exists()
    project = "3_projects/boosting" if boosting else STAND_IN
    run = [sys.executable, "-m", "mlflow", "run", "--env-manager", "local"]
    Watched([*run, "3_projects/data"], env)
    Watched([*run, project, *(["-P", f"trials={trials}"] if boosting else ["-P", "n_estimators=10"])], env)
    (trained,) = client.search_runs([experiment], f"tags.step = '{project.split('/')[1]}'")
    client.create_registered_model("wind_solar")
    source = client.get_logged_model(trained.outputs.model_outputs[0].model_id).artifact_location
    client.create_model_version("wind_solar", source, trained.info.run_id)
    client.set_registered_model_alias("wind_solar", "production", "1")

    (data,) = client.search_runs([experiment], "tags.step = 'data'")
    table = parquet.read_table(client.download_artifacts(data.info.run_id, "table.parquet", str(folder)))
    table = table.replace_schema_metadata()
    block = pa.concat_tables([table] * 4).combine_chunks()
    parquet.write_table(block.slice(0, rows), folder / "few.parquet", row_group_size=len(table))
    with parquet.ParquetWriter(folder / "rows.parquet", table.schema) as writer:
        for start in range(0, rows, len(block)):
            writer.write_table(block.slice(0, min(len(block), rows - start)))
    return project if boosting else f"{project}, as 3_projects/boosting is not there"


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description="Time batch scoring with pandas, Spark, and a Spark cluster.")
    parser.add_argument("--rows", type=int, default=10_000_000, help="rows to score; default: %(default)s")
    parser.add_argument("--rounds", type=int, default=1, help="how often each is measured; default: %(default)s")
    parser.add_argument("--trials", type=int, default=2, help="of the boosting's search; default: %(default)s")
    parser.add_argument("--skip", choices=["cluster", "ways", "none"], default="none", help="what to leave out")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        env = os.environ | {
            "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlruns.db'}",
            "MLFLOW_EXPERIMENT_NAME": "scoring",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "PATH": str(Path(sys.executable).parent) + os.pathsep + os.environ["PATH"],
        }
        kind = prepare(folder, env, options.rows, options.trials)
        print(f"{options.rows:,} rows (the simulated sample, repeated), model of {kind}, {os.cpu_count()} cores")
        measure(folder, env, options)


def measure(folder: Path, env: dict[str, str], options: argparse.Namespace) -> None:
    """Run each engine and print a line for it."""
    rows, few, million = folder / "rows.parquet", folder / "few.parquet", options.rows / 1e6
    head = ("rows/s", "ratio", "core-s per million", "peak GB")
    print(f"{'':52}{head[0]:>10}{head[1]:>8}{head[2]:>20}{head[3]:>9}")

    def line(title: str, seconds: list[float], cpu: list[float], peak: float) -> float:
        rate = options.rows / statistics.median(seconds)
        ratio = rate / (base or rate)
        core = statistics.median(cpu) / million
        print(f"{title:52}{rate:10,.0f}{ratio:8.2f}{core:20.1f}{peak / 1e9:9.2f}", flush=True)
        return rate

    base, seconds, cpu, peak, whole = 0.0, [], [], 0, []
    for _ in range(options.rounds):
        start = time.monotonic()
        command = [sys.executable, "-m", "mlflow", "run", "3_projects/scoring", "--env-manager", "local"]
        done = Watched([*command, "-P", f"input={rows}", "-P", f"output={folder / 'pandas.parquet'}"], env)
        whole.append(time.monotonic() - start)
        seconds.append(options.rows / float(re.search(r"\(([\d,]+) rows/s\)", done.said)[1].replace(",", "")))
        begun = next(spent for text, spent in done.lines if text.startswith(f"scoring: {rows} with"))
        cpu.append(done.cpu - begun)
        peak = max(peak, done.peak)
    base = line("pandas in chunks", seconds, cpu, peak)
    startup = statistics.median(whole) - statistics.median(seconds)

    ways = ["project"] if options.skip == "ways" else ["project", "bare", "plain"]
    titles = {
        "project": "Spark, local[2], 3_projects/scoring",
        "bare": "Spark, local[2], mapInPandas, no check of rows",
        "plain": "Spark, local[2], plain spark_udf, no check of rows",
    }
    arguments = [rows, few, folder, options.rounds]
    done = Watched([sys.executable, SPARK, "local[2]", *arguments, *ways], env)
    phases = done.phases()
    for way in ways:
        line(titles[way], *zip(*phases[way], strict=True), done.peak)
    print(f"start-up: pandas {startup:.1f} s; Spark session {phases['start'][0][0]:.1f} s, first rows ", end="")
    print(f"{phases['first rows'][0][0]:.1f} s")
    if options.skip == "cluster":
        return
    rates = []
    for workers in (1, 2):
        with cluster(workers, folder / f"cluster{workers}", env) as master:
            done = Watched([sys.executable, SPARK, master, *arguments, "project"], env)
        # The workers are not children of the driver, so neither their time nor their memory is in its sums.
        seconds = statistics.median(second for second, _ in done.phases()["project"])
        rates.append(options.rows / seconds)
        print(f"{f'standalone cluster, {workers} worker(s) of one core':52}{rates[-1]:10,.0f}{rates[-1] / base:8.2f}")
    print(f"two workers against one: {rates[1] / rates[0]:.2f}")


if __name__ == "__main__":
    main()
