"""Run download.py against a server on loopback that can be slow, forgetful or wrong."""

import contextlib
import gzip
import hashlib
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import download
import numpy as np
import opsd
import pandas as pd
import pytest
import requests
from urllib3 import exceptions as net

SCRIPT = Path(download.__file__)
SERIES, WEATHER = "time_series_60min_singleindex.csv", "weather_data.csv"
TWICE, NO_SOLAR, NO_WEATHER = "2013-10-27T01:00:00Z", "2014-05-01T10:00:00Z", "2015-05-01T10:00:00Z"


@dataclass
class Resource:
    """A file as the server offers it, and what goes wrong with it."""

    body: bytes
    headers: dict = field(default_factory=lambda: {"ETag": '"1"'})
    status: int = 200
    ranges: bool = True
    length: bool = True
    cuts: list = field(default_factory=list)  # one per answer: bytes after which the connection is cut
    stall_after: int | None = None  # bytes after which the server falls silent; -1: before it answers at all
    failures: int = 0  # answers with status 503 that come first


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        site, resource = self.server, self.server.resources[self.path]
        asked, condition = self.headers.get("Range"), self.headers.get("If-Range")
        current = condition in (None, resource.headers.get("ETag"), resource.headers.get("Last-Modified"))
        start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1]) if asked and resource.ranges and current else 0
        size, status = len(resource.body), 206 if start else resource.status
        if resource.failures:
            resource.failures -= 1
            status = 503
        elif start >= size:
            status = 416
        body = resource.body[start:] if status in (200, 206) else b"no"
        packed = "gzip" in self.headers.get("Accept-Encoding", "")
        if packed:  # a server may do so when asked; sizes and ranges are then those of the packed file
            body = gzip.compress(body)
        entry = {"path": self.path, "range": asked, "if_range": condition, "status": status, "sent": 0}
        site.log.append(entry)
        if resource.stall_after == -1:
            site.release.wait()
            self.close_connection = True
            return
        self.send_response(status)
        if packed:
            self.send_header("Content-Encoding", "gzip")
        for name, value in resource.headers.items():
            self.send_header(name, value)
        if resource.length:
            self.send_header("Content-Length", str(len(body)))
        if status == 206:
            self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        if status == 416:
            self.send_header("Content-Range", f"bytes */{size}")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        cut = resource.cuts.pop(0) if resource.cuts else resource.stall_after
        self.wfile.write(body[:cut])
        entry["sent"] = len(body[:cut])
        if resource.stall_after is not None:
            site.release.wait()

    def log_message(self, *args):
        pass


class Site(ThreadingHTTPServer):
    """The server; its threads are joined when it closes, so that none is left behind."""

    daemon_threads = False

    def __init__(self, files):
        super().__init__(("127.0.0.1", 0), Handler)
        self.resources = {f"/{name}": Resource(body) for name, body in files.items()}
        self.log, self.release = [], threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request, client_address):
        pass  # the client has gone away, which is what some tests are about

    def __getitem__(self, name):
        return self.resources[f"/{name}"]

    def requests_of(self, name):
        return [entry for entry in self.log if entry["path"] == f"/{name}"]


def csv(frame):
    return frame.to_csv(index=False, lineterminator="\n").encode()


@pytest.fixture(scope="module")
def files():
    """Small files with the shape of the real ones: the hours around 2013 to 2016, MW, columns of other countries."""
    hours = pd.date_range("2012-12-30", "2017-01-02 23:00", freq="h", tz="UTC")
    number, stamp = np.arange(len(hours)), hours.strftime("%Y-%m-%dT%H:%M:%SZ")
    series = pd.DataFrame(
        {
            "utc_timestamp": stamp,
            "cet_cest_timestamp": hours.tz_convert("Europe/Berlin").strftime("%Y-%m-%dT%H:%M:%S%z"),
            "AT_load_actual_entsoe_transparency": pd.Series(6000 + number % 900).where(number % 7 > 0),
            "DE_solar_generation_actual": 1001.0 * (number % 24),
            "DE_wind_generation_actual": 500.0 + number % 30011,
            "GB_GBN_price_day_ahead": "",
        }
    )
    series.loc[series.utc_timestamp == NO_SOLAR, "DE_solar_generation_actual"] = np.nan
    again = series[series.utc_timestamp == TWICE].assign(DE_wind_generation_actual=777.0)
    series = pd.concat([series, again]).sort_values("utc_timestamp", kind="stable")
    weather = pd.DataFrame(
        {
            "utc_timestamp": stamp,
            "AT_temperature": 1.5,
            "DE_windspeed_10m": 1 + number % 14 / 4,
            "DE_temperature": number % 40 - 10.5,
            "DE_radiation_direct_horizontal": number % 700 / 8,
            "DE_radiation_diffuse_horizontal": number % 300 / 4,
            "NO_windspeed_10m": "",
        }
    )
    weather.loc[weather.utc_timestamp == NO_WEATHER, "DE_temperature"] = np.nan
    return {SERIES: csv(series), WEATHER: csv(weather)}


