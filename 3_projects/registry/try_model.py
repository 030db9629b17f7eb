"""Load a model in this clean process and predict one row some times; print as JSON how long that takes, or why not.

python try_model.py models:/wind_solar/3 row.parquet
"""

import json
import statistics
import sys
import tempfile
import time

CALLS = 15


def main() -> None:
    """Print {"seconds": the median time of one prediction} or {"problem": the reason in one line}."""
    import mlflow
    import pandas as pd

    try:
        with tempfile.TemporaryDirectory() as folder:
            model = mlflow.pyfunc.load_model(sys.argv[1], dst_path=folder)
        row = pd.read_parquet(sys.argv[2])
        row = row[model.metadata.get_input_schema().input_names()] if model.metadata.signature else row
        model.predict(row)  # the first one warms up
        times = []
        for _ in range(CALLS):
            begun = time.perf_counter()
            model.predict(row)
            times.append(time.perf_counter() - begun)
    except Exception as error:  # a model is code from outside, and may raise anything
        result = {"problem": next(iter((str(error) or type(error).__name__).splitlines()), "")}
    else:
        result = {"seconds": statistics.median(times)}
    print(f"\n{json.dumps(result)}")


if __name__ == "__main__":
    main()
