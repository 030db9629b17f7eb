"""Score CSV or Parquet files with a model of the registry on Spark, for what outgrows one machine.

    mlflow run 3_projects/scoring -e spark --env-manager local -P input=FOLDER -P output=scored.parquet

It takes and gives the same columns, numbers and bad rows as score.py. The output is a folder of Parquet files, in no
order that Spark would promise: the rows are told apart by their keys. Each column of predictions carries the model in
its metadata. The model is sent to the workers, which need the same Python packages but no MLflow server.
"""

import argparse
import shutil
import signal
import sys
import tempfile
import time
import uuid
from pathlib import Path

import mlflow
import pyarrow as pa
import session as spark
import tracking
from batch import check_signature, keys_of, load
from files import CSV, rejected_path
from folders import Folder
from lines import parse_header
from mlflow.exceptions import MlflowException
from mlflow_ftp.preflight import preflight
from partition import rejecter, scorer
from py4j.protocol import Py4JError, Py4JJavaError
from pyspark.errors import PySparkException, PythonException
from pyspark.sql import DataFrame, Observation, SparkSession
from pyspark.sql import functions as f
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import DoubleType, StringType, StructField, StructType
from rows import ScoringError, check_columns
from score import nothing_scored

PROJECT_ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ("rows.py", "lines.py", "batch.py", "partition.py")


def location(path: str) -> str:
    """Return a path as Spark knows it: an address such as s3a://BUCKET/rows as it is, else a file of this machine."""
    return path if "://" in path else f"file://{PROJECT_ROOT / path}"


def read(session: SparkSession, source: str) -> tuple[DataFrame, list[str] | None]:
    """Return Parquet files as they are, or the lines of CSV files and the names of their columns.

    Raises ScoringError if there are none, or if CSV files have different headers.
    """
    names = Folder(session, source).names()
    if not names:
        raise ScoringError(f"{source}: no such file, or an empty folder. Give CSV or Parquet files.")
    if not any(name.lower().endswith(CSV) for name in names):
        return session.read.parquet(source), None
    lines = session.read.option("lineSep", "\n").text(source)
    headers = {file: session.read.option("lineSep", "\n").text(file).head() for file in sorted(lines.inputFiles())}
    (first, header), *others = [(file, row.value if row else "") for file, row in headers.items()]
    columns = parse_header(header, first)
    for file, other in others:
        if parse_header(other, file) != columns:
            raise ScoringError(f"{file}: expected the header of {first}, found another one. Score them one by one.")
    text = header.removesuffix("\r").removeprefix("\ufeff")
    repeated = [mark + text + end for mark in ("", "\ufeff") for end in ("", "\r")]
    value = f.make_valid_utf8("value").alias("line")
    return lines.where(f.col("value").rlike(r"[^ \t\r]") & ~f.col("value").isin(repeated)).select(value), columns


def with_row_numbers(frame: DataFrame, source: str, header: list[str] | None) -> tuple[DataFrame, list[str]]:
    """Return the rows of Parquet files with the keys that they lack: file and row; raises ScoringError for a CSV."""
    if header:
        raise ScoringError(
            f"{source}: expected a column that tells the rows apart, such as utc_timestamp, found none: Spark does not "
            "know which line of a CSV a row was. Add one, or leave -e spark out."
        )
    row = (f.col("_metadata.row_index") + 1).alias("row")
    return frame.select("*", f.col("_metadata.file_name").alias("file"), row), ["file", "row"]


