"""A step that starts at once, since it talks to the tracking server without MLflow, and does what a test orders.

An order is a file NAME.ORDER in the folder of the environment variable ORDERS: fail, hang, or meet (another step).
"""

import json
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

name, word, inputs = sys.argv[1:]
orders = Path(os.environ["ORDERS"])


def tag(key: str, value: str) -> None:
    body = json.dumps({"run_id": os.environ["MLFLOW_RUN_ID"], "key": key, "value": value}).encode()
    url = os.environ["MLFLOW_TRACKING_URI"] + "/api/2.0/mlflow/runs/set-tag"
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    urllib.request.urlopen(request, timeout=30).close()


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 30
    while not path.exists():
        if time.monotonic() > deadline:
            sys.exit(f"{name}: {path.name} did not come")
        time.sleep(0.02)


(orders / f"{name}.began").touch()
if (orders / f"{name}.meet").exists():
    wait_for(orders / (orders / f"{name}.meet").read_text())
if (orders / f"{name}.hang").exists():
    deep = f"import pathlib, time; pathlib.Path({str(orders / name)!r} + '.deep').touch(); time.sleep(600)"
    subprocess.run([sys.executable, "-c", deep], check=False)
if (orders / f"{name}.fail").exists():
    tag("error", f"{name} was told to fail")
    sys.exit(1)
tag("made", (Path(__file__).parents[2] / "input.txt").read_text().lower())
print(f"{name} says {word}")
