"""How fast the dashboard is for 20 viewers at once, beside one that computes everything anew for each of them.

    python benchmarks/dashboard.py
    python benchmarks/dashboard.py --data CSV --viewers 40

It starts the servers, makes the table of the whole CSV, puts a linear regression into production, and serves the pages
by dashboard/serve.py, all on free ports with an empty folder. What is measured:

- the time from the address to a page that can be read and used (heading and controls), and to one whose figures are
  drawn, in a browser that has nothing in its cache, beside a bare page of Dash with one line of two points;
- how long the server takes for a change of the range of dates, with a number of viewers who ask one thing after the
  other without a pause, as the time until the last byte is there. The ranges are drawn by lot, most of them new;
- the memory of the server before and after 2,000 such changes.

The other dashboard has one page with the same lines and measures, made by pandas and plotly for every answer, hour by
hour, as they come out of their tutorials. Load and server share this machine.
"""

import argparse
import http.client
import json
import os
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path

import psutil
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "server"))

from processes import child_environment, process  # noqa: E402  (they are found in the folder just named)
from servers import get, servers  # noqa: E402

REQUESTS = 2000  # after which the memory is looked at again
ROUNDS = 5  # of each page
PLAIN = """
import sys
import dash, pandas as pd, plotly.graph_objects as go, waitress
from dash import Input, Output, dcc, html
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error
table = pd.read_parquet(sys.argv[1])
app = dash.Dash()
app.layout = html.Div([dcc.DatePickerRange(id="dates"), html.Div(id="out")])
@app.callback(Output("out", "children"), Input("dates", "start_date"), Input("dates", "end_date"))
def show(start, end):
    rows, parts = table.loc[start:end], []
    for target in ("solar_GW", "wind_GW"):
        recorded, predicted = rows[target], rows["predicted_" + target]
        figure = go.Figure([go.Scatter(x=rows.index, y=recorded), go.Scatter(x=rows.index, y=predicted)])
        figure.add_scatter(x=rows.index, y=predicted - recorded)
        cloud = go.Figure([go.Scatter(x=recorded, y=predicted, mode="markers")])
        daily = (table["predicted_" + target] - table[target]).abs().resample("D").mean()
        calendar = go.Figure([go.Heatmap(x=daily.index.isocalendar().week, y=daily.index.dayofweek, z=daily)])
        words = [f(recorded, predicted) for f in (mean_absolute_error, root_mean_squared_error, r2_score)]
        parts += [dcc.Graph(figure=figure), dcc.Graph(figure=cloud), dcc.Graph(figure=calendar), html.P(str(words))]
    return parts
waitress.serve(app.server, host="127.0.0.1", port=int(sys.argv[2]), threads=8)
"""
BARE = """
import sys
import dash, plotly.graph_objects as go, waitress
app = dash.Dash()
app.layout = dash.html.Div([dash.html.H1("bare"), dash.dcc.Graph(figure=go.Figure(go.Scatter(x=[1, 2], y=[1, 2])))])
waitress.serve(app.server, host="127.0.0.1", port=int(sys.argv[1]), threads=8)
"""


