"""Yahoo Finance as a source: yfinance itself against a server on loopback, which answers as Yahoo does, or nobody."""

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pandas as pd
import pytest
from stock_series import STOCK

# Ask as ingest does, of another address; the cache of time zones is not the user's, and cookies are not asked for.
ASK = """
import json
import sys
import yfinance.data
import yfinance.scrapers.history
folder, address, nobody, *symbols = sys.argv[1:]
yfinance.set_tz_cache_location(folder)
yfinance.data.YfData._get_cookie_and_crumb = lambda *arguments, **more: ("crumb", "basic")
def move(old, new):
    for module in list(sys.modules.values()):
        for name, value in list(vars(module).items()) if module.__name__.startswith("yfinance") else []:
            if isinstance(value, str) and value.startswith(old):
                setattr(module, name, "/".join([new, *value.split("/")[3:]]))
import ingest
move("https://query", address)
answers = {}
for symbol in symbols:
    if symbol == "AWAY":
        move(address, nobody)
    start = "2020-01-01" if symbol == "NVDA" else "first"
    try:
        prices, repairs, note = ingest.fetch(symbol, "yahoo", start, "2020-12-31")
        days = list(prices.index.strftime("%Y-%m-%d"))
        answers[symbol] = {"days": days, "close": list(prices["close"]), "note": note}
    except ingest.UserError as error:
        answers[symbol] = str(error)
print(json.dumps(answers))
"""
# What Yahoo answers about each symbol but NVDA, and the reason that the sentence begins with.
WRONG = {
    "UNKNOWN": (404, {"chart": {"result": None, "error": {"code": "Not Found", "description": "No data found"}}}, ""),
    "MOVED": (200, "<html>moved</html>", ""),
    "EMPTY": (200, {"chart": {"result": [{}], "error": None}}, ""),
    "BUSY": (429, "Too Many Requests", "YFRateLimitError: "),
}
DAYS = pd.bdate_range("2020-01-01 09:30", periods=120, tz="America/New_York")
CLOSES = [100 + number / 10 for number in range(120)]


def chart() -> dict:
    """Return what Yahoo answers about the chart of NVDA."""
    end = int(DAYS[-1].timestamp())
    day = {"timezone": "EST", "start": end, "end": end + 23400, "gmtoffset": -18000}
    meta = {"currency": "USD", "symbol": "NVDA", "exchangeTimezoneName": "America/New_York", "priceHint": 2}
    meta |= {"instrumentType": "EQUITY", "gmtoffset": -18000, "regularMarketTime": end, "dataGranularity": "1d"}
    meta |= {"currentTradingPeriod": {"pre": day, "regular": day, "post": day}, "validRanges": ["max"]}
    quote = {"open": CLOSES, "high": CLOSES, "low": CLOSES, "close": CLOSES, "volume": [1000] * 120}
    adjusted = {"adjclose": [value / 2 for value in CLOSES]}
    result = {"meta": meta, "timestamp": [int(day.timestamp()) for day in DAYS]}
    return {"chart": {"result": [result | {"indicators": {"quote": [quote], "adjclose": [adjusted]}}], "error": None}}


class Yahoo(BaseHTTPRequestHandler):
    def do_GET(self):
        status, content, _ = next((WRONG[name] for name in WRONG if name in self.path), (200, chart(), ""))
        body = content.encode() if isinstance(content, str) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def answers(tmp_path_factory, free_port) -> dict[str, str | dict]:
    """Return the prices of NVDA and the refusals of the other symbols, asked for with no way out but to loopback."""
    nobody = f"http://127.0.0.1:{free_port()}"
    env = os.environ | {"HTTPS_PROXY": nobody, "https_proxy": nobody, "NO_PROXY": "127.0.0.1"}
    with ThreadingHTTPServer(("127.0.0.1", 0), Yahoo) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        places = [tmp_path_factory.mktemp("cache"), f"http://127.0.0.1:{server.server_port}", nobody]
        command = [sys.executable, "-c", ASK, *map(str, places), "NVDA", *WRONG, "AWAY"]
        done = subprocess.run(command, cwd=STOCK, env=env, capture_output=True, text=True, timeout=120, check=False)
        server.shutdown()
        thread.join()
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.strip().splitlines()[-1])


def test_the_prices_of_yahoo_are_adjusted_and_named_by_the_day_at_the_exchange(answers):
    prices = answers["NVDA"]
    assert prices["days"] == list(DAYS.strftime("%Y-%m-%d"))
    assert prices["close"] == pytest.approx([value / 2 for value in CLOSES])
    assert prices["note"].startswith("adjusted for splits and dividends")


@pytest.mark.parametrize("symbol", ["AWAY", *WRONG])
def test_without_prices_it_says_why_and_what_to_do_in_one_sentence(answers, symbol):
    reason = WRONG[symbol][2] if symbol in WRONG else ""
    assert answers[symbol].startswith(f"Yahoo Finance gives no prices of {symbol} ({reason}")
    assert answers[symbol].endswith("without a network, give source=sample or the path of a CSV.")
