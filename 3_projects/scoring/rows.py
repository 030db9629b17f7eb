"""What is done with a piece of the rows: parse it, set bad rows aside, predict the others.

Both engines use these functions, so both read the same numbers and set the same rows aside. Spark ships this file to
its workers, so it imports nothing that the workers' ``python_env.yaml`` does not list.

A row is bad if a column that the model takes has no finite number in it, or if its line of a CSV is malformed. A value
with a line break in it, even a quoted one, is malformed.
"""

import csv
import functools
from collections.abc import Iterator

import mlflow
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from mlflow.pyfunc import PyFuncModel
from pyarrow import types

LARGEST = 1e30  # every model.py refuses what is larger, because a float32 in a model would soon overflow
NUMBER = r"^-?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"


@functools.cache
def load(folder: str) -> PyFuncModel:
    """Return the model in a folder, loaded once by each process."""
    return mlflow.pyfunc.load_model(folder)


def cells(line: str) -> list[str] | None:
    """Return the values of a line of a CSV; None if its quotation marks or line breaks are not where they belong."""
    try:
        (row,) = csv.reader([line], strict=True, skipinitialspace=True)
        return row
    except (csv.Error, ValueError):
        return None


def parse(lines: list[str], names: list[str]) -> tuple[pa.Table, dict[int, str]]:
    """Return lines of a CSV as a table of text columns, and for each malformed line why, by its place.

    The lines have no line break at their end and are not empty. An empty value is null, and so is all of a malformed
    line.
    """
    rows, faults = [], {}
    for place, line in enumerate(lines):
        row = cells(line)
        if row is None:
            faults[place] = "expected each quotation mark to be closed at the end of its value, found another one"
        elif len(row) != len(names):
            faults[place] = f"expected {len(names)} values, as many as the header has, found {len(row)}"
        rows.append([None] * len(names) if place in faults else [value or None for value in row])
    return pa.table([pa.array(column, pa.string()) for column in zip(*rows, strict=True)], names), faults


def table_of(batch: pa.RecordBatch, header: list[str] | None) -> tuple[pa.Table, dict[int, str]]:
    """Return Spark's rows as a table, and the malformed ones; with a header, they are the lines of a CSV."""
    return parse(batch.column(0).to_pylist(), header) if header else (pa.Table.from_batches([batch]), {})


def is_text(kind: pa.DataType) -> bool:
    """Return whether a column of this type holds text."""
    return types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)


def to_numbers(column: pa.ChunkedArray) -> np.ndarray:
    """Return a column as float64, NaN where there is no number. Text is read as the nearest double."""
    if is_text(column.type):
        text = pc.utf8_trim_whitespace(column)
        column = pc.if_else(pc.match_substring_regex(text, NUMBER), text, None)
    return column.cast(pa.float64(), safe=False).to_numpy()


def shown(value) -> str:
    """Return a value as a reason shows it: shortened, without control characters."""
    if value is None or value != value or not str(value).strip():
        return "none"
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 40 else f"{text[:40]}..."


def inputs_and_faults(table: pa.Table, inputs: list[str]) -> tuple[np.ndarray, dict[int, str]]:
    """Return the model's inputs as float64, shape (rows, inputs), and for each bad row why, by its place."""
    values = np.empty((len(table), len(inputs)), order="F")
    faults = {}
    for position, name in enumerate(inputs):
        column = table.column(name)
        values[:, position] = to_numbers(column)
        for row in np.flatnonzero(~(np.abs(values[:, position]) < LARGEST)).tolist():
            faults.setdefault(row, f"expected a number in {name}, found {shown(column[row].as_py())}")
    return values, faults


def score(
    model: PyFuncModel, table: pa.Table, malformed: dict[int, str], keys: list[str], outputs: list[str]
) -> tuple[pa.Table, dict[int, str]]:
    """Return keys and predictions (float64) of the good rows in their order, and for each bad row why, by its place.

    ``malformed`` are the bad rows that are known already.
    """
    schema = model.metadata.get_input_schema()
    inputs = schema.input_names()
    values, faults = inputs_and_faults(table, inputs)
    faults |= malformed
    good = np.ones(len(table), dtype=bool)
    good[list(faults)] = False
    scored, predicted = table.select(keys).filter(pa.array(good)), pd.DataFrame(columns=outputs, dtype=float)
    if good.any():
        rows = pd.DataFrame(values[good], columns=inputs)
        predicted = model.predict(rows.astype(dict(zip(inputs, schema.numpy_types(), strict=True))))
    for name in outputs:
        scored = scored.append_column(pa.field(name, pa.float64()), pa.array(predicted[name].to_numpy(dtype=float)))
    return scored, faults


def good_rows(
    batches: Iterator[pa.RecordBatch], folder: str, header: list[str] | None, keys: list[str], outputs: list[str]
) -> Iterator[pa.RecordBatch]:
    """Yield what ``score`` makes of Spark's good rows; ``folder`` has the model."""
    for batch in batches:
        yield from score(load(folder), *table_of(batch, header), keys, outputs)[0].to_batches()


def bad_rows(
    batches: Iterator[pa.RecordBatch], header: list[str] | None, inputs: list[str]
) -> Iterator[pa.RecordBatch]:
    """Yield Spark's bad rows as they are, each after its reason."""
    for batch in batches:
        table, malformed = table_of(batch, header)
        faults = inputs_and_faults(table, inputs)[1] | malformed
        if places := sorted(faults):
            columns = [pa.array([faults[place] for place in places]), *batch.take(pa.array(places)).columns]
            yield pa.record_batch(columns, ["reason", *batch.schema.names])