def free_port() -> int:
    """Return a port on which nothing listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def prepare(csv: Path, env: dict) -> None:
    """Make the table of the CSV and put a model into production."""
    steps = [["3_projects/data", "-P", f"csv={csv}"], ["3_projects/lr"], ["3_projects/registry"]]
    steps.append(["3_projects/registry", "-e", "approve", "-P", "auto=true"])
    for step in steps:
        command = [sys.executable, "-m", "mlflow", "run", *step, "--env-manager", "local"]
        done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{' '.join(step)} failed:\n{done.stdout}{done.stderr}")


def request_of(port: int, output: str) -> Callable[[date, date], bytes]:
    """Return a function that makes the body with which a browser asks for a range, for the callback with an output."""
    callbacks = json.loads(get(f"http://127.0.0.1:{port}/_dash-dependencies"))
    found = next(callback for callback in callbacks if output in callback["output"])
    name = found["output"]
    pairs = [part.rsplit(".", 1) for part in name.strip(".").split("...")]
    outputs = [{"id": id, "property": property} for id, property in pairs]

    def body(first: date, last: date) -> bytes:
        values = {
            "url.search": f"?from={first}&to={last}",
            "url.pathname": "/predictions",
            "dates.start_date": str(first),
            "dates.end_date": str(last),
        }

        def filled(parts: list[dict]) -> list[dict]:
            return [part | {"value": values.get(f"{part['id']}.{part['property']}")} for part in parts]

        asked = {
            "output": name,
            "outputs": outputs if len(outputs) > 1 else outputs[0],
            "inputs": filled(found["inputs"]),
            "state": filled(found["state"]),
            "changedPropIds": ["{id}.{property}".format(**found["inputs"][0])],
        }
        return json.dumps(asked).encode()

    return body


def change(connection: http.client.HTTPConnection, body: bytes) -> float:
    """Return how many seconds an answer takes."""
    start = time.perf_counter()
    connection.request("POST", "/_dash-update-component", body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    content = answer.read()
    if answer.status != 200 or len(content) < 5000:
        sys.exit(f"the dashboard answered {answer.status}: {content[:300]!r}")
    return time.perf_counter() - start


def load(port: int, output: str, days: tuple[date, date], viewers: int, changes: int, pause: float) -> list[float]:
    """Return the seconds of all answers, in order of size, when viewers change their range at the same time."""
    body, ready = request_of(port, output), threading.Barrier(viewers)
    span = (days[1] - days[0]).days

    def view(number: int) -> list[float]:
        lot, connection, found = random.Random(number), http.client.HTTPConnection("127.0.0.1", port), []
        ready.wait()
        for _ in range(changes):
            length = lot.choice([7, 14, 30, 30, 90, 365])
            first = days[0] + timedelta(days=lot.randrange(span - length))
            time.sleep(pause * lot.uniform(0.5, 1.5))
            found.append(change(connection, body(first, first + timedelta(days=length - 1))))
        connection.close()
        return found

    with ThreadPoolExecutor(viewers) as threads:
        return sorted(seconds for found in threads.map(view, range(viewers)) for seconds in found)


def pages(port: int, bare: int) -> dict[str, list[tuple[float, float]]]:
    """Return the seconds until each page can be read and until its figures are drawn, with nothing in the cache.

    The last page is the bare one.
    """
    whole, line = f"http://127.0.0.1:{port}", ".scatterlayer .trace"
    ready = {
        f"{whole}/": f"#years-wind_GW {line}",
        f"{whole}/predictions": "#scatter-wind_GW .trace",
        f"{whole}/model": ".ag-row",
        f"http://127.0.0.1:{bare}/": line,
    }
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        sys.exit("no Chromium, Chrome or Edge is on the PATH")
    found = {page: [] for page in ready}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        for number in range(ROUNDS + 1):
            for page, drawn in ready.items():
                context = browser.new_context(viewport={"width": 1280, "height": 900})
                tab, moments = context.new_page(), []
                start = time.perf_counter()
                tab.goto(page, wait_until="commit")
                for what in ("h1", drawn):
                    tab.locator(what).first.wait_for(state="attached")
                    moments.append(time.perf_counter() - start)
                if number:  # the first time warms the server
                    found[page].append(tuple(moments))
                context.close()
        browser.close()
    return found


def show(name: str, seconds: list[float], other: list[float] | None = None) -> None:
    """Print median and 95 % quantile in milliseconds, and the ratio to another dashboard."""
    middle, high = statistics.median(seconds), seconds[int(0.95 * (len(seconds) - 1))]
    ratio = f"   1 : {statistics.median(other) / middle:.0f}" if other else ""
    print(f"{name:52} {1000 * middle:8.0f} {1000 * high:8.0f}{ratio}", flush=True)


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description="Measure the dashboard.")
    parser.add_argument("--data", type=Path, default=ROOT / "1_starting_point" / "germany.csv", help="CSV file")
    parser.add_argument("--viewers", type=int, default=20, help="default: %(default)s")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder)
        with servers(state, state / "logs", free_port(), free_port()) as up:
            env = child_environment(MLFLOW_TRACKING_URI=up.tracking_uri)
            prepare(options.data.resolve(), env)
            port, other = free_port(), free_port()
            command = [sys.executable, ROOT / "dashboard" / "serve.py", "--port", port]
            with process("The dashboard", command, state / "dashboard.log", env=env) as dashboard:
                dashboard.wait_until(lambda: '"version":"' in (get(f"http://127.0.0.1:{port}/health") or ""), 120)
                measure(dashboard.popen.pid, port, other, state, options.viewers)


def measure(pid: int, port: int, other: int, state: Path, viewers: int) -> None:
    """Measure a running dashboard, and the other one beside it."""
    content = get(f"http://127.0.0.1:{port}/predictions.csv?from=1900-01-01&to=2200-01-01", 60)
    lines = content.splitlines()
    days = tuple(date.fromisoformat(line[:10]) for line in (lines[1], lines[-1]))
    print(f"{len(lines) - 1} hours, {viewers} viewers, {os.cpu_count()} processors\n")
    print(f"{'milliseconds':52} {'median':>8} {'95 %':>8}")
    bare = free_port()
    with process("The bare page", [sys.executable, "-c", BARE, bare], state / "bare.log") as it:
        it.wait_until(lambda: get(f"http://127.0.0.1:{bare}/_dash-dependencies"), 60)
        visits = pages(port, bare)
    for page, seconds in visits.items():
        name = f"page {page[page.rindex('/') :]}" if str(port) in page else "the bare page"
        readable, drawn = (sorted(times) for times in zip(*seconds, strict=True))
        show(f"{name}, first visit, can be read and used", readable)
        show(f"{name}, first visit, figures drawn", drawn)
    output = "predictions-figures"
    load(port, output, days, 4, 50, 0)
    memory = psutil.Process(pid).memory_info
    before = memory().rss
    quick = load(port, output, days, viewers, REQUESTS // viewers, 0)
    after = memory().rss
    calm = load(port, output, days, viewers, 20, 1)
    (state / "all.csv").write_text(content, encoding="utf-8")
    convert = "import pandas, sys; pandas.read_csv(sys.argv[1], index_col=0, parse_dates=True).to_parquet(sys.argv[2])"
    subprocess.run([sys.executable, "-c", convert, state / "all.csv", state / "all.parquet"], check=True)
    with process(
        "The other one", [sys.executable, "-c", PLAIN, state / "all.parquet", other], state / "other.log"
    ) as it:
        it.wait_until(lambda: get(f"http://127.0.0.1:{other}/_dash-dependencies"), 60)
        plain = load(other, "out.children", days, viewers, 5, 0)
        plain_calm = load(other, "out.children", days, viewers, 5, 1)
    show("change of range, a second between two of a viewer", calm, plain_calm)
    show("change of range, no pause", quick, plain)
    show("the other dashboard, a second between two", plain_calm)
    show("the other dashboard, no pause", plain)
    print(f"\nmemory: {before / 2**20:.0f} MB, after {len(quick)} more changes {after / 2**20:.0f} MB")


if __name__ == "__main__":
    main()
