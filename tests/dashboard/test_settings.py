import argparse
import os
import socket
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from dashboard.settings import Settings, add_options, from_options


def settings(*arguments: str) -> Settings:
    parser = argparse.ArgumentParser()
    add_options(parser)
    return from_options(parser.parse_args(arguments))


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    for name in ("DASHBOARD_HOST", "DASHBOARD_PORT", "OPEN_METEO_URL", "ENERGY_CHARTS_URL"):
        monkeypatch.delenv(name, raising=False)


def test_without_options_it_listens_on_this_machine_only_and_asks_nobody_outside():
    found = settings()
    assert found == Settings()
    assert (found.host, found.port, found.live_data) == ("127.0.0.1", 8050, False)


def test_an_option_comes_before_the_environment(monkeypatch):
    monkeypatch.setenv("DASHBOARD_PORT", "8051")
    monkeypatch.setenv("OPEN_METEO_URL", "http://127.0.0.1:8052/")
    assert settings().port == 8051
    assert settings("--port", "8053").port == 8053
    assert settings().open_meteo == "http://127.0.0.1:8052"


def test_a_time_without_an_offset_is_in_utc():
    assert settings("--now", "2015-08-01T06:00").now == datetime(2015, 8, 1, 6, tzinfo=UTC)
    assert settings("--now", "2015-08-01T06:00+02:00").now == datetime(2015, 8, 1, 4, tzinfo=UTC)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--port", "70000"], "expected a number from 1 to 65535, found '70000'"),
        (["--refresh", "soon"], "expected seconds from 0.1 to 3600, found 'soon'"),
        (["--timeout", "0"], "expected seconds from 0.1 to 3600, found '0'"),
        (
            ["--open-meteo", "example"],
            "expected an address such as https://api.open-meteo.com, found 'example'",
        ),
        (["--now", "0001-01-01T00:00+23:00"], "such as 2015-08-01T06:00, found '0001-01-01T00:00+23:00'"),
        (["--now", "today"], "expected a time such as 2015-08-01T06:00, found 'today'"),
    ],
)
def test_an_option_that_can_not_be_used_is_named(arguments, words, capsys):
    with pytest.raises(SystemExit) as ended:
        settings(*arguments)
    assert ended.value.code == 2
    assert words in capsys.readouterr().err


@pytest.mark.slow
def test_a_taken_port_is_named_without_a_traceback(root):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = [sys.executable, root / "dashboard" / "serve.py", "--port", str(port)]
        env = {**os.environ, "MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert f"can't listen on 127.0.0.1, port {port}" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_picture_of_no_dashboard_is_refused_in_one_sentence(root, free_port, chromium, tmp_path):
    command = [sys.executable, root / "dashboard" / "screenshot.py", "--address", f"http://127.0.0.1:{free_port()}"]
    command += ["--output", tmp_path / "picture.png"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert "Start it with: python dashboard/app.py" in done.stderr
    assert "Traceback" not in done.stderr
