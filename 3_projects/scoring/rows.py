"""What a bad row is: one that has no finite number in a column that the model takes.

Pure functions of Arrow tables. Both engines use them, so both set the same rows aside and read the same numbers.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

LARGEST = 1e30  # every model.py refuses what is larger, as a float32 in a model would soon overflow


class ScoringError(Exception):
    """What a person has to mend; the message names it, what was expected, what was found, and what to do."""


def is_text(kind: pa.DataType) -> bool:
    """Return whether a column of this type holds text."""
    return types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)


def check_columns(schema: pa.Schema, inputs: list[str], path: str) -> None:
    """Raise ScoringError unless the rows of a file have each input column of the model once, as numbers or as text."""
    if missing := [name for name in inputs if name not in schema.names]:
        raise ScoringError(
            f"{path}: expected the column{'s' * (len(missing) > 1)} {', '.join(missing)}, which the model takes; found "
            f"{', '.join(schema.names)}. Give rows with the features of 3_projects/data, as its table.parquet has them."
        )
    for name in inputs:
        if schema.names.count(name) > 1:
            raise ScoringError(f"{path}: expected the column {name} once, found it more than once. Name each once.")
        kind = schema.field(name).type
        number = types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind)
        if not (number or is_text(kind)):
            raise ScoringError(f"{path}: expected numbers in the column {name}, found {kind}. Convert the column.")


def to_number(text: str | None) -> float | None:
    """Return the number that a text says, None if it says none."""
    try:
        return pa.scalar(text, pa.string()).cast(pa.float64()).as_py()
    except pa.ArrowInvalid:
        return None


def to_numbers(column: pa.ChunkedArray) -> np.ndarray:
    """Return a column as float64, NaN where there is no number. Text is read as the nearest double."""
    if is_text(column.type):
        text = pc.utf8_trim_whitespace(column)
        try:
            column = text.cast(pa.float64())
        except pa.ArrowInvalid:  # one of them is no number: look at each
            column = pa.chunked_array([[to_number(value) for value in text.to_pylist()]], pa.float64())
    return column.cast(pa.float64(), safe=False).to_numpy()


def shown(value) -> str:
    """Return a value as a reason shows it: shortened, without control characters."""
    if value is None or value != value or not str(value).strip():
        return "none"
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 40 else f"{text[:40]}..."


def inputs_and_faults(table: pa.Table, inputs: list[str]) -> tuple[np.ndarray, dict[int, str]]:
    """Return the inputs of the model as an array of float64 (rows, columns), and for each bad row what is wrong."""
    values = np.empty((len(table), len(inputs)), order="F")
    faults = {}
    for position, name in enumerate(inputs):
        column = table.column(name)
        values[:, position] = to_numbers(column)
        for row in np.flatnonzero(~(np.abs(values[:, position]) < LARGEST)).tolist():
            faults.setdefault(row, f"expected a number in {name}, found {shown(column[row].as_py())}")
    return values, faults
