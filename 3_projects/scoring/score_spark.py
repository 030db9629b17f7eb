"""Score CSV or Parquet files with a model of the registry on Spark, for what outgrows one machine.

    mlflow run 3_projects/scoring -e spark --env-manager local -P input=FOLDER -P output=scored.parquet

It takes and gives the same columns, numbers and bad rows as score.py. The output is a folder of Parquet files: the rows
of a file keep their order, several files come in Spark's. The workers get the model and rows.py from the driver.
"""

import argparse
import contextlib
import os
import shutil
import socket
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import rows
from files import CSV, check_columns, clean, location, parse_header, rejected_path
from py4j.protocol import Py4JError
from pyspark import SparkFiles
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, Observation, SparkSession
from pyspark.sql import functions as f
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import DoubleType, StringType, StructField, StructType
from score import Job, run

from forecasting.errors import UserError

SETTINGS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",  # INT96 would lose the time zone
    "spark.sql.execution.arrow.maxRecordsPerBatch": "50000",  # each batch costs a call of the model
    "spark.ui.enabled": "false",
}


def start(master: str) -> SparkSession:
    """Return a Spark session in UTC; raises UserError if Spark does not start there."""
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # the driver's, unless somebody has said which
    try:
        if master.startswith("spark://"):  # Spark itself would try for more than a minute
            host, _, port = master.removeprefix("spark://").split(",")[0].rpartition(":")
            socket.create_connection((host, int(port)), timeout=5).close()
        on_this_machine = master.startswith(("local", "spark://127.", "spark://localhost"))
        settings = SETTINGS | ({"spark.driver.host": "127.0.0.1"} if on_this_machine else {})
        session = SparkSession.builder.master(master).appName("scoring").config(map=settings).getOrCreate()
    except Exception as error:  # whatever the JVM says
        raise UserError(
            f"Spark does not start on {master}: {str(error).splitlines()[0].rstrip('.')}. It needs Java 17 or newer, "
            "and a master that can be reached, such as local[*] or spark://HOST:7077. If another Spark or Java is "
            "installed, correct or unset JAVA_HOME, SPARK_HOME and PYSPARK_*."
        ) from None
    session.sparkContext.setLogLevel("FATAL")  # an error becomes one sentence, without the JVM's traces
    log = session._jvm.org.apache.logging.log4j  # the scheduler says so while no worker takes the job
    log.core.config.Configurator.setLevel("org.apache.spark.scheduler.TaskSchedulerImpl", log.Level.WARN)
    return session


def read(session: SparkSession, source: str) -> tuple[DataFrame, list[str] | None]:
    """Return Parquet files as they are, or the lines of CSV files and the names of their columns; raises UserError."""
    lines = session.read.text(source, lineSep="\n")
    files = sorted(lines.inputFiles())
    if not any(file.lower().endswith(CSV) for file in files):
        return session.read.parquet(source), None
    headers = {file: clean(session.read.text(file, lineSep="\n").head(1)[0].value) for file in files}
    header = headers[files[0]]
    if others := [file for file in files if headers[file] != header]:
        raise UserError(f"{others[0]}: expected the header of {files[0]}, found another one. Score them one by one.")
    line = f.regexp_replace(f.make_valid_utf8("value"), "^\ufeff|\r$", "").alias("line")
    lines = lines.select(line).where(f.col("line").rlike(r"[^ \t\r]") & (f.col("line") != header))
    return lines, parse_header(header, files[0])


@contextlib.contextmanager
def replacing(session: SparkSession, address: str) -> Iterator[str]:
    """Yield the address of a hidden folder, which takes the place of ``address`` if the block succeeds.

    If the block writes nothing, what was there is removed. An object store renames by copying: trust ``_SUCCESS``.
    """
    path = session._jvm.org.apache.hadoop.fs.Path
    final = path(address)
    beside = path(final.getParent(), f".{final.getName()}.partial")
    files = final.getFileSystem(session._jsc.hadoopConfiguration())
    try:
        yield beside.toString()
        files.delete(final, True)
        if files.exists(beside):
            files.rename(beside, final)
    finally:
        files.delete(beside, True)


def score_files(session: SparkSession, job: Job) -> tuple[int, int]:
    """Write the scored rows and those set aside, and return how many they are; raises UserError.

    If no row can be scored, or something fails, an older output stays as it is. ``mapInArrow`` is ``mapInPandas``
    without the frames in between: the key columns keep their types, and it is faster.
    """
    source, output = location(job.source), location(job.output)
    inputs, outputs = job.columns
    frame, header = read(session, source)
    columns = StructType([StructField(name, StringType()) for name in header]) if header else frame.schema
    schema = to_arrow_schema(columns, timezone="UTC")
    check_columns(schema, inputs, source)
    keys = job.keys(schema.names)
    if not keys:  # Spark does not know which line of a file a row was
        raise UserError(f"{source}: expected a column that tells the rows apart, found none. Add one, or use no Spark.")
    predicted = [StructField(name, DoubleType(), metadata=job.about) for name in outputs]
    model = f"model-{uuid.uuid4().hex}"
    archive = shutil.make_archive(str(Path(job.model_folder).with_name(model)), "zip", job.model_folder)
    session.sparkContext.addArchive(f"{archive}#{model}")
    session.sparkContext.addPyFile(rows.__file__)

    with replacing(session, rejected_path(output)) as aside, replacing(session, output) as beside:
        seen = Observation()
        observed = frame.observe(seen, f.count(f.lit(1)).alias("rows"))
        scored = observed.mapInArrow(
            lambda batches: rows.good_rows(batches, SparkFiles.get(model), header, keys, outputs),
            StructType([*(columns[name] for name in keys), *predicted]),
        )
        scored.write.mode("overwrite").parquet(beside)
        good = session.read.parquet(beside).count()
        bad = seen.get["rows"] - good
        if bad:  # a second look at the rows costs little, because the model has no part in it
            fields = StructType([StructField("reason", StringType()), *frame.schema.fields])
            rejected = frame.mapInArrow(lambda batches: rows.bad_rows(batches, header, inputs), fields)
            rejected.write.mode("overwrite").parquet(aside)
        if not good:
            raise job.nothing_scored(session.read.parquet(aside).head().reason if bad else "")
    return good, bad


def with_spark(job: Job, options: argparse.Namespace) -> tuple[int, int]:
    """Score on Spark; raises UserError."""
    with start(options.master) as session:
        try:
            return score_files(session, job)
        except (PySparkException, Py4JError) as error:
            said = str(getattr(error, "java_exception", error)).split("JVM stacktrace")[0]
            raise UserError(f"{job.source}: {' '.join(said.split())[-500:]}") from None


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Score files with a model of the registry on Spark.")
    parser.add_argument("--output", default="3_projects/scoring/output/scored_by_spark.parquet", help="the folder")
    parser.add_argument("--master", default="local[*]", help="such as spark://HOST:7077; default: %(default)s")
    run(parser, with_spark)
