"""How fast many rows are scored: in pieces with pandas, with Spark on this machine, and on a Spark cluster.

    python benchmarks/scoring.py
    python benchmarks/scoring.py --rows 500000 --rounds 3

It trains the boosting on the shipped sample, repeats the sample's hours until there are enough rows, and scores them
with each engine. Each contender is the whole command of 3_projects/scoring with its start-up, so with few rows it is
the start-up that is measured. The processor's time of Spark is not known: nobody waits for its processes to end.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pyarrow as pa
from harness import (
    SAMPLE,
    empty_servers,
    free_port,
    median,
    options,
    print_table,
    put_into_production,
    run_project,
    take_turns,
)
from pyarrow import parquet

from forecasting.production import newest_table_run, production_version
from server.processes import process
from server.servers import listens


@contextlib.contextmanager
def cluster(workers: int, folder: Path) -> Iterator[str]:
    """Run a standalone Spark master and workers of one core each on loopback; yields the master's address."""
    import pyspark

    spark_class = Path(pyspark.__file__).parent / "bin" / "spark-class"
    env = os.environ | {"SPARK_LOCAL_IP": "127.0.0.1", "SPARK_WORKER_DIR": str(folder)}
    port, *web_ports = (free_port() for _ in range(workers + 2))
    deploy, host = "org.apache.spark.deploy", ["--host", "127.0.0.1"]
    address = f"spark://127.0.0.1:{port}"
    log = folder / "master.log"
    with contextlib.ExitStack() as stack:
        command = [spark_class, f"{deploy}.master.Master", *host, "--port", port, "--webui-port", web_ports[0]]
        master = stack.enter_context(process("The Spark master", command, log, env=env))
        master.wait_until(lambda: listens(port), 120)
        for number, web_port in enumerate(web_ports[1:]):
            command = [spark_class, f"{deploy}.worker.Worker", *host, "--cores", "1", "--memory", "2g"]
            command += ["--webui-port", web_port, address]
            stack.enter_context(process(f"Worker {number}", command, folder / f"worker{number}.log", env=env))
        master.wait_until(lambda: log.read_text().count("Registering worker") == workers, 120)
        yield address


def write_rows(path: Path, rows: int) -> None:
    """Write the newest table again and again, until there are enough rows."""
    run_id = newest_table_run(production_version()).info.run_id
    table = parquet.read_table(mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path="table.parquet"))
    block = pa.concat_tables([table.replace_schema_metadata()] * 4).combine_chunks()
    with parquet.ParquetWriter(path, block.schema) as writer:
        for start in range(0, rows, len(block)):
            writer.write_table(block.slice(0, min(len(block), rows - start)))


def main() -> None:
    """Measure and print the table."""
    chosen = options("How fast are many rows scored?", rows=(10_000_000, "rows to score"))
    with empty_servers() as state:
        put_into_production(SAMPLE, "boosting")
        write_rows(state / "rows.parquet", chosen.rows)
        given = {"input": state / "rows.parquet", "output": state / "scored.parquet"}

        def on_spark(master: str) -> None:
            run_project("scoring", "-e", "spark", **given, master=master)

        def on_cluster(workers: int) -> None:
            with cluster(workers, state / f"cluster{workers}") as master:
                on_spark(master)

        contenders = {
            "pandas, in pieces": lambda: run_project("scoring", **given),
            "Spark, two cores": lambda: on_spark("local[2]"),
            "a cluster with one worker of one core": lambda: on_cluster(1),
            "a cluster with two such workers": lambda: on_cluster(2),
        }
        seconds = {name: median(each).seconds for name, each in take_turns(chosen.rounds, contenders).items()}
    first = seconds["pandas, in pieces"]
    table = [[name, f"{chosen.rows / took:,.0f}", first / took] for name, took in seconds.items()]
    print_table([f"{chosen.rows:,} rows", "rows/s", "ratio"], table)


if __name__ == "__main__":
    main()
