"""Score a CSV or Parquet file with a model of the registry, piece by piece, into a Parquet file.

    mlflow run 3_projects/scoring --env-manager local -P input=rows.parquet -P output=scored.parquet

Without an input it scores the holdout of the experiment's newest table. The rows keep their order. The output has the
columns of the input that the model doesn't take (a row number if there are none) and what the model predicts. Rows that
can't be scored go to scored.rejected.parquet beside it, each with its reason. For a model of the hourly table, weather
alone is enough: 3_projects/data makes the features first.
"""

import argparse
import contextlib
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import mlflow
import numpy as np
import pyarrow as pa
import rows
from files import Rows, check_columns, rejected_path, with_features
from mlflow.pyfunc import PyFuncModel
from pyarrow import parquet
from tqdm import tqdm

from forecasting.entry_point import command
from forecasting.errors import UserError
from forecasting.files import replacing, sha256
from forecasting.production import ALIAS, REGISTERED_MODEL, find_version
from forecasting.table import HourlyTable
from forecasting.tracking import find_run, project_of

PROJECT_ROOT = Path(__file__).resolve().parents[2]
ROW = "row"  # the column that is used as a key where there is no other


@dataclass(frozen=True)
class Job:
    """What is scored with what."""

    model_folder: str
    about: dict[str, str]  # model, model_version and model_run, as the output and the run name them
    source: str  # a path, or an address that Spark knows
    output: str

    @property
    def title(self) -> str:
        """Return the name of the model version for a reader."""
        return f"{self.about['model']} version {self.about['model_version']}"

    @property
    def model(self) -> PyFuncModel:
        """Return the model."""
        return rows.load(self.model_folder)

    @property
    def columns(self) -> tuple[list[str], list[str]]:
        """Return the names of the columns that the model takes and gives; raises UserError if it states none."""
        inputs, outputs = self.model.metadata.get_input_schema(), self.model.metadata.get_output_schema()
        if not (inputs and inputs.has_input_names() and outputs and outputs.has_input_names()):
            raise UserError(
                f"{self.title}: expected a signature with named input and output columns, found none. Log it with one."
            )
        if odd := [column.name for column in inputs.inputs if np.dtype(column.type.to_numpy()).kind != "f"]:
            raise UserError(f"{self.title}: expected floating-point input columns, found {odd[0]} of another type.")
        return inputs.input_names(), outputs.input_names()

    def keys(self, names: list[str]) -> list[str]:
        """Return the columns of the input that are copied: those that the model neither takes nor predicts."""
        return [name for name in names if name not in {*self.columns[0], *self.columns[1]}]

    def nothing_scored(self, reason: str = "") -> UserError:
        """Return what to say of an input without a good row; ``reason`` is that of its first bad row."""
        bad = f"only bad ones, the first because: {reason}" if reason else "none"
        return UserError(f"{self.source}: expected rows that can be scored, found {bad}. Export it again.")


def prepare(options: argparse.Namespace, folder: Path) -> Job:
    """Download the model, and find or make the rows to score; ``folder`` is for what is not kept. Raises UserError."""
    version = find_version(options.registered_model, options.version)
    about = {"model": version.name, "model_version": str(version.version), "model_run": version.run_id or ""}
    uri = f"models:/{version.name}/{version.version}"
    model = mlflow.artifacts.download_artifacts(uri, dst_path=tempfile.mkdtemp(dir=folder))
    source, output = (path if "://" in path else str(PROJECT_ROOT / path) for path in (options.input, options.output))
    if options.input == "newest":
        training = find_run(version.run_id)
        own_table = find_run(training.data.tags.get("data_run")) if training else None
        table = HourlyTable.newest(project=project_of(own_table) if own_table else "data")
        source = str(folder / "holdout.parquet")
        table.frame[table.holdout()].to_parquet(source)
    job = Job(model, about, source, output)
    if Path(source).is_file():
        return replace(job, source=str(with_features(Path(source), job.columns[0], folder)))
    return job


