"""Score a CSV or Parquet file with a model of the registry, chunk by chunk, into a Parquet file.

    mlflow run 3_projects/scoring --env-manager local -P input=rows.parquet -P output=scored.parquet

Without an input it scores the holdout of the newest table. The rows keep their order. The output has the columns of the
input that the model doesn't take (a row number if there are none) and what the model predicts. Rows that can't be
scored go to scored.rejected.parquet beside it, each with its reason.
"""

import argparse
import hashlib
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

import batch
import mlflow
import pyarrow as pa
import tracking
from files import Input, Output, rejected_path
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import PyFuncModel
from mlflow_ftp.preflight import preflight
from rows import ScoringError, check_columns
from tqdm import tqdm

PROJECT_ROOT = Path(__file__).resolve().parents[2]
ROW = "row"  # the column that stands in for a key


def score_file(
    model: PyFuncModel, version: tracking.Version, path: Path, output: Path, chunk_rows: int
) -> tuple[int, int]:
    """Write the scored rows and those set aside, and return how many they are; raises ScoringError.

    If no row can be scored, an older output stays as it is.
    """
    inputs, outputs = batch.check_signature(model, version.title)
    source = Input(path, chunk_rows)
    check_columns(source.schema, inputs, str(path))
    keys = batch.keys_of(source.schema.names, inputs, outputs)
    if copies := [name for name in outputs if name in source.schema.names]:
        print(f"scoring: {', '.join(copies)} of the input are not copied: the predictions have these names")
    fields = [source.schema.field(name) for name in keys] or [pa.field(ROW, pa.int64())]
    schema = tracking.schema_of(fields, outputs, version)
    set_aside = pa.schema([(ROW, pa.int64()), ("reason", pa.string()), *source.set_aside], metadata=schema.metadata)

    scored = rejected = None
    try:
        scored, rejected = Output(output, schema), Output(Path(rejected_path(str(output))), set_aside)
        pause = 0.5 if sys.stderr.isatty() else 30
        with tqdm(total=source.rows, desc="scoring", unit=" rows", unit_scale=True, mininterval=pause) as progress:
            for chunk in source.chunks():
                table = chunk.table if keys else chunk.table.append_column(ROW, pa.array(chunk.numbers))
                good, faults = batch.score(model, table, chunk.faults, keys or [ROW], outputs)
                scored.write(good.cast(schema))
                if faults:
                    bad = sorted(faults)
                    columns = [[chunk.numbers[row] for row in bad], [faults[row] for row in bad]]
                    rejected.write(pa.table([*columns, *chunk.original.take(bad).columns], schema=set_aside))
                progress.update(len(table))
        if rejected.rows:
            rejected.finish()
        if not scored.rows:
            raise ScoringError(nothing_scored(str(path), rejected.rows, str(rejected.path)))
        if not rejected.rows:
            rejected.path.unlink(missing_ok=True)  # of an earlier job
        scored.finish()
        return scored.rows, rejected.rows
    finally:
        for file in filter(None, (scored, rejected)):
            file.discard()


def nothing_scored(path: str, rejected: int, beside: str) -> str:
    """Return what to say of an input without a good row."""
    if rejected:
        return f"{path}: expected rows that can be scored, found {rejected} bad ones. Their reasons are in {beside}."
    return f"{path}: expected rows, found none. Export it again."


def sha256_of(path: Path) -> str:
    """Return the digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def run(options: argparse.Namespace) -> None:
    """Score what the options say, and note it on the active run; raises ScoringError."""
    start = time.monotonic()
    if options.chunk_rows < 1:
        raise ScoringError(f"expected at least 1 row in a chunk, found chunk_rows={options.chunk_rows}.")
    version = tracking.find_version(options.registered_model, options.version)
    output = PROJECT_ROOT / options.output
    with tempfile.TemporaryDirectory() as folder:
        newest = options.input == "newest"
        path = tracking.fetch_holdout(folder) if newest else PROJECT_ROOT / options.input
        model = batch.load(tracking.fetch(version, folder))
        print(f"scoring: {path} with {version.title}", flush=True)
        loaded = time.monotonic()
        rows, rejected = score_file(model, version, path, output, options.chunk_rows)
    end = time.monotonic()
    tracking.log_outcome(version, str(output), rows, rejected, end - start, sha256_of(output))
    rate = (rows + rejected) / (end - loaded)
    print(f"scoring: {rows} rows with {version.title} in {end - start:.1f} s ({rate:,.0f} rows/s): {output}")
    if rejected:
        print(f"scoring: {rejected} bad rows set aside, each with its reason: {rejected_path(str(output))}")


def main() -> None:
    """Run it; an error that a person can mend is one sentence, and stays on the run."""
    parser = argparse.ArgumentParser(description="Score a file with a model of the registry, chunk by chunk.")
    parser.add_argument("--input", default="newest", help="a CSV or Parquet file; newest is the newest table's holdout")
    parser.add_argument("--output", required=True, help="the Parquet file; relative paths start at the project's top")
    parser.add_argument("--registered-model", default="wind_solar", help="default: %(default)s")
    parser.add_argument("--version", default="production", help="an alias or a number; default: %(default)s")
    parser.add_argument("--chunk-rows", type=int, default=50_000, help="rows in memory at once; default: %(default)s")
    options = parser.parse_args()
    # A model's threads wait for each other often. Spinning meanwhile would take the cores from whoever else needs them.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that being stopped cleans up as Ctrl-C does
    preflight("scoring")
    with mlflow.start_run():
        mlflow.set_tag("step", "scoring")
        try:
            run(options)
        except (ScoringError, MlflowException) as error:
            message = str(error).splitlines()[0]
            mlflow.set_tag("error", message)
            sys.exit(f"scoring: {message}")
        except KeyboardInterrupt:
            mlflow.end_run("KILLED")
            sys.exit("scoring: stopped; the output is as it was before")


if __name__ == "__main__":
    main()
