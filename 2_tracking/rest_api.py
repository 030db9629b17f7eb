"""Log a run over plain HTTP, without MLflow, as a service in another language would; show each call as curl.

    python 2_tracking/rest_api.py

The MLflow library is one client of the MLflow server, not the only one. Everything that it does with runs is a request
with a bit of JSON. A program in Java, R or Go sends the same. Each request is printed as a curl command before its
answer. Copy one into a terminal, and it does the same again.

Files and models are the exception: they don't pass through the MLflow server. The answer to runs/create says where the
artifacts of the run belong (`artifact_uri`), and any FTP client puts them there.

The requests are described at https://mlflow.org/docs/latest/rest-api.html.
"""

import json
import os
import shlex
import sys
import time

import requests

server = os.environ.get("MLFLOW_TRACKING_URI", "").rstrip("/")
if not server.startswith(("http://", "https://")):
    sys.exit(f"rest_api: Expected MLFLOW_TRACKING_URI to be an address such as http://127.0.0.1:5000, found {server!r}")


def call(method: str, path: str, **content) -> dict:
    """Print a request, send it, and return the answer; an answer that is not JSON ends the program."""
    named = {"params": content} if method == "GET" else {"json": content}
    request = requests.Request(method, f"{server}/api/2.0/mlflow/{path}", **named).prepare()
    body = ["--header", "Content-Type: application/json", "--data", request.body.decode()] if request.body else []
    print(shlex.join(["curl", "--silent", "--show-error", *body, request.url]))
    try:
        answer = requests.Session().send(request, timeout=30)
        print(f"# {answer.status_code}  {json.dumps(answer.json())[:300]}")
        return answer.json()
    except requests.RequestException as error:  # also for what is not JSON
        sys.exit(f"rest_api: {server} does not answer as MLflow does ({type(error).__name__}). Does the server run?")


def now() -> int:
    """Return the time as the server wants it, in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


print("1. Ask for the experiment by its name; create it if there is none.")
answer = call("GET", "experiments/get-by-name", experiment_name="rest_api")
experiment = (answer.get("experiment") or call("POST", "experiments/create", name="rest_api"))["experiment_id"]

print("\n2. Create a run. The answer has its id, which all that follows needs.")
answer = call("POST", "runs/create", experiment_id=experiment, run_name="by-http", start_time=now())
run = answer["run"]["info"]["run_id"]

print("\n3. Log a parameter, as text, and a metric: a number, a time, and a step if there is more than one.")
call("POST", "runs/log-parameter", run_id=run, key="max_depth", value="10")
for step, value in enumerate((3.1, 2.4, 2.2)):
    call("POST", "runs/log-metric", run_id=run, key="mae", value=value, timestamp=now(), step=step)

print("\n4. Many at once take one request.")
metrics = [{"key": key, "value": value, "timestamp": now(), "step": 0} for key, value in (("rmse", 3.0), ("r2", 0.8))]
call("POST", "runs/log-batch", run_id=run, params=[{"key": "n_estimators", "value": "64"}], metrics=metrics)

print("\n5. Tag it, and finish it. Until then it counts as running.")
call("POST", "runs/set-tag", run_id=run, key="written_by", value="rest_api")
call("POST", "runs/update", run_id=run, status="FINISHED", end_time=now())

print("\n6. Search: the newest run with that tag. The filter is the one of search_runs.")
query = {"filter": 'tags.written_by = "rest_api" and metrics.mae < 3', "order_by": ["attributes.start_time DESC"]}
match = call("POST", "runs/search", experiment_ids=[experiment], max_results=1, **query)

print("\n7. The values that the metric had. The run itself keeps the last one.")
call("GET", "metrics/get-history", run_id=run, metric_key="mae")

print(f"\nThe run {run} is finished; the search found {match['runs'][0]['info']['run_id']}.")
print(f"See it at {server}/#/experiments/{experiment}/runs/{run}")
