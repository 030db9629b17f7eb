"""Log a run over plain HTTP, without MLflow, as a service in another language would; show each call as curl.

    python 2_tracking/rest_api.py
    python 2_tracking/rest_api.py --experiment rest_api --server http://127.0.0.1:5000

The MLflow library is one client of the MLflow server, not the only one. Everything that it does with runs is a request
with a bit of JSON. A program in Java, R or Go sends the same. Each request is printed as a curl command before its
answer. Copy one into a terminal, and it does the same again.

Files and models are the exception: they don't pass through the MLflow server. The answer to runs/create says where the
artifacts of the run belong (`artifact_uri`), and any FTP client puts them there.

The requests are described at https://mlflow.org/docs/latest/rest-api.html.
"""

import argparse
import json
import os
import shlex
import sys
import time

import requests


class RestError(Exception):
    """The server refused a request, or was not there; the message says so in a sentence."""

    def __init__(self, message: str, code: str = ""):
        """Keep MLflow's error code, such as RESOURCE_DOES_NOT_EXIST."""
        super().__init__(message)
        self.code = code


class Api:
    """The requests to one MLflow server, each printed as it is made."""

    def __init__(self, server: str):
        """Take the address of the server, such as http://127.0.0.1:5000."""
        self.root = f"{server.rstrip('/')}/api/2.0/mlflow"

    def get(self, path: str, **query: str) -> dict:
        """Ask for something; raises RestError."""
        return self._call(requests.Request("GET", f"{self.root}/{path}", params=query))

    def post(self, path: str, **body) -> dict:
        """Have something made or changed; raises RestError."""
        return self._call(requests.Request("POST", f"{self.root}/{path}", json=body))

    def _call(self, request: requests.Request) -> dict:
        prepared = request.prepare()
        print(f"\n{curl(prepared)}")
        try:
            with requests.Session() as session:
                answer = session.send(prepared, timeout=30)
        except requests.RequestException as error:
            raise RestError(
                f"{self.root.split('/api/')[0]} does not answer ({type(error).__name__}). Is the address right, and "
                "does the server run? Start it with: python workshop.py servers"
            ) from None
        try:
            content = answer.json()
        except ValueError:
            raise RestError(f"Expected JSON from {request.url}, found: {answer.text[:80]!r}") from None
        print(f"# {answer.status_code}  {short(content)}")
        if answer.ok:
            return content
        raise RestError(content.get("message", answer.text), content.get("error_code", ""))


def curl(request: requests.PreparedRequest) -> str:
    """Return the command that makes the same request from a terminal."""
    command = ["curl", "--silent", "--show-error"]
    if request.body:
        command += ["--header", "Content-Type: application/json", "--data", request.body.decode()]
    return shlex.join([*command, request.url])


def short(content: dict, most: int = 300) -> str:
    """Return an answer in one line; what is cut off is seen by typing the command."""
    text = json.dumps(content)
    return text if len(text) <= most else f"{text[:most]} ..."


def now() -> int:
    """Return the time as the server wants it, in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def experiment_of(api: Api, name: str) -> str:
    """Return the id of the experiment, which is made if it is not there."""
    try:
        return api.get("experiments/get-by-name", experiment_name=name)["experiment"]["experiment_id"]
    except RestError as error:
        if error.code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return api.post("experiments/create", name=name)["experiment_id"]


def main(api: Api, experiment_name: str, run_name: str) -> None:
    """Create a run, log to it, tag it, search for it, and finish it."""
    print("1. The experiment: ask for it by its name; make it if there is none.", end="")
    experiment = experiment_of(api, experiment_name)

    print("\n2. Create a run. The answer has its id, which all that follows needs.", end="")
    run = api.post("runs/create", experiment_id=experiment, run_name=run_name, start_time=now())["run"]["info"]
    try:
        print("\n3. Log a parameter. Its value is text.", end="")
        api.post("runs/log-parameter", run_id=run["run_id"], key="max_depth", value="10")

        print("\n4. Log a metric: a number, a time, and a step if there is more than one.", end="")
        for step, value in enumerate((3.1, 2.4, 2.2)):
            api.post("runs/log-metric", run_id=run["run_id"], key="mae", value=value, timestamp=now(), step=step)

        print("\n5. Many at once take one request.", end="")
        api.post(
            "runs/log-batch",
            run_id=run["run_id"],
            params=[{"key": "n_estimators", "value": "64"}],
            metrics=[
                {"key": "rmse", "value": 3.0, "timestamp": now(), "step": 0},
                {"key": "r2", "value": 0.8, "timestamp": now(), "step": 0},
            ],
        )

        print("\n6. Tag it.", end="")
        api.post("runs/set-tag", run_id=run["run_id"], key="written_by", value="rest_api")

        print("\n7. Search: the best run with that tag. The filter is the one of search_runs.", end="")
        found = api.post(
            "runs/search",
            experiment_ids=[experiment],
            filter='tags.written_by = "rest_api" and metrics.mae < 3',
            order_by=["metrics.mae ASC", "attributes.start_time DESC"],
            max_results=1,
        )["runs"]

        print("\n8. The values that the metric had. The run itself keeps the last one.", end="")
        api.get("metrics/get-history", run_id=run["run_id"], metric_key="mae")
    except RestError:
        api.post("runs/update", run_id=run["run_id"], status="FAILED", end_time=now())
        raise

    print("\n9. Finish it. Until then it counts as running.", end="")
    api.post("runs/update", run_id=run["run_id"], status="FINISHED", end_time=now())

    print(f"\nThe run {run['run_id']} is finished; the search found {found[0]['info']['run_id']}.")
    print(f"See it at {api.root.split('/api/')[0]}/#/experiments/{experiment}/runs/{run['run_id']}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Log a run over plain HTTP, and show each request as a curl command.")
    parser.add_argument(
        "--server",
        default=os.environ.get("MLFLOW_TRACKING_URI"),
        metavar="URL",
        help="address of the MLflow server (default: MLFLOW_TRACKING_URI)",
    )
    parser.add_argument("--experiment", default="rest_api", metavar="NAME", help="default: %(default)s")
    parser.add_argument("--run-name", default="by-http", metavar="NAME", help="default: %(default)s")
    options = parser.parse_args()
    if not (options.server or "").startswith(("http://", "https://")):
        sys.exit(
            f"rest_api: Expected the server's address, such as http://127.0.0.1:5000, found {options.server!r}. "
            "Set MLFLOW_TRACKING_URI, or add --server"
        )
    try:
        main(Api(options.server), options.experiment, options.run_name)
    except RestError as error:
        sys.exit(f"rest_api: {error}")
