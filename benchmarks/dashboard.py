"""How fast the dashboard is for 20 viewers at once, beside one that computes everything anew for each of them.

    python benchmarks/dashboard.py
    python benchmarks/dashboard.py --data CSV --viewers 40

It starts the servers with an empty state, lets a linear regression into production, and serves the pages by
dashboard/serve.py. What is measured:

- for a browser with an empty cache, what it loads for a page, and the time from the address to a page that can be read
  and used (heading and controls) and to one whose figures are drawn, as ratios to a bare page of Dash with one line of
  two points;
- how long the server takes for a change of the range of dates, with a number of viewers who ask one thing after the
  other. The ranges are drawn by lot, most of them new;
- the memory of the server before and after 2,000 such changes.

The other dashboard has one page with the same lines and measures, made by pandas and plotly for every answer, hour by
hour, as their tutorials do it. Load and server share this machine.
"""

import random
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
import psutil
from harness import ROOT, SAMPLE, empty_servers, free_port, options, print_table, put_into_production
from playwright.sync_api import sync_playwright

from server.processes import process
from server.servers import get

REQUESTS = 2000  # after which the memory is looked at again
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
        actual, predicted = rows[target], rows["predicted_" + target]
        figure = go.Figure([go.Scatter(x=rows.index, y=actual), go.Scatter(x=rows.index, y=predicted)])
        figure.add_scatter(x=rows.index, y=predicted - actual)
        cloud = go.Figure([go.Scatter(x=actual, y=predicted, mode="markers")])
        daily = (table["predicted_" + target] - table[target]).abs().resample("D").mean()
        calendar = go.Figure([go.Heatmap(x=daily.index.isocalendar().week, y=daily.index.dayofweek, z=daily)])
        words = [f(actual, predicted) for f in (mean_absolute_error, root_mean_squared_error, r2_score)]
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

LOADED = """["navigation", "resource"].flatMap((type) => performance.getEntriesByType(type))
    .map((file) => file.transferSize)"""


@contextmanager
def served(log: Path, *command: object, page: str = "_dash-dependencies", sign: str = "") -> Iterator[tuple[str, int]]:
    """Serve a dashboard on a free port, the last argument of the command, and wait for a sign on one of its pages.

    Yields address and process id.
    """
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    with process(log.name, [sys.executable, *command, port], log) as server:
        server.wait_until(lambda: sign in (get(f"{address}/{page}") or ()), 120)
        yield address, server.popen.pid


def body_of(address: str, output: str) -> Callable[[date, date], dict]:
    """Return a function that makes what a browser sends for a range of dates, to the callback with an output."""
    callback = next(each for each in httpx.get(f"{address}/_dash-dependencies").json() if output in each["output"])
    pairs = [part.rsplit(".", 1) for part in callback["output"].strip(".").split("...")]
    outputs = [{"id": id, "property": property} for id, property in pairs]

    def body(first: date, last: date) -> dict:
        values = {"url.search": f"?from={first}&to={last}", "url.pathname": "/predictions"}
        values |= {"dates.start_date": f"{first}", "dates.end_date": f"{last}"}

        def filled(parts: list[dict]) -> list[dict]:
            return [part | {"value": values.get(f"{part['id']}.{part['property']}")} for part in parts]

        return {
            "output": callback["output"],
            "outputs": outputs if len(outputs) > 1 else outputs[0],
            "inputs": filled(callback["inputs"]),
            "state": filled(callback["state"]),
            "changedPropIds": ["{id}.{property}".format(**callback["inputs"][0])],
        }

    return body


def load(address: str, output: str, days: tuple[date, date], viewers: int, changes: int, pause: float) -> list[float]:
    """Return the seconds of all answers when viewers change their range at the same time."""
    body, ready = body_of(address, output), threading.Barrier(viewers)

    def view(number: int) -> list[float]:
        lot, seconds = random.Random(number), []
        with httpx.Client(base_url=address, timeout=120, trust_env=False) as client:
            ready.wait()
            for _ in range(changes):
                length = lot.choice([7, 14, 30, 30, 90, 365])
                first = days[0] + timedelta(days=lot.randrange((days[1] - days[0]).days - length))
                time.sleep(pause * lot.uniform(0.5, 1.5))
                start = time.perf_counter()
                answer = client.post("/_dash-update-component", json=body(first, first + timedelta(days=length - 1)))
                seconds.append(time.perf_counter() - start)
                if answer.status_code != 200 or len(answer.content) < 5000:
                    sys.exit(f"the dashboard answered {answer.status_code}: {answer.text[:300]!r}")
        return seconds

    with ThreadPoolExecutor(viewers) as threads:
        return [seconds for each in threads.map(view, range(viewers)) for seconds in each]