@pytest.fixture
def site(files):
    server = Site(files)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.release.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def output(tmp_path):
    return tmp_path / "opsd"


def arguments(site, output, *options):
    urls = ["--time-series-url", f"{site.url}/{SERIES}", "--weather-url", f"{site.url}/{WEATHER}"]
    return ["--output", str(output), *urls, *options]


@pytest.fixture(autouse=True)
def here(monkeypatch):
    """No proxy stands between a test and its server, and no test waits for a server to recover."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(download, "PAUSE", 0)


def run(site, output, *options):
    """Run the command in this process, which saves starting Python; what it prints and returns is the same."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = download.main(arguments(site, output, *options))
        except SystemExit as end:
            status = end.code
    return SimpleNamespace(returncode=status, stdout=out.getvalue(), stderr=err.getvalue())


def succeeds(result):
    assert (result.returncode, result.stderr) == (0, ""), result.stderr
    return result.stdout


def fails(result):
    """Return the one sentence that the command ended with."""
    assert result.returncode == 1, result.stdout + result.stderr
    assert len(result.stderr.splitlines()) == 1, result.stderr
    return result.stderr


def in_pieces(site, name, size):
    """Let every attempt of one run be cut after `size` bytes."""
    site[name].cuts = [size] * download.ATTEMPTS


def test_it_joins_the_hours_of_2013_to_2016_in_gw_and_says_what_comes_next(site, output):
    command = [sys.executable, str(SCRIPT), *arguments(site, output)]
    printed = succeeds(subprocess.run(command, capture_output=True, text=True, timeout=120, check=False))
    text = (output / "germany.csv").read_text(encoding="utf-8")
    table = pd.read_csv(io.StringIO(text)).set_index("utc_timestamp")
    assert text.startswith("utc_timestamp,solar_GW,wind_GW,windspeed,temperature,rad_horizontal,rad_diffuse\n")
    assert list(table.index[[0, -1]]) == ["2013-01-01 00:00:00+00:00", "2016-12-31 23:00:00+00:00"]
    # hour 49 of the raw files, 2013-01-01 01:00
    assert list(table.iloc[1]) == [1.001, 0.549, 1 + 49 % 14 / 4, -1.5, 49 / 8, 49 / 4]
    assert "\n2013-01-01 01:00:00+00:00,1.001,0.549," in text
    assert printed.splitlines()[-1] == f'Next: python workshop.py run --data "{output / "germany.csv"}"'


def test_it_drops_hours_that_lack_a_value_and_keeps_hours_that_stand_twice(site, output):
    succeeds(run(site, output))
    table = pd.read_csv(output / "germany.csv", index_col=0)
    assert len(table) == 35064 + 1 - 2
    assert not {"2014-05-01 10:00:00+00:00", "2015-05-01 10:00:00+00:00"} & set(table.index)
    assert list(table.loc["2013-10-27 01:00:00+00:00", "wind_GW"]) == [7.725, 0.777]


