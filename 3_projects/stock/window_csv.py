"""A CSV of windows, row by row: its prices as numbers, its lines as they are, and what is wrong with a row."""

import contextlib
import csv
import glob
import os
import re
import uuid
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
from versions import Refused

# What float() takes but no export writes, such as 1_000 or nan, is no price.
NUMBER = re.compile(r"\s*\+?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)
LARGEST = 1e30  # every model.py refuses what is larger, as a float32 in a model would soon overflow

Row = tuple[int, list[str]]  # the number of its last line in the file, the header being line 1; and its cells


class Windows:
    """A CSV that is read some rows at a time."""

    def __init__(self, path: Path, inputs: list[str]):
        """Read the names of the columns; raises Refused unless all ``inputs`` are among them, once."""
        self.path, self.inputs = path, inputs
        with self._rows() as rows:
            names = self.header = [name.strip() for name in next(rows, (1, []))[1]]
        if missing := [name for name in inputs if name not in names]:
            raise Refused(
                f"{path}: expected the column{'s' * (len(missing) > 1)} {', '.join(missing)}, which the model takes; "
                f"found {', '.join(names)[:200]!r}. Name the closing prices so, the oldest first."
            )
        if twice := [name for name in names if names.count(name) > 1]:
            raise Refused(f"{path}: expected each column once, found {twice[0]!r} more than once. Name each once.")

    def chunks(self, size: int) -> Iterator[list[Row]]:
        """Return the rows in their order, that many at once; raises Refused where the file can't be read on."""
        with self._rows() as rows:
            next(rows, None)
            while chunk := list(islice(rows, size)):
                yield chunk

    def prices(self, chunk: list[Row]) -> tuple[np.ndarray, dict[int, str]]:
        """Return the prices (rows, inputs), and what is wrong with the bad rows by their place in the chunk."""
        columns = [self.header.index(name) for name in self.inputs]
        prices, faults = np.full((len(chunk), len(columns)), np.nan), {}
        for place, (_, cells) in enumerate(chunk):
            if len(cells) != len(self.header):
                faults[place] = f"expected {len(self.header)} values, as many as the header has, found {len(cells)}"
                continue
            for position, column in enumerate(columns):
                price = float(cells[column]) if NUMBER.fullmatch(cells[column]) else 0.0
                if not 0 < price < LARGEST:
                    found = repr(cells[column][:40]) if cells[column].strip() else "none"
                    faults[place] = f"expected a price above zero in {self.inputs[position]}, found {found}"
                    break
                prices[place, position] = price
        return prices, faults

    @contextlib.contextmanager
    def _rows(self) -> Iterator[Iterator[Row]]:
        try:
            # Bytes that are no UTF-8 are kept as they are.
            with self.path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
                reader = csv.reader(file, strict=True)
                yield ((reader.line_num, cells) for cells in reader if cells)
        except OSError as error:
            raise Refused(
                f"{self.path}: can't be read ({error.strerror or error}). Give the path of a CSV with -P input=PATH"
            ) from None
        except csv.Error as error:
            raise Refused(f"{self.path} line {reader.line_num}: can't be read ({error}). Export it again.") from None


class Output:
    """A CSV that gets its name when it is whole; until then it is a hidden file beside.

    If a job was killed, the next one to the same name removes what it has left.
    """

    def __init__(self, path: Path, header: list[str]):
        """Open it and write the header; raises Refused if nothing can be written there."""
        if not path.name:
            raise Refused(f"expected the name of a file for the output, found {path}. Give it with -P output=PATH")
        self.path = path
        self.beside = path.with_name(f".{path.name}.partial-{uuid.uuid4().hex}")
        with self._plain_words():
            path.parent.mkdir(parents=True, exist_ok=True)
            for leftover in path.parent.glob(f".{glob.escape(path.name)}.partial-*"):
                leftover.unlink()
            self.file = self.beside.open("w", encoding="utf-8", errors="surrogateescape", newline="")
        self.writer = csv.writer(self.file, lineterminator="\n")
        self.write([header])

    def write(self, rows: list[list]) -> None:
        """Append rows; raises Refused, for example if the disk is full."""
        with self._plain_words():
            self.writer.writerows(rows)

    def finish(self) -> None:
        """Give the file its name, in place of an older one; raises Refused."""
        with self._plain_words():
            self.file.flush()
            os.fsync(self.file.fileno())
            self.file.close()
            self.beside.replace(self.path)

    def discard(self) -> None:
        """Remove what was written, unless it is finished."""
        with contextlib.suppress(OSError):  # such as a full disk, of which the caller knows
            self.file.close()
        self.beside.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _plain_words(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise Refused(f"{self.path}: can't be written ({error.strerror or error}). Give another output.") from None
