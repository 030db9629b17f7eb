"""Load a model in this clean process and predict one row some times; print [median time of a call in seconds, problem].

python try_model.py models:/wind_solar/3 row.parquet
"""

import json
import statistics
import sys
import tempfile
import time

import mlflow
import pandas as pd

from forecasting.errors import first_line

times, problem = [0.0], ""
try:
    with tempfile.TemporaryDirectory() as folder:
        model = mlflow.pyfunc.load_model(sys.argv[1], dst_path=folder)
    row = pd.read_parquet(sys.argv[2])
    row = row[model.metadata.get_input_schema().input_names()] if model.metadata.signature else row
    model.predict(row)  # the first one warms up
    for _ in range(15):
        begun = time.perf_counter()
        model.predict(row)
        times.append(time.perf_counter() - begun)
except Exception as error:  # a model is code from outside, and may raise anything
    problem = first_line(error)
print(f"\n{json.dumps([statistics.median(times), problem])}")