def test_the_descriptor_tells_sources_units_and_checksums(site, output, files):
    succeeds(run(site, output))
    package = json.loads((output / "datapackage.json").read_text(encoding="utf-8"))
    (resource,), written = package["resources"], (output / "germany.csv").read_bytes()
    assert (resource["path"], resource["title"]) == ("germany.csv", opsd.TITLE)
    assert (resource["bytes"], resource["hash"]) == (len(written), f"sha256:{hashlib.sha256(written).hexdigest()}")
    fields = resource["schema"]["fields"]
    assert [one["name"] for one in fields] == written.split(b"\n")[0].decode().split(",")
    assert [one["unit"] for one in fields] == ["UTC", "GW", "GW", "m/s", "degrees C", "W/m2", "W/m2"]
    assert all(one["description"] and one["type"] in ("datetime", "number") for one in fields)
    assert [(one["doi"], one["version"]) for one in package["sources"]] == [
        ("10.25832/time_series/2019-06-05", "2019-06-05"),
        ("10.25832/weather_data/2019-04-09", "2019-04-09"),
    ]
    assert [one["path"] for one in package["sources"]] == [f"{site.url}/{name}" for name in files]
    assert [one["hash"] for one in package["sources"]] == [
        f"sha256:{hashlib.sha256(body).hexdigest()}" for body in files.values()
    ]


def test_a_second_run_downloads_nothing_and_force_downloads_again(site, output):
    succeeds(run(site, output))
    first = (output / "germany.csv").read_bytes()
    printed = succeeds(run(site, output))
    assert len(site.log) == 2
    assert printed.count("nothing to download") == 2
    assert " MB " in printed
    assert (output / "germany.csv").read_bytes() == first
    succeeds(run(site, output, "--force"))
    assert len(site.log) == 4


def test_a_raw_file_that_lost_its_end_or_came_from_elsewhere_is_fetched_anew(site, output, files):
    succeeds(run(site, output))
    (output / "raw" / SERIES).write_bytes(files[SERIES][:-1000])
    site.resources[f"/{WEATHER}?mirror"] = site[WEATHER]
    succeeds(run(site, output, "--weather-url", f"{site.url}/{WEATHER}?mirror"))
    assert [entry["path"] for entry in site.log[2:]] == [f"/{SERIES}", f"/{WEATHER}?mirror"]
    assert (output / "raw" / SERIES).read_bytes() == files[SERIES]


def test_a_connection_cut_half_way_is_resumed_without_fetching_a_byte_twice(site, output, files):
    half = len(files[SERIES]) // 2
    site[SERIES].cuts = [half]
    printed = succeeds(run(site, output))
    first, second = site.requests_of(SERIES)
    assert (second["range"], second["if_range"], second["status"]) == (f"bytes={half}-", '"1"', 206)
    assert first["sent"] + second["sent"] == len(files[SERIES])
    assert (output / "raw" / SERIES).read_bytes() == files[SERIES]
    assert "the connection was lost" in printed


def test_a_connection_that_is_cut_again_and_again_ends_in_a_sentence_and_the_same_command_goes_on(site, output, files):
    in_pieces(site, SERIES, 200_000)
    sentence = fails(run(site, output))
    assert f"{download.ATTEMPTS * 0.2:.1f} MB are kept in {output / 'raw' / SERIES}.part" in sentence
    assert "the same command goes on" in sentence
    succeeds(run(site, output))
    assert site.requests_of(SERIES)[-1]["range"] == f"bytes={download.ATTEMPTS * 200_000}-"
    assert sum(entry["sent"] for entry in site.requests_of(SERIES)) == len(files[SERIES])
    assert (output / "raw" / SERIES).read_bytes() == files[SERIES]
    assert not list(output.glob("**/*.part"))


def test_a_file_that_has_changed_on_the_server_is_not_glued_to_the_old_part(site, output, files):
    in_pieces(site, SERIES, 200_000)
    fails(run(site, output))
    changed = files[SERIES].replace(b"cet_cest", b"CET_CEST")
    site.resources[f"/{SERIES}"] = Resource(changed, headers={"ETag": '"2"'})
    succeeds(run(site, output))
    last = site.requests_of(SERIES)[-1]
    assert (last["if_range"], last["status"], last["sent"]) == ('"1"', 200, len(changed))
    assert (output / "raw" / SERIES).read_bytes() == changed


def test_a_server_that_knows_no_ranges_sends_the_file_anew(site, output, files):
    site[SERIES].ranges, site[SERIES].cuts = False, [200_000]
    succeeds(run(site, output))
    assert [entry["status"] for entry in site.requests_of(SERIES)] == [200, 200]
    assert (output / "raw" / SERIES).read_bytes() == files[SERIES]


