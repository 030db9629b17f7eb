import os
import re
import shutil
import subprocess
import sys

import mlflow
import pandas as pd
import pytest

CODE = """
import sys
import mlflow
import pandas as pd
from pyspark.sql import SparkSession

rows = pd.read_parquet(sys.argv[1])
session = (
    SparkSession.builder.master("local[2]")
    .config("spark.driver.host", "127.0.0.1")
    .config("spark.sql.session.timeZone", "UTC")
    .config("spark.ui.enabled", "false")
    .getOrCreate()
)
score = mlflow.pyfunc.spark_udf(session, "models:/wind_solar@production", env_manager="local", result_type=None)
frame = session.createDataFrame(rows.reset_index(drop=True))
scored = frame.withColumn("power", score(*[frame[name] for name in rows.columns])).select("power.*")
scored.toPandas().to_parquet(sys.argv[2])
session.stop()
"""


def java() -> int:
    """Return the version of the Java on the PATH, 0 if there is none."""
    if shutil.which("java") is None:
        return 0
    said = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False, timeout=60).stderr
    return int(re.search(r'version "(\d+)', said)[1])


def test_spark_gives_the_same_numbers_as_pandas(workflow, tmp_path):
    if java() < 17:
        reason = "Spark needs Java 17 or newer on the PATH"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    model = mlflow.pyfunc.load_model("models:/wind_solar@production")
    data = mlflow.search_runs(
        search_all_experiments=True,
        filter_string="tags.step = 'data' and status = 'FINISHED'",
        order_by=["tags.used_at DESC"],
        output_format="list",
    )[0]
    table = pd.read_parquet(mlflow.artifacts.download_artifacts(run_id=data.info.run_id, artifact_path="table.parquet"))
    rows = table[model.metadata.get_input_schema().input_names()].tail(500)
    rows.to_parquet(tmp_path / "rows.parquet")
    done = subprocess.run(
        [sys.executable, "-c", CODE, tmp_path / "rows.parquet", tmp_path / "scored.parquet"],
        cwd=tmp_path,
        env={**os.environ, "PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    scored = pd.read_parquet(tmp_path / "scored.parquet")
    # A network predicts batches of another size with other roundings in float32.
    pd.testing.assert_frame_equal(
        scored.astype(float), model.predict(rows).reset_index(drop=True).astype(float), rtol=1e-4, atol=1e-4
    )
