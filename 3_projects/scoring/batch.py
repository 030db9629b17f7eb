"""Score a batch of rows: the columns that the model doesn't take, and beside them what it predicts.

Both engines use it; Spark ships it to its workers.
"""

import functools

import mlflow
import numpy as np
import pandas as pd
import pyarrow as pa
from mlflow.pyfunc import PyFuncModel
from rows import ScoringError, inputs_and_faults


@functools.cache
def load(folder: str) -> PyFuncModel:
    """Return the model in a folder, loaded once by each process."""
    return mlflow.pyfunc.load_model(folder)


def keys_of(names: list[str], inputs: list[str], outputs: list[str]) -> list[str]:
    """Return the columns that are copied: those that the model neither takes nor predicts."""
    return [name for name in names if name not in inputs and name not in outputs]


def score(
    model: PyFuncModel, table: pa.Table, faults: dict[int, str], keys: list[str], outputs: list[str]
) -> tuple[pa.Table, dict[int, str]]:
    """Return keys and predictions (float64) of the good rows in their order, and what is wrong with the bad ones.

    ``faults`` are those that are known already, by the row's place in the table.
    """
    schema = model.metadata.get_input_schema()
    inputs = schema.input_names()
    values, found = inputs_and_faults(table, inputs)
    faults = found | faults
    scored = table.select(keys)
    if faults:
        good = np.ones(len(table), dtype=bool)
        good[list(faults)] = False
        values, scored = values[good], scored.filter(pa.array(good))
    if len(values):
        rows = pd.DataFrame(values, columns=inputs).astype(dict(zip(inputs, schema.numpy_types(), strict=True)))
        predicted = model.predict(rows)
        columns = [predicted[name].to_numpy(dtype=float) for name in outputs]
    else:
        columns = [np.empty(0)] * len(outputs)
    for name, column in zip(outputs, columns, strict=True):
        scored = scored.append_column(pa.field(name, pa.float64()), pa.array(column))
    return scored, faults


def check_signature(model: PyFuncModel, title: str) -> tuple[list[str], list[str]]:
    """Return the names of the columns that the model takes and gives; raises ScoringError if it states none."""
    inputs, outputs = model.metadata.get_input_schema(), model.metadata.get_output_schema()
    if not (inputs and inputs.has_input_names() and outputs and outputs.has_input_names()):
        raise ScoringError(
            f"{title}: expected a signature with named input and output columns, found none. Log it with one."
        )
    if odd := [column.name for column in inputs.inputs if np.dtype(column.type.to_numpy()).kind != "f"]:
        raise ScoringError(f"{title}: expected floating-point input columns, found {odd[0]} of another type.")
    return inputs.input_names(), outputs.input_names()
