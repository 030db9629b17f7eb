"""What a Spark worker does with the rows it is given, batch by batch.

``mapInArrow`` is ``mapInPandas`` without the pandas frames in between: the key columns keep their types.
"""

from collections.abc import Callable, Iterator

import batch
import pyarrow as pa
from lines import clean, parse
from pyspark import SparkFiles
from rows import inputs_and_faults

Batches = Iterator[pa.RecordBatch]


def table_of(rows: pa.RecordBatch, header: list[str] | None) -> tuple[pa.Table, dict[int, str]]:
    """Return a batch as a table, and what is malformed in it. With a header its only column are the lines of a CSV."""
    if header is None:
        return pa.Table.from_batches([rows]), {}
    return parse([clean(line) for line in rows.column(0).to_pylist()], header)


def scorer(model: str, header: list[str] | None, keys: list[str], outputs: list[str]) -> Callable[[Batches], Batches]:
    """Return a function that gives keys and predictions of the good rows; ``model`` is its name among Spark's files."""

    def score(batches: Batches) -> Batches:
        loaded = batch.load(SparkFiles.get(model))
        for rows in batches:
            good, _ = batch.score(loaded, *table_of(rows, header), keys, outputs)
            yield from good.to_batches()

    return score


def rejecter(header: list[str] | None, inputs: list[str]) -> Callable[[Batches], Batches]:
    """Return a function that gives the bad rows as they are, each after its reason."""

    def reject(batches: Batches) -> Batches:
        for rows in batches:
            table, malformed = table_of(rows, header)
            faults = inputs_and_faults(table, inputs)[1] | malformed
            if bad := sorted(faults):
                columns = [pa.array([faults[row] for row in bad]), *rows.take(pa.array(bad)).columns]
                yield from pa.table(columns, ["reason", *rows.schema.names]).to_batches()

    return reject
