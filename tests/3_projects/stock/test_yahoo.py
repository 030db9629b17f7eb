"""Yahoo Finance as a source: yfinance itself against a server on loopback, which answers as Yahoo does, or nobody."""

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO

import pandas as pd
import pytest
from stock_series import STOCK

# Ask as ingest does, of another address; the cache of time zones is not the user's, and cookies are not asked for.
ASK = """
import sys
import yfinance.data
import yfinance.scrapers.history
yfinance.set_tz_cache_location(sys.argv[2])
yfinance.data.YfData._get_cookie_and_crumb = lambda *arguments, **more: ("crumb", "basic")
for module in list(sys.modules.values()):
    for name, value in list(vars(module).items()) if module.__name__.startswith("yfinance") else []:
        if isinstance(value, str) and value.startswith("https://query"):
            setattr(module, name, sys.argv[1] + "/" + value.partition(".com/")[2])
import ingest
try:
    prices, repairs, note = ingest.fetch("NVDA", "yahoo", *sys.argv[3:])
    print(prices.assign(note=note).to_json(date_unit="s"))
except ingest.UserError as error:
    print("refused:", error)
"""
DAYS = pd.bdate_range("2020-01-01 09:30", periods=120, tz="America/New_York")
CLOSES = [100 + number / 10 for number in range(120)]


def chart(path: str) -> tuple[int, dict]:
    """Return what Yahoo answers about the chart of NVDA."""
    end = int(DAYS[-1].timestamp())
    day = {"timezone": "EST", "start": end, "end": end + 23400, "gmtoffset": -18000}
    meta = {"currency": "USD", "symbol": "NVDA", "exchangeTimezoneName": "America/New_York", "priceHint": 2}
    meta |= {"instrumentType": "EQUITY", "gmtoffset": -18000, "regularMarketTime": end, "dataGranularity": "1d"}
    meta |= {"currentTradingPeriod": {"pre": day, "regular": day, "post": day}, "validRanges": ["max"]}
    quote = {"open": CLOSES, "high": CLOSES, "low": CLOSES, "close": CLOSES, "volume": [1000] * 120}
    adjusted = {"adjclose": [value / 2 for value in CLOSES]}
    result = {"meta": meta, "timestamp": [int(day.timestamp()) for day in DAYS]}
    return 200, {
        "chart": {"result": [result | {"indicators": {"quote": [quote], "adjclose": [adjusted]}}], "error": None}
    }


@pytest.fixture
def yahoo():
    """Run a server that answers as told; its answers can be changed."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            status, content = server.answer(self.path)
            body = content.encode() if isinstance(content, str) else json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.answer = chart
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def ask(tmp_path, free_port):
    """Return a function that asks for prices with no way out but to loopback."""

    def call(port: int, start: str = "first", end: str = "2020-12-31") -> str:
        nobody = f"http://127.0.0.1:{free_port()}"
        env = os.environ | {"HTTPS_PROXY": nobody, "https_proxy": nobody, "NO_PROXY": "127.0.0.1"}
        command = [sys.executable, "-c", ASK, f"http://127.0.0.1:{port}", str(tmp_path), start, end]
        done = subprocess.run(command, cwd=STOCK, env=env, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip().splitlines()[-1]

    return call


def test_the_prices_of_yahoo_are_adjusted_and_named_by_the_day_at_the_exchange(yahoo, ask):
    prices = pd.read_json(StringIO(ask(yahoo.server_port, "2020-01-01")), convert_axes=False)
    days = pd.to_datetime(prices.index.astype(int), unit="s")
    assert list(days.strftime("%Y-%m-%d")) == list(DAYS.strftime("%Y-%m-%d"))
    assert list(prices["close"]) == pytest.approx([value / 2 for value in CLOSES])
    assert prices["note"].str.startswith("adjusted for splits and dividends").all()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (None, ""),
        ((404, {"chart": {"result": None, "error": {"code": "Not Found", "description": "No data found"}}}), ""),
        ((200, "<html>moved</html>"), ""),
        ((200, {"chart": {"result": [{}], "error": None}}), ""),
        ((429, "Too Many Requests"), "YFRateLimitError: "),
    ],
    ids=["no network", "unknown symbol", "no JSON", "nothing in it", "too many questions"],
)
def test_without_prices_it_says_why_and_what_to_do_in_one_sentence(yahoo, ask, free_port, answer, reason):
    yahoo.answer = lambda path: answer
    sentence = ask(yahoo.server_port if answer else free_port())
    assert sentence.startswith(f"refused: Yahoo Finance gives no prices of NVDA ({reason}")
    assert sentence.endswith("without a network, give source=sample or the path of a CSV.")
