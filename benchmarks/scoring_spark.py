"""One Spark session of scoring.py: start, score some rows until all is loaded and compiled, then time each way.

It prints a line ``phase NAME: SECONDS`` for each. The ways: ``project`` is 3_projects/scoring as it is; ``bare`` is
mapInPandas with the loaded model, and ``plain`` is MLflow's spark_udf, both without a look for bad rows.
"""

import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "3_projects" / "scoring"))

import batch
import mlflow
import score_spark
import session as spark
import tracking
from pyspark import SparkFiles


def timed(name: str, work, *arguments):
    """Do something, print how long it took, and return what came of it."""
    start = time.monotonic()
    result = work(*arguments)
    print(f"phase {name}: {time.monotonic() - start:.2f}", flush=True)
    return result


def main() -> None:
    """Time the ways that the command line names."""
    master, rows, few, folder, rounds, *ways = sys.argv[1:]
    version = tracking.find_version("wind_solar", "production")
    model = tracking.fetch(version, tempfile.mkdtemp(dir=folder))
    session = timed("start", spark.start, master)
    inputs, outputs = batch.check_signature(batch.load(model), version.title)
    sample = session.read.parquet(few)
    keys = batch.keys_of(sample.columns, inputs, outputs)
    power = ", ".join(f"{name} double" for name in outputs)
    schema = ", ".join([*(f"`{name}` {kind}" for name, kind in sample.select(keys).dtypes), power])
    uri = f"models:/{version.name}/{version.number}"
    udf = mlflow.pyfunc.spark_udf(session, uri, env_manager="local", result_type=power)
    session.sparkContext.addArchive(shutil.make_archive(f"{folder}/bare-model", "zip", model) + "#bare")

    def write(frame) -> None:
        frame.write.mode("overwrite").parquet(f"{folder}/bare.parquet")

    def predict(frames):
        loaded = batch.load(SparkFiles.get("bare"))
        for frame in frames:
            yield frame[keys].join(loaded.predict(frame[inputs])[outputs])

    def project(source: str) -> None:
        score_spark.score_files(session, model, version, f"file://{source}", f"file://{folder}/spark.parquet")

    def bare(source: str) -> None:
        write(session.read.parquet(source).mapInPandas(predict, schema))

    def plain(source: str) -> None:
        frame = session.read.parquet(source)
        scored = frame.withColumn("power", udf(*[frame[name] for name in inputs]))
        write(scored.select(*keys, *[f"power.{name}" for name in outputs]))

    timed("first rows", project, few)  # this also ships the project's modules to the workers
    for name in ways:
        way = {"project": project, "bare": bare, "plain": plain}[name]
        timed(f"warm {name}", way, few)
        for _ in range(int(rounds)):
            timed(name, way, rows)
    session.stop()


if __name__ == "__main__":
    main()