@contextlib.contextmanager
def new_parquet(path: str, schema: pa.Schema) -> Iterator[parquet.ParquetWriter]:
    """Yield a writer of a file that gets its name only when it is whole; raises UserError, such as on a full disk."""
    try:
        with replacing(Path(path)) as beside, parquet.ParquetWriter(beside, schema) as writer:
            yield writer
    except OSError as error:
        raise UserError(f"{path}: can't be written ({error.strerror or error}). Give another output.") from None


def score_file(job: Job, piece_rows: int = 50_000) -> tuple[int, int]:
    """Write the scored rows and those set aside, and return how many they are; raises UserError.

    If no row can be scored, or something fails, an older output stays as it is.
    """
    inputs, outputs = job.columns
    source = Rows(Path(job.source), piece_rows)
    check_columns(source.schema, inputs, job.source)
    keys = job.keys(source.schema.names)
    if copies := [name for name in outputs if name in source.schema.names]:
        print(f"scoring: {', '.join(copies)} of the input are not copied: the predictions have these names")
    run = mlflow.active_run()
    about = job.about | ({"scoring_run": run.info.run_id} if run else {})
    fields = [source.schema.field(name) for name in keys] or [pa.field(ROW, pa.int64())]
    schema = pa.schema([*fields, *(pa.field(name, pa.float64()) for name in outputs)], metadata=about)
    aside = pa.schema([(ROW, pa.int64()), ("reason", pa.string()), *source.original], metadata=about)

    good = bad = 0
    first_reason, rejected = "", rejected_path(job.output)
    pause = 0.5 if sys.stderr.isatty() else 30
    with (
        tqdm(total=source.count, desc="scoring", unit=" rows", unit_scale=True, mininterval=pause) as progress,
        new_parquet(rejected, aside) as rejects,
        new_parquet(job.output, schema) as results,
    ):
        for piece in source.pieces():
            table = piece.table if keys else piece.table.append_column(ROW, pa.array(piece.numbers))
            scored, faults = rows.score(job.model, table, piece.malformed, keys or [ROW], outputs)
            results.write_table(scored.cast(schema))
            if places := sorted(faults):
                columns = [[piece.numbers[place] for place in places], [faults[place] for place in places]]
                rejects.write_table(pa.table([*columns, *piece.original.take(places).columns], schema=aside))
                first_reason = first_reason or faults[places[0]]
            good, bad = good + len(scored), bad + len(faults)
            progress.update(len(table))
        if not good:
            raise job.nothing_scored(first_reason)
    if not bad:
        Path(rejected).unlink()
    return good, bad


def run(parser: argparse.ArgumentParser, engine: Callable[[Job, argparse.Namespace], tuple[int, int]]) -> None:
    """Score what the command line says with an engine, and log what was scored with what."""
    parser.add_argument("--input", default="newest", help="CSV or Parquet; newest is the newest table's holdout")
    parser.add_argument("--registered-model", default=REGISTERED_MODEL, help="default: %(default)s")
    parser.add_argument("--version", default=ALIAS, help="an alias or a number; default: %(default)s")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that being stopped cleans up as Ctrl-C does
    with command("scoring", parser) as options, tempfile.TemporaryDirectory() as folder:
        job = prepare(options, Path(folder))
        print(f"scoring: {job.source} with {job.title}", flush=True)
        start = time.monotonic()
        good, bad = engine(job, options)
        seconds = time.monotonic() - start
        mlflow.log_metrics({"rows": good, "rejected": bad, "seconds": seconds})
        digest = {"output_sha256": sha256(Path(job.output))} if Path(job.output).is_file() else {}
        mlflow.set_tags(job.about | digest | {"output": job.output})
        rate = (good + bad) / seconds
        print(f"scoring: {good} rows with {job.title} in {seconds:.1f} s ({rate:,.0f} rows/s): {job.output}")
        if bad:
            print(f"scoring: {bad} bad rows set aside, each with its reason: {rejected_path(job.output)}")


if __name__ == "__main__":
    # A model's threads wait for each other often. Spinning would take the cores from whoever else needs them.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    parser = argparse.ArgumentParser(description="Score a file with a model of the registry.")
    parser.add_argument("--output", default="3_projects/scoring/output/scored.parquet", help="a Parquet file")
    run(parser, lambda job, options: score_file(job))
