"""Load models in this clean process, one after the other: what they predict for rows, and how quickly for one.

    python -P try_models.py FOLDER models:/wind_solar/3 models:/m-1f00a2 ...

FOLDER/rows.parquet has the rows, and says which targets they are judged in. Of the first model, 0.parquet becomes what
it predicts, and then 0.json the names of its columns, its seconds for a row, and its problem.
"""

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import mlflow
import pandas as pd

from forecasting.errors import first_line

CALLS = 7  # for one row; the median counts


def load(uri: str) -> mlflow.pyfunc.PyFuncModel:
    """Return a model; the next one has to do without the code that this one brings along."""
    places = [*sys.path]
    with tempfile.TemporaryDirectory() as folder:
        try:
            return mlflow.pyfunc.load_model(uri, dst_path=folder)
        finally:
            sys.path[:] = places
            for name, module in list(sys.modules.items()):
                if str(getattr(module, "__file__", "")).startswith(folder):
                    del sys.modules[name]


def try_model(uri: str, rows: pd.DataFrame, path: Path) -> dict:
    """Write what a model predicts to a path, and return the rest; whatever it raises becomes its problem."""
    about, targets = {"inputs": None, "outputs": None, "seconds": 0.0, "problem": ""}, rows.attrs["targets"]
    try:
        model = load(uri)
        if signature := model.metadata.signature:
            about["inputs"] = signature.inputs.input_names()
            about["outputs"] = signature.outputs.input_names() if signature.outputs else None
        if missing := [name for name in about["inputs"] or [] if name not in rows.columns]:
            raise ValueError(f"the table has no column {', '.join(missing)}")
        rows = rows[about["inputs"] or list(rows.columns)]
        values = model.predict(rows)
        if not isinstance(values, pd.DataFrame) or len(values) != len(rows):
            raise ValueError("it does not predict a frame with a row for each row")
        if missing := [target for target in targets if target not in values.columns]:
            raise ValueError(f"it does not predict {', '.join(missing)}")
        values[targets].astype(float).set_axis(rows.index).to_parquet(path)
        times = []
        for _ in range(1 + CALLS):
            begun = time.perf_counter()
            model.predict(rows[:1])
            times.append(time.perf_counter() - begun)
        about["seconds"] = statistics.median(times[1:])  # the first one warms up
    except Exception as error:  # a model is code from outside, and may raise anything
        about["problem"] = first_line(error)
    return about


def main(arguments: Sequence[str]) -> None:
    """Try the models that have no result yet."""
    folder, *uris = arguments
    rows = pd.read_parquet(Path(folder, "rows.parquet"))
    for place, uri in enumerate(uris):
        result = Path(folder, f"{place}.json")
        if not result.exists():
            about = try_model(uri, rows, result.with_suffix(".parquet"))
            result.write_text(json.dumps(about), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