@pytest.mark.parametrize("headers", [{}, {"ETag": 'W/"1"'}], ids=["no tag", "weak tag"])
def test_a_part_is_not_continued_when_the_server_cannot_say_that_the_file_is_the_same(site, output, files, headers):
    site[SERIES].headers, site[SERIES].cuts = headers, [200_000]
    succeeds(run(site, output))
    assert [entry["range"] for entry in site.requests_of(SERIES)] == [None, None]
    assert (output / "raw" / SERIES).read_bytes() == files[SERIES]


def test_a_part_is_continued_by_the_date_of_the_file_when_it_has_no_tag(site, output, files):
    date = "Wed, 05 Jun 2019 12:00:00 GMT"
    site[SERIES].headers, site[SERIES].cuts = {"Last-Modified": date}, [200_000]
    succeeds(run(site, output))
    assert [entry["if_range"] for entry in site.requests_of(SERIES)] == [None, date]
    assert (output / "raw" / SERIES).read_bytes() == files[SERIES]


@pytest.mark.parametrize(("surplus", "statuses"), [(b"", []), (b"more", [416, 200])], ids=["whole", "too long"])
def test_a_part_that_leaves_nothing_to_send_is_taken_if_whole_and_fetched_anew_if_not(
    site, output, files, surplus, statuses
):
    succeeds(run(site, output))
    raw = output / "raw" / SERIES
    raw.with_name(f"{SERIES}.part").write_bytes(files[SERIES] + surplus)
    raw.unlink()
    site.log.clear()
    succeeds(run(site, output))
    assert [entry["status"] for entry in site.log] == statuses
    assert raw.read_bytes() == files[SERIES]


def test_a_server_that_does_not_tell_the_size_is_accepted(site, output, files):
    site[SERIES].length = False
    succeeds(run(site, output))
    assert (output / "raw" / SERIES).read_bytes() == files[SERIES]


def test_a_server_that_is_busy_for_a_moment_is_asked_again(site, output):
    site[WEATHER].failures = 1
    succeeds(run(site, output))
    assert [entry["status"] for entry in site.requests_of(WEATHER)] == [503, 200]


def test_a_file_that_is_not_there_is_named_with_the_status(site, output):
    site[WEATHER].status = 404
    sentence = fails(run(site, output))
    assert f"{site.url}/{WEATHER}" in sentence
    assert "404" in sentence


def test_a_refused_connection_ends_in_a_sentence(site, output):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound but not listening: nobody else can answer there
        sentence = fails(run(site, output, "--weather-url", f"http://127.0.0.1:{unused.getsockname()[1]}/{WEATHER}"))
    assert "no connection could be made" in sentence


def test_a_name_that_cannot_be_found_is_told_from_a_refused_connection():
    unknown = net.NameResolutionError("nowhere.invalid", None, socket.gaierror("Name or service not known"))
    error = requests.ConnectionError(net.MaxRetryError(None, "/", unknown))
    assert "host name was not found" in download.explain(error)


@pytest.mark.parametrize("stall_after", [-1, 200_000], ids=["before it answers", "half-way"])
def test_a_server_that_falls_silent_is_given_up(site, output, stall_after):
    site[SERIES].stall_after = stall_after
    before = time.monotonic()
    assert "no answer came in time" in fails(run(site, output, "--timeout", "0.2"))
    assert time.monotonic() - before < 25, "without its own time-out each attempt would wait for 30 seconds"


def test_a_web_page_in_place_of_the_file_is_recognised(site, output):
    site[SERIES].body = b"\n<!DOCTYPE html><title>Please log in</title>"
    sentence = fails(run(site, output))
    assert f"{site.url}/{SERIES}: expected a CSV file, found a web page" in sentence
    assert not list(output.glob("raw/*.csv*"))


def without_a_column(body):
    return csv(pd.read_csv(io.BytesIO(body), dtype=str).drop(columns="DE_temperature"))


def with_text_in_a_number(body):
    return body.replace(b"2014-02-03T04:00:00Z,1.5,", b"2014-02-03T04:00:00Z,1.5,n/e")


def with_few_hours(body):
    return body[: body.index(b"2016-06-01")]


def with_a_week_missing(body):
    return body[: body.index(b"2014-03-01")] + body[body.index(b"2014-03-08") :]