def score_files(
    session: SparkSession, model_folder: str, version: tracking.Version, source: str, output: str
) -> tuple[int, int]:
    """Write the scored rows and those set aside, and return how many they are; raises ScoringError.

    If no row can be scored, an older output stays as it is.
    """
    inputs, outputs = check_signature(load(model_folder), version.title)
    frame, header = read(session, source)
    if header:
        schema = pa.schema([(name, pa.string()) for name in header])
    else:
        schema = to_arrow_schema(frame.schema, timezone="UTC")
    check_columns(schema, inputs, source)
    keys = keys_of(schema.names, inputs, outputs)
    if not keys:
        frame, keys = with_row_numbers(frame, source, header)
    fields = [StructField(name, StringType()) if header else frame.schema[name] for name in keys]
    predictions = [StructField(name, DoubleType(), metadata=version.about) for name in outputs]

    for name in SHIPPED:
        session.sparkContext.addPyFile(str(Path(__file__).with_name(name)))
    name = f"model-{uuid.uuid4().hex}"
    archive = shutil.make_archive(str(Path(model_folder).parent / name), "zip", model_folder)
    session.sparkContext.addArchive(f"{archive}#{name}")

    scored, rejected = Folder(session, output), Folder(session, rejected_path(output))
    try:
        scored.prepare()
        rejected.prepare()
        seen = Observation()
        observed = frame.observe(seen, f.count(f.lit(1)).alias("rows"))
        score = scorer(name, header, keys, outputs)
        rows = write(session, observed.mapInArrow(score, StructType([*fields, *predictions])), scored)
        bad = seen.get["rows"] - rows
        if bad:  # a second look at the rows costs little, as the model has no part in it
            reason = StructField("reason", StringType())
            reject = rejecter(header, inputs)
            write(session, frame.mapInArrow(reject, StructType([reason, *frame.schema.fields])), rejected)
            rejected.finish()
        if not rows:
            raise ScoringError(nothing_scored(source, bad, rejected.location))
        if not bad:
            rejected.remove()  # of an earlier job
        scored.finish()
        return rows, bad
    finally:
        scored.discard()
        rejected.discard()


def write(session: SparkSession, frame: DataFrame, folder: Folder) -> int:
    """Write the rows beside the folder, and return how many they are."""
    beside = folder.beside.toString()
    frame.write.mode("overwrite").parquet(beside)
    return session.read.schema(frame.schema).parquet(beside).count()


def run(options: argparse.Namespace) -> None:
    """Score what the options say, and note it on the active run; raises ScoringError."""
    spark.check_java()
    version = tracking.find_version(options.registered_model, options.version)
    source, output = location(options.input), location(options.output)
    with tempfile.TemporaryDirectory() as folder:
        if options.input == "newest":
            source = location(str(tracking.fetch_holdout(folder)))
        model = tracking.fetch(version, folder)
        start = time.monotonic()
        session = spark.start(options.master)
        started = time.monotonic() - start
        print(f"scoring: Spark started on {options.master} in {started:.1f} s", flush=True)
        print(f"scoring: {source} with {version.title}", flush=True)
        try:
            rows, rejected = score_files(session, model, version, source, output)
        finally:
            session.stop()
    seconds = time.monotonic() - start - started
    tracking.log_outcome(version, output, rows, rejected, seconds)
    rate = (rows + rejected) / seconds
    print(f"scoring: {rows} rows with {version.title} in {seconds:.1f} s ({rate:,.0f} rows/s): {output}")
    if rejected:
        print(f"scoring: {rejected} bad rows set aside, each with its reason: {rejected_path(output)}")


def reason_of(error: Exception) -> str:
    """Return what an error says in one line: of a worker's Python the last one, of the JVM that of the first cause."""
    text = str(error)
    if isinstance(error, Py4JJavaError):
        cause = error.java_exception
        while cause.getCause() is not None:
            cause = cause.getCause()
        text = cause.getMessage() or cause.toString()
    lines = [line.strip() for line in text.split("JVM stacktrace")[0].splitlines() if line.strip()]
    return (lines or [type(error).__name__])[-1 if isinstance(error, PythonException) else 0]


def main() -> None:
    """Run it; an error that a person can mend is one sentence, and stays on the run."""
    parser = argparse.ArgumentParser(description="Score files with a model of the registry on Spark.")
    parser.add_argument("--input", default="newest", help="a CSV or Parquet file or a folder of them; or newest")
    parser.add_argument("--output", required=True, help="the folder; a relative path starts at the project's top")
    parser.add_argument("--registered-model", default="wind_solar", help="default: %(default)s")
    parser.add_argument("--version", default="production", help="an alias or a number; default: %(default)s")
    parser.add_argument("--master", default="local[*]", help="such as spark://HOST:7077; default: %(default)s")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that being stopped cleans up as Ctrl-C does
    preflight("scoring")
    with mlflow.start_run():
        mlflow.set_tag("step", "scoring")
        try:
            run(options)
        except (ScoringError, MlflowException, PySparkException, Py4JError) as error:
            message = reason_of(error)
            mlflow.set_tag("error", message)
            sys.exit(f"scoring: {message}")
        except KeyboardInterrupt:
            mlflow.end_run("KILLED")
            sys.exit("scoring: stopped; the output is as it was before")


if __name__ == "__main__":
    main()
