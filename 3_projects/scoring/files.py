"""The files that are scored, read in pieces, because only one piece has to fit into memory."""

import contextlib
import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import mlflow
import pandas as pd
import pyarrow as pa
from pyarrow import parquet, types
from rows import cells, is_text, parse

from forecasting.entry_point import run_child
from forecasting.errors import UserError

CSV = (".csv", ".csv.gz")
DATA_PROJECT = Path(__file__).resolve().parents[1] / "data"
TIME = "utc_timestamp"


@dataclass(frozen=True)
class Piece:
    """Rows that follow each other in a file."""

    numbers: list[int]  # of the rows; the first line below the header of a CSV is row 1, even if lines are empty
    table: pa.Table
    malformed: dict[int, str]  # why, by the row's place in the table
    original: pa.Table  # the rows as they are set aside: all columns, or the lines of a CSV


class Rows:
    """A CSV or Parquet file that is read piece by piece."""

    def __init__(self, path: Path, piece_rows: int = 50_000):
        """Read the names and types of the columns; raises UserError if the file can't be read."""
        self.path, self.piece_rows, self.count = path, piece_rows, None
        with self._readable():
            if path.name.lower().endswith(CSV):
                with self._open() as file:
                    self.header = clean(file.readline().decode(errors="replace"))
                self.schema = pa.schema([(name, pa.string()) for name in parse_header(self.header, path)])
                self.original = pa.schema([("line", pa.string())])
            else:
                with parquet.ParquetFile(path) as file:
                    self.schema = self.original = file.schema_arrow.remove_metadata()
                    self.count = file.metadata.num_rows

    def pieces(self) -> Iterator[Piece]:
        """Yield the rows in their order; raises UserError where the file can't be read on."""
        with self._readable():
            yield from self._csv() if self.count is None else self._parquet()

    def _parquet(self) -> Iterator[Piece]:
        before = 0
        # Neither whole columns of a row group nor the whole file are kept in memory.
        with parquet.ParquetFile(self.path, buffer_size=1 << 20, pre_buffer=False) as file:
            for batch in file.iter_batches(self.piece_rows):
                table = pa.Table.from_batches([batch]).replace_schema_metadata()
                yield Piece(list(range(before + 1, before + len(table) + 1)), table, {}, table)
                before += len(table)

    def _csv(self) -> Iterator[Piece]:
        with self._open() as file:
            numbered = enumerate(file)
            while piece := list(islice(numbered, self.piece_rows)):
                rows = [(number, clean(line.decode(errors="replace"))) for number, line in piece]
                # Where files were put one behind the other, the header comes again; it is not a row.
                rows = [(number, line) for number, line in rows if line.strip(" \t\r") and line != self.header]
                if rows:
                    numbers, lines = map(list, zip(*rows, strict=True))
                    yield Piece(numbers, *parse(lines, self.schema.names), pa.table({"line": lines}))

    def _open(self) -> BinaryIO:
        return gzip.open(self.path) if self.path.suffix.lower() == ".gz" else self.path.open("rb")

    @contextlib.contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise UserError(f"{self.path}: no such file. Give the path of a CSV or Parquet file.") from None
        except (pa.ArrowInvalid, OSError, EOFError, zlib.error) as error:
            kind = "CSV" if self.path.name.lower().endswith(CSV) else "Parquet"
            reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
            raise UserError(
                f"{self.path}: can't be read as {kind} ({reason}). Give a Parquet file or a CSV (.csv, .csv.gz); "
                "export a damaged one again."
            ) from None


def clean(line: str) -> str:
    """Return a line without the marks at its ends that don't belong to it: line break and byte order mark."""
    return line.removesuffix("\n").removesuffix("\r").removeprefix("\ufeff")


def parse_header(line: str, path: Path | str) -> list[str]:
    """Return the names of the columns; raises UserError if the line can't be the header of a CSV."""
    names = [name.strip() for name in cells(line) or []]
    if not any(names):
        raise UserError(f"{path}: expected a header with the names of the columns, found none. Export it again.")
    return names


def check_columns(schema: pa.Schema, inputs: list[str], path: Path | str) -> None:
    """Raise UserError unless a file has each column once, and numbers or text in those that the model takes."""
    if missing := [name for name in inputs if name not in schema.names]:
        raise UserError(
            f"{path}: expected the column{'s' * (len(missing) > 1)} {', '.join(missing)}, which the model takes; found "
            f"{', '.join(schema.names)[:300]}. Give a file with the columns of the model's signature: -P input=PATH"
        )
    if twice := [name for name in schema.names if schema.names.count(name) > 1]:
        raise UserError(f"{path}: expected each column once, found {twice[0]!r} more than once. Name each once.")
    for name in inputs:
        kind = schema.field(name).type
        number = types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind)
        if not (number or is_text(kind)):
            raise UserError(f"{path}: expected numbers in the column {name}, found {kind}. Convert the column.")


def with_features(path: Path, inputs: list[str], folder: Path) -> Path:
    """Return a file in ``folder`` with the features of the hourly weather in ``path``, or ``path`` if it has them.

    The project 3_projects/data checks and repairs the weather and adds the features. An hour's features need the hours
    around it, so they are made of the whole file before it is read in pieces. Raises UserError.
    """
    columns = Rows(path).schema.names
    if TIME not in columns or set(inputs) <= set(columns):
        return path
    weather, features = path, folder / "features.csv"
    if not path.name.lower().endswith(CSV):
        weather = folder / "weather.csv"
        parquet.read_table(path).to_pandas(ignore_metadata=True).to_csv(weather, index=False)
    parameters = {"csv": str(weather), "output": str(features)}
    child = run_child(mlflow.active_run(), "features", DATA_PROJECT, "features", parameters, "local")
    if child.info.status != "FINISHED":
        reason = child.data.tags.get("error", "3_projects/data has failed; what it printed is above.")
        raise UserError(reason.replace(str(weather), str(path)))
    frame = pd.read_csv(features, parse_dates=[TIME])
    frame.to_parquet(folder / "features.parquet")
    return folder / "features.parquet"


def location(path: str) -> str:
    """Return a path as Spark knows it: as it is if it is an address, such as s3a://BUCKET/rows."""
    # Not Path.as_uri: Spark takes a blank as a blank, and %20 as three characters.
    return path if "://" in path else f"file:///{Path(path).as_posix().removeprefix('/')}"


def rejected_path(output: str) -> str:
    """Return where bad rows go: ``scored.parquet`` has ``scored.rejected.parquet`` beside it."""
    return f"{output.removesuffix('.parquet')}.rejected.parquet"
