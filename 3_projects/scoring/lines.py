"""CSV lines as text columns, and what is malformed in a line. Both engines use it, so both read a file in one way.

A row is a line: a value with a line break in it, even a quoted one, is malformed.
"""

import csv
import io

import pyarrow as pa
from pyarrow import csv as arrow_csv
from rows import ScoringError


def cells(line: str) -> list[str] | None:
    """Return the values of a line, None if its quotation marks or line breaks are not where they belong."""
    try:
        (row,) = csv.reader([line], strict=True, skipinitialspace=True)
        return row
    except (csv.Error, ValueError):
        return None


def parse_header(line: str, path: str) -> list[str]:
    """Return the names of the columns; raises ScoringError if the line can't be the header of a CSV."""
    names = [name.strip() for name in cells(clean(line)) or []]
    if not any(names):
        raise ScoringError(f"{path}: expected a header with the names of the columns, found none. Export it again.")
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ScoringError(f"{path}: expected each column once, found {twice[0]!r} more than once. Name each once.")
    return names


def clean(line: str) -> str:
    """Return a line without the marks at its ends that are no part of it: line break and byte order mark."""
    return line.removesuffix("\n").removesuffix("\r").removeprefix("\ufeff")


def parse(lines: list[str], names: list[str]) -> tuple[pa.Table, dict[int, str]]:
    """Return the lines as a table of text columns, null where a value is empty, and for each malformed line why.

    The lines have no line break at the end and are not empty. A malformed one has a row of nulls in the table.
    """
    faults, good, nothing = {}, [], "," * (len(names) - 1)
    for number, line in enumerate(lines):
        found = line.count(",") + 1
        if '"' in line or "\r" in line:
            row = cells(line)
            if row is None:
                faults[number] = "expected each quotation mark to be closed at the end of its value, found another one"
                good.append(nothing)
                continue
            found, line = len(row), ",".join('"' + cell.replace('"', '""') + '"' for cell in row)
        if found != len(names):
            faults[number] = f"expected {len(names)} values, as many as the header has, found {found}"
            line = nothing
        good.append(line)
    text = "\n".join(good).encode() + b"\n"
    table = arrow_csv.read_csv(
        io.BytesIO(text),
        read_options=arrow_csv.ReadOptions(column_names=names, block_size=len(text)),
        parse_options=arrow_csv.ParseOptions(ignore_empty_lines=False),
        convert_options=arrow_csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), null_values=[""], strings_can_be_null=True
        ),
    )
    return table, faults