def with_another_unit(body):
    frame = pd.read_csv(io.BytesIO(body))
    return csv(frame.assign(DE_temperature=frame.DE_temperature + 273.15))


def with_no_time(body):
    return body.replace(b"2014-02-03T04:00:00Z", b"yesterday")


def with_an_open_quote(body):
    return body.replace(b"2014-02-03T04:00:00Z,", b'2014-02-03T04:00:00Z,"')


def packed(body):
    return b"\x1f\x8b\x08\xff\xfe" + body[:1000]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (without_a_column, ["expected the column DE_temperature", "found 6 others"]),
        (with_text_in_a_number, ["column DE_windspeed_10m", "expected a number", "'n/e", "2014-02-03T04:00:00Z"]),
        (with_few_hours, ["column utc_timestamp", "at least 90% of the 35064 hours from 2013 to 2016", "found 29926"]),
        (with_another_unit, ["column 'temperature'", "expected a number from -45 to 50 (degrees C)", "in kelvin"]),
        (with_a_week_missing, ["expected gaps of at most 24 hours", "no rows between 2014-02-28 23:00:00+00:00 and"]),
        (with_no_time, ["column utc_timestamp", "expected a time", "'yesterday'"]),
        (with_an_open_quote, ["expected a CSV table"]),
        (packed, ["expected a CSV table"]),
    ],
)
def test_a_file_that_fails_its_check_leaves_the_existing_output_untouched(site, output, spoil, words):
    output.mkdir()
    (output / "germany.csv").write_text("mine")
    (output / "datapackage.json").write_text("mine too")
    site[WEATHER].body = spoil(site[WEATHER].body)
    sentence = fails(run(site, output))
    for word in [str(output / "raw" / WEATHER), *words, "python 1_starting_point/download.py --force"]:
        assert word in sentence
    assert sorted(path.name for path in output.iterdir()) == ["datapackage.json", "germany.csv", "raw"]
    assert (output / "germany.csv").read_text() == "mine"
    assert (output / "datapackage.json").read_text() == "mine too"


def test_an_output_folder_that_cannot_be_made_is_named(site, tmp_path):
    (tmp_path / "file").write_text("in the way")
    sentence = fails(run(site, tmp_path / "file" / "opsd"))
    assert str(tmp_path / "file") in sentence
    assert "--output" in sentence
    assert site.log == []


@pytest.mark.parametrize("url", ["file:///etc/hostname", "ftp://127.0.0.1/weather.csv", "weather.csv", "http://"])
def test_only_http_and_https_addresses_are_accepted(site, output, url):
    result = run(site, output, "--weather-url", url)
    assert result.returncode == 2
    assert f"expected an address that begins with http:// or https://, found '{url}'" in result.stderr
    assert site.log == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
def test_a_disk_that_fills_up_ends_in_a_sentence(site, output):
    (output / "raw").mkdir(parents=True)
    (output / "raw" / f"{SERIES}.part").symlink_to("/dev/full")
    assert "the disk is full" in fails(run(site, output))


@contextlib.contextmanager
def interruptible():
    """Let a child hear SIGINT even where this process was started with it ignored (`pytest &` in a script)."""
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no signal that ends one child the way Ctrl-C does")
@pytest.mark.parametrize(("end", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)])
def test_a_download_that_is_stopped_half_way_goes_on_next_time(site, output, files, end, status):
    site[SERIES].stall_after = 500_000
    part = output / "raw" / f"{SERIES}.part"
    command = [sys.executable, str(SCRIPT), *arguments(site, output, "--timeout", "300")]  # no new attempt meanwhile
    with interruptible():
        process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 30
    while not (part.exists() and part.stat().st_size > 400_000):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(end)
    _, message = process.communicate(timeout=60)
    assert process.returncode == status
    if end == signal.SIGINT:
        assert message.startswith("Stopped; ")
        assert len(message.splitlines()) == 1
    site.release.set()
    site[SERIES].stall_after, kept = None, part.stat().st_size
    succeeds(run(site, output))
    assert site.requests_of(SERIES)[-1]["range"] == f"bytes={kept}-"
    assert (output / "raw" / SERIES).read_bytes() == files[SERIES]