def visit(pages: dict[str, str], rounds: int) -> dict[str, list[list[float]]]:
    """Return milliseconds until each page can be read and until its figures are drawn, requests and MB until then.

    ``pages`` has the address of each page, and a selector of what shows that its figures are drawn.
    """
    taken = {page: [] for page in pages}
    path = shutil.which("chromium") or shutil.which("google-chrome")
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=path, args=["--no-sandbox"]) as browser,
    ):
        for page, drawn in list(pages.items()) * (rounds + 1):
            with browser.new_context(viewport={"width": 1280, "height": 900}) as context:
                tab, moments = context.new_page(), []
                start = time.perf_counter()
                tab.goto(page, wait_until="commit")
                for what in ("h1", drawn):
                    tab.locator(what).first.wait_for(state="attached")
                    moments.append(1000 * (time.perf_counter() - start))
                sizes = tab.evaluate(LOADED)
                taken[page].append([*moments, len(sizes), sum(sizes) / 1e6])
    return {page: moments[1:] for page, moments in taken.items()}  # the first visit warms the server


def row(name: str, seconds: Sequence[float], other: Sequence[float] = ()) -> list:
    """Return name, median and 95 % quantile in milliseconds, and how much longer another dashboard takes."""
    middle, high = np.quantile(seconds, [0.5, 0.95])
    return [name, f"{1000 * middle:.0f}", f"{1000 * high:.0f}", np.median(other) / middle if other else ""]


def print_visits(medians: dict[str, np.ndarray]) -> None:
    """Print what ``visit`` has found of each page, and the ratios to the first one, which is bare."""
    bare, rows = next(iter(medians.values())), []
    for page, each in medians.items():
        name = "bare page" if each is bare else f"page {page}"
        rows.append([name, *each, *(each / bare)[[0, 1, 3]]])
    columns = ["usable, ms", "drawn, ms", "requests", "MB"]
    print_table(["first visit", *columns, "usable, ratio", "drawn, ratio", "MB, ratio"], rows)


def measure(whole: str, pid: int, state: Path, viewers: int, rounds: int) -> None:
    """Measure a running dashboard, and the other ones beside it."""
    table = pd.read_csv(f"{whole}/predictions.csv?from=1900-01-01&to=2200-01-01", index_col=0, parse_dates=True)
    table.to_parquet(state / "all.parquet")
    days, line = (table.index[0].date(), table.index[-1].date()), ".scatterlayer .trace"
    with served(state / "bare.log", "-c", BARE) as (bare, _):
        pages = {f"{bare}/": line, f"{whole}/": f"#years-wind_GW {line}"}
        pages |= {f"{whole}/predictions": "#scatter-wind_GW .trace", f"{whole}/model": ".ag-row"}
        visits = visit(pages, rounds)
    print_visits({page.removeprefix(whole): np.median(each, axis=0) for page, each in visits.items()})
    output, memory = "predictions-figures.data", psutil.Process(pid).memory_info
    load(whole, output, days, 4, 50, 0)
    before = memory().rss
    quick = load(whole, output, days, viewers, REQUESTS // viewers, 0)
    after = memory().rss
    calm = load(whole, output, days, viewers, 20, 1)
    with served(state / "other.log", "-c", PLAIN, state / "all.parquet") as (other, _):
        plain, plain_calm = (load(other, "out.children", days, viewers, 5, pause) for pause in (0, 1))
    rows = [row("change of range, a second between two of a viewer", calm, plain_calm)]
    rows.append(row("change of range, no pause", quick, plain))
    print(f"\n{len(table)} hours, {viewers} viewers\n")
    print_table(["milliseconds", "median", "95 %", "other dashboard"], rows)
    print(f"\nmemory: {before / 2**20:.0f} MB, after {len(quick)} more changes {after / 2**20:.0f} MB")


def main() -> None:
    """Start everything, and measure."""
    chosen = options(
        __doc__.splitlines()[0], rounds=5, data=(str(SAMPLE), "the CSV"), viewers=(20, "viewers at the same time")
    )
    with empty_servers() as state:
        put_into_production(Path(ROOT, chosen.data), "lr")
        command = [ROOT / "dashboard" / "serve.py", "--port"]
        with served(state / "dashboard.log", *command, page="health", sign='"version":"') as (whole, pid):
            measure(whole, pid, state, chosen.viewers, chosen.rounds)


if __name__ == "__main__":
    main()
