"""How the dashboard starts: its options, what is left in the environment, and its first answers."""

import argparse
import contextlib
import gzip
import json
import os
import re
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from types import SimpleNamespace

import pandas as pd
import pytest

from dashboard import delivery
from dashboard.app import create_app
from dashboard.settings import Settings, add_options
from server.processes import process
from server.servers import get

# What other programs with Dash, Flask or Plotly may have left in the environment.
LEFT_OVER = {
    "DASH_DEBUG": "true",
    "dash_ui": "true",
    "DASH_HOT_RELOAD_INTERVAL": "often",
    "DASH_URL_BASE_PATHNAME": "/other/",
    "DASH_ASSETS_EXTERNAL_PATH": "http://other.example/",
    "HOST": "192.0.2.1",
    "PORT": "none",
    "FLASK_DEBUG": "1",
    "WERKZEUG_RUN_MAIN": "true",
    "REACT_VERSION": "0.1",
    "PLOTLY_RENDERER": "nothing",
}


def settings(*arguments: str) -> Settings:
    parser = argparse.ArgumentParser()
    add_options(parser)
    return Settings(**vars(parser.parse_args(arguments)))


@pytest.fixture
def no_environment(monkeypatch):
    for name in ("DASHBOARD_HOST", "DASHBOARD_PORT", "OPEN_METEO_URL", "ENERGY_CHARTS_URL"):
        monkeypatch.delenv(name, raising=False)


def test_options_and_environment_name_ports_addresses_and_a_fixed_now(no_environment, monkeypatch):
    assert settings() == Settings(host="127.0.0.1", port=8050, live_data=False)  # this machine only, nobody outside
    monkeypatch.setenv("DASHBOARD_PORT", "8051")
    monkeypatch.setenv("OPEN_METEO_URL", "http://127.0.0.1:8052/")
    assert (settings().port, settings("--port", "8053").port) == (8051, 8053)
    assert settings().open_meteo == "http://127.0.0.1:8052"
    assert settings("--now", "2015-08-01T06:00").now == datetime(2015, 8, 1, 6, tzinfo=UTC)


@pytest.mark.parametrize(
    ("option", "text", "words"),
    [
        ("--port", "70000", "expected a number from 1 to 65535"),
        ("--refresh", "soon", "expected seconds from 0.1 to 3600"),
        ("--timeout", "0", "expected seconds from 0.1 to 3600"),
        ("--open-meteo", "example", "expected an address such as https://api.open-meteo.com"),
        ("--now", "today", "expected a time (UTC) such as"),
    ],
)
def test_an_option_that_can_not_be_used_is_named(option, text, words, no_environment, capsys):
    with pytest.raises(SystemExit) as ended:
        settings(option, text)
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert f"argument {option}: {words}" in said
    assert f"found '{text}'" in said


@pytest.fixture
def client_of():
    """Return a function that starts the dashboard with a view, or none yet."""

    def start(view=None):
        follower = SimpleNamespace(view=view, registry=None, problem="The model is being loaded.")
        return create_app(follower, Settings()).server.test_client()

    return start


def test_the_first_requests_after_a_start_are_answered_like_all_others(client_of):
    files = re.findall(r'<script src="([^"]+)"', client_of().get("/").text)
    assert len(files) > 10
    for _ in range(8):
        server, start = client_of().application, threading.Barrier(40)

        def ask(number: int, server=server, start=start) -> int:
            start.wait()
            with contextlib.closing(server.test_client().get(files[number % len(files)])) as answer:
                return answer.status_code

        with ThreadPoolExecutor(40) as pool:
            assert list(pool.map(ask, range(40))) == [200] * 40


def test_a_first_visit_loads_two_megabytes_which_the_browser_keeps_and_no_grid(client_of):
    client, light = client_of(), {"headers": {"Accept-Encoding": "gzip, deflate"}}
    page = client.get("/").text
    files = re.findall(r'(?:script src|link rel="stylesheet" href)="([^"]+)"', page)
    files.append("/_dash-component-suites/plotly/package_data/plotly.min.js")
    assert not [file for file in files if "dash_ag_grid" in file]
    delivery.pack_file.cache_clear()
    answers = [client.get(file, buffered=True, **light) for file in files for _ in range(2)]
    assert sum(len(answer.data) for answer in answers[::2]) < 2_200_000
    assert delivery.pack_file.cache_info().misses == len(files)
    for file, answer in zip(files, answers[::2], strict=True):
        assert gzip.decompress(answer.data) == client.get(file, buffered=True).data, file
        assert answer.cache_control.max_age >= delivery.DAY, file
        assert (answer.headers["Vary"], answer.headers["X-Frame-Options"]) == ("Accept-Encoding", "DENY"), file
    plotly = client.get(files[-1], headers={"If-None-Match": answers[-1].headers["ETag"]})
    assert (plotly.status_code, plotly.data) == (304, b"")


def test_the_answers_forbid_other_hosts_and_frames(client_of):
    policy = client_of().get("/").headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe-eval" not in policy
    assert "'unsafe-inline'" not in policy.split("script-src")[1].split(";")[0]


def test_the_csv_of_a_range_that_can_not_be_had_is_refused_in_one_line(client_of, view_of):
    frame = pd.DataFrame(
        {"solar_GW": 1.0, "wind_GW": 2.0}, pd.date_range("2013-08-01", periods=744, freq="h", tz="UTC")
    )
    for view, status, words in (
        (None, 503, "The model is being loaded.\n"),
        (view_of(frame), 400, "Expected a day such as 2013-08-31 after from= in the address, found '../../passwd'.\n"),
    ):
        answer = client_of(view).get("/predictions.csv?from=../../passwd")
        assert (answer.status_code, answer.text) == (status, words)


@pytest.mark.slow
def test_what_other_programs_left_in_the_environment_changes_nothing(root, free_port, tmp_path):
    port = free_port()
    env = {**os.environ, **LEFT_OVER, "MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}
    command = [sys.executable, "dashboard/app.py", "--port", port]
    with process("The dashboard", command, tmp_path / "dashboard.log", cwd=root, env=env) as dashboard:
        dashboard.wait_until(lambda: get(f"http://127.0.0.1:{port}/health"), 90)
        page = get(f"http://127.0.0.1:{port}")
    config = json.loads(re.search(r'<script id="_dash-config" type="application/json">(.*?)</script>', page)[1])
    assert config["requests_pathname_prefix"] == "/"
    assert (config["ui"], "hot_reload" in config) == (False, False)
    assert "other.example" not in page


@pytest.mark.slow
def test_a_taken_port_or_a_picture_of_no_dashboard_is_refused_in_one_sentence(root, chromium, tmp_path):
    env = {**os.environ, "MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        picture = ["--address", "http://127.0.0.1:9", "--output", tmp_path / "picture.png"]
        for script, options, words in (
            ("serve", ["--port", port], f"can't listen on 127.0.0.1, port {port}"),
            ("screenshot", picture, "Start it with: "),
        ):
            command = [sys.executable, root / "dashboard" / f"{script}.py", *map(str, options)]
            done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)
            assert done.returncode == 1
            assert words in done.stderr
            assert "Traceback" not in done.stderr
