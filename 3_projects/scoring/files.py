"""Local files in and out, chunk by chunk: a chunk is all that is in memory.

What is written gets its name only when it is whole. Until then it is a hidden file beside, which the next job to the
same name removes if this one was killed.
"""

import contextlib
import gzip
import os
import uuid
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
from lines import clean, parse, parse_header
from pyarrow import parquet
from rows import ScoringError

CSV = (".csv", ".csv.gz")


@dataclass(frozen=True)
class Chunk:
    """Rows that follow each other in the input."""

    numbers: list[int]  # of the rows; the first one below the header of a CSV is row 1, even if lines are empty
    table: pa.Table
    faults: dict[int, str]  # what is malformed, by the row's place in the table
    original: pa.Table  # the rows as they are set aside: all columns, or the lines of a CSV


class Input:
    """A CSV or Parquet file that is read chunk by chunk."""

    def __init__(self, path: Path, chunk_rows: int):
        """Read the names and types of the columns; raises ScoringError if this can't be."""
        self.path, self.chunk_rows, self.rows = path, chunk_rows, None
        if path.is_dir():
            raise ScoringError(
                f"{path}: expected a file, found a folder. Name a file in it, or score it with -e spark."
            )
        try:
            if path.name.lower().endswith(CSV):
                with self._open() as file:
                    self.header = file.readline().decode(errors="replace")
                self.schema = pa.schema([(name, pa.string()) for name in parse_header(self.header, str(path))])
                self.set_aside = pa.schema([("line", pa.string())])
            else:
                with parquet.ParquetFile(path) as file:
                    self.schema, self.rows = file.schema_arrow.remove_metadata(), file.metadata.num_rows
                self.set_aside = self.schema
        except FileNotFoundError:
            raise ScoringError(f"{path}: no such file. Give the path of a CSV or Parquet file.") from None
        except pa.ArrowInvalid:
            raise ScoringError(
                f"{path}: expected a Parquet file, or a name that ends in .csv or .csv.gz; found neither. Export the "
                "rows again."
            ) from None
        except OSError as error:
            raise ScoringError(f"{path}: can't be read ({error.strerror or error}). Give a file that can be.") from None
        except (EOFError, zlib.error) as error:
            raise damaged(path, error) from None

    def _open(self) -> BinaryIO:
        return gzip.open(self.path) if self.path.suffix.lower() == ".gz" else self.path.open("rb")

    def chunks(self) -> Iterator[Chunk]:
        """Return the rows in their order; raises ScoringError where the file can't be read on."""
        try:
            yield from self._csv() if self.rows is None else self._parquet()
        except (pa.ArrowInvalid, OSError, EOFError, zlib.error) as error:
            raise damaged(self.path, error) from None

    def _parquet(self) -> Iterator[Chunk]:
        before = 0
        # Neither whole columns of a row group nor the whole file are kept in memory.
        with parquet.ParquetFile(self.path, buffer_size=1 << 20, pre_buffer=False) as file:
            for batch in file.iter_batches(self.chunk_rows):
                table = pa.Table.from_batches([batch]).replace_schema_metadata()
                yield Chunk(list(range(before + 1, before + len(table) + 1)), table, {}, table)
                before += len(table)

    def _csv(self) -> Iterator[Chunk]:
        header = clean(self.header)
        with self._open() as file:
            numbered = enumerate(file)
            while piece := list(islice(numbered, self.chunk_rows)):
                rows = [(number, clean(line.decode(errors="replace"))) for number, line in piece]
                # Where files were put one behind the other, a header comes again; it is no row.
                rows = [(number, line) for number, line in rows if line.strip(" \t\r") and line != header]
                if rows:
                    numbers, lines = map(list, zip(*rows, strict=True))
                    table, faults = parse(lines, self.schema.names)
                    yield Chunk(numbers, table, faults, pa.table({"line": lines}))


class Output:
    """A Parquet file that is written beside its final name."""

    def __init__(self, path: Path, schema: pa.Schema):
        """Open it; raises ScoringError if nothing can be written there."""
        self.path, self.rows = path, 0
        self.beside = path.with_name(f".{path.name}.partial-{uuid.uuid4().hex}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.is_dir():
                raise ScoringError(f"{path}: expected a file to write, found a folder. Give another output.")
            for leftover in path.parent.glob(f".{path.name}.partial-*"):
                leftover.unlink()
            self.file = self.beside.open("wb")
        except OSError as error:
            raise unwritable(path, error) from None
        self.writer = parquet.ParquetWriter(self.file, schema)

    def write(self, table: pa.Table) -> None:
        """Append rows; raises ScoringError, for example if the disk is full."""
        try:
            self.writer.write_table(table)
        except OSError as error:
            raise unwritable(self.path, error) from None
        self.rows += len(table)

    def finish(self) -> None:
        """Give the file its name, in place of an older one; raises ScoringError."""
        try:
            self.writer.close()
            self.file.flush()
            os.fsync(self.file.fileno())
            self.file.close()
            self.beside.replace(self.path)
        except OSError as error:
            raise unwritable(self.path, error) from None

    def discard(self) -> None:
        """Remove what was written, unless it is finished."""
        with contextlib.suppress(OSError):  # such as a full disk, of which the caller knows
            self.writer.close()
            self.file.close()
        self.beside.unlink(missing_ok=True)


def damaged(path: Path, error: Exception) -> ScoringError:
    """Return what to say of an input that can't be read to its end."""
    return ScoringError(f"{path}: is damaged ({str(error).splitlines()[0]}). Export it again.")


def unwritable(path: Path, error: OSError) -> ScoringError:
    """Return what to say of an output that can't be written."""
    return ScoringError(f"{path}: can't be written ({error.strerror or error}). Give another output.")


def rejected_path(output: str) -> str:
    """Return where the rows go that are set aside: ``scored.parquet`` has ``scored.rejected.parquet`` beside it."""
    return f"{output.removesuffix('.parquet')}.rejected.parquet"
