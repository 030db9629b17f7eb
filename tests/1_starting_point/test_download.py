"""Run download.py against a server on loopback that can be slow, forgetful or wrong."""

import contextlib
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
import opsd
import pandas as pd
import pytest

SCRIPT = Path(download.__file__)
SERIES, WEATHER = "time_series_60min_singleindex.csv", "weather_data.csv"


@dataclass
class Resource:
    """A file as the server offers it, and what goes wrong with it."""

    body: bytes
    headers: dict = field(default_factory=lambda: {"ETag": '"1"'})
    status: int = 200
    ranges: bool = True
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
        entry = {"path": self.path, "range": asked, "if_range": condition, "status": status, "sent": 0}
        site.log.append(entry)
        if resource.stall_after == -1:
            site.release.wait()
            self.close_connection = True
            return
        self.send_response(status)
        for name, value in resource.headers.items():
            self.send_header(name, value)
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


@pytest.fixture
def site(raw_files):
    server = Site(raw_files)
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


@pytest.fixture
def fetched(site, tmp_path):
    """Return a function that downloads the time series alone, as the command does, and returns what has arrived."""

    def call(force=False):
        download.fetch(f"{site.url}/{SERIES}", tmp_path / SERIES, 5, force)
        return (tmp_path / SERIES).read_bytes()

    return call


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


def fails(result):
    """Return the one sentence that the command ended with."""
    assert result.returncode == 1, result.stdout + result.stderr
    assert len(result.stderr.splitlines()) == 1, result.stderr
    return result.stderr


def in_pieces(site, name, size):
    """Let every attempt of one run be cut after `size` bytes."""
    site[name].cuts = [size] * download.ATTEMPTS


def test_it_makes_the_table_and_its_descriptor_of_2013_to_2016_and_says_what_comes_next(site, output, raw_files):
    command = [sys.executable, str(SCRIPT), *arguments(site, output)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == f'Next: python workshop.py run --data "{output / "germany.csv"}"'
    written = (output / "germany.csv").read_bytes()
    assert written.startswith(b"utc_timestamp,solar_GW,wind_GW,windspeed,temperature,rad_horizontal,rad_diffuse\n")
    assert b"\n2013-01-01 01:00:00+00:00,1.001,0.549," in written
    table = pd.read_csv(io.BytesIO(written), index_col=0)
    assert list(table.index[[0, -1]]) == ["2013-01-01 00:00:00+00:00", "2016-12-31 23:00:00+00:00"]
    assert list(table.iloc[1]) == [1.001, 0.549, 1 + 49 % 14 / 4, -1.5, 49 / 20, 49 / 5], "hour 49 of the raw files"
    assert len(table) == 35064 + 1 - 2, "an hour appears twice, two lack a value"
    assert not {"2014-05-01 10:00:00+00:00", "2015-05-01 10:00:00+00:00"} & set(table.index)
    assert list(table.loc["2013-10-27 01:00:00+00:00", "wind_GW"]) == [7.725, 0.777]

    package = json.loads((output / "datapackage.json").read_text(encoding="utf-8"))
    (resource,), fields = package["resources"], package["resources"][0]["schema"]["fields"]
    assert (resource["path"], resource["title"]) == ("germany.csv", opsd.TITLE)
    assert (resource["bytes"], resource["hash"]) == (len(written), f"sha256:{hashlib.sha256(written).hexdigest()}")
    assert [one["name"] for one in fields] == ["utc_timestamp", *table.columns]
    assert [one["unit"] for one in fields] == ["UTC", "GW", "GW", "m/s", "degrees C", "W/m2", "W/m2"]
    dates = {SERIES: "time_series/2019-06-05", WEATHER: "weather_data/2019-04-09"}
    for source, (name, body) in zip(package["sources"], raw_files.items(), strict=True):
        assert (source["doi"], source["version"]) == (f"10.25832/{dates[name]}", dates[name][-10:])
        assert source["path"] == f"{site.url}/{name}"
        assert source["hash"] == f"sha256:{hashlib.sha256(body).hexdigest()}"


def test_a_file_that_is_here_is_fetched_anew_only_if_asked_for(site, fetched, raw_files, capsys):
    for force, requests in ((False, 1), (False, 1), (True, 2)):
        assert fetched(force=force) == raw_files[SERIES]
        assert len(site.log) == requests
    assert capsys.readouterr().out.count("nothing to download (--force fetches it anew)") == 1


def test_a_connection_that_is_cut_again_and_again_ends_in_a_sentence_and_the_same_command_goes_on(
    site, fetched, raw_files, tmp_path
):
    in_pieces(site, SERIES, 200_000)
    kept = (
        f"the connection was lost.*; {download.ATTEMPTS * 0.2:.1f} MB are kept in {tmp_path / SERIES}.part and the same"
    )
    with pytest.raises(opsd.UserError, match=f"{kept} command goes on: python 1_starting_point/download.py"):
        fetched()
    assert fetched() == raw_files[SERIES]
    assert site.log[-1]["range"] == f"bytes={download.ATTEMPTS * 200_000}-"
    assert sum(entry["sent"] for entry in site.log) == len(raw_files[SERIES])
    assert [path.name for path in tmp_path.iterdir()] == [SERIES]


def test_a_file_that_has_changed_on_the_server_is_not_glued_to_the_old_part(site, fetched, raw_files):
    in_pieces(site, SERIES, 200_000)
    with pytest.raises(opsd.UserError):
        fetched()
    changed = raw_files[SERIES].replace(b"cet_cest", b"CET_CEST")
    site.resources[f"/{SERIES}"] = Resource(changed, headers={"ETag": '"2"'})
    assert fetched() == changed
    assert (site.log[-1]["if_range"], site.log[-1]["status"], site.log[-1]["sent"]) == ('"1"', 200, len(changed))


@pytest.mark.parametrize(
    ("headers", "ranges", "asked"),
    [
        ({}, True, None),
        ({"ETag": 'W/"1"'}, True, None),
        ({"ETag": '"1"'}, False, "bytes=200000-"),
        ({"Last-Modified": "Wed, 05 Jun 2019 12:00:00 GMT"}, True, "bytes=200000-"),
    ],
    ids=["no tag", "a weak tag", "a server without ranges", "a date"],
)
def test_a_part_is_continued_only_if_the_server_can_say_that_the_file_is_the_same(
    site, fetched, raw_files, headers, ranges, asked
):
    site[SERIES].headers, site[SERIES].ranges, site[SERIES].cuts = headers, ranges, [200_000]
    assert fetched() == raw_files[SERIES]
    assert [entry["range"] for entry in site.log] == [None, asked]


def test_a_part_that_the_server_does_not_continue_is_fetched_anew(site, fetched, raw_files, tmp_path):
    in_pieces(site, SERIES, 200_000)
    with pytest.raises(opsd.UserError):
        fetched()
    (tmp_path / f"{SERIES}.part").write_bytes(raw_files[SERIES] + b"more")
    assert fetched() == raw_files[SERIES]
    assert [entry["status"] for entry in site.log[-2:]] == [416, 200]


def test_a_server_that_is_busy_for_a_moment_is_asked_again(site, fetched, raw_files):
    site[SERIES].failures = 1
    assert fetched() == raw_files[SERIES]
    assert [entry["status"] for entry in site.log] == [503, 200]


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ({"status": 404}, ": expected the file, found the answer 404 Not Found; for another address see"),
        ({"body": b"\n<!DOCTYPE html><title>Please log in</title>"}, ": expected a CSV file, found a web page"),
        ({"stall_after": -1}, ": no answer came in time (--timeout"),
        ({"stall_after": 200_000}, ": no answer came in time (--timeout"),
    ],
    ids=["no file", "a web page", "silence before the answer", "silence half-way"],
)
def test_a_server_that_does_not_send_the_file_is_given_up_with_a_sentence(site, output, fault, sentence):
    vars(site[SERIES]).update(fault)
    assert f"{site.url}/{SERIES}{sentence}" in fails(run(site, output, "--timeout", "0.4"))
    assert not list(output.glob("raw/*.csv"))


def test_a_refused_connection_ends_in_a_sentence(site, output):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound but not listening: nobody else can answer there
        sentence = fails(run(site, output, "--weather-url", f"http://127.0.0.1:{unused.getsockname()[1]}/{WEATHER}"))
    assert "no connection could be made" in sentence


def another_unit(body):
    frame = pd.read_csv(io.BytesIO(body))
    return frame.assign(DE_temperature=frame.DE_temperature + 273.15).to_csv(index=False).encode()


SPOILED = {
    "without a column": (
        lambda body: body.replace(b"DE_temperature", b"temperature", 1),
        ["expected a CSV table of times and numbers", "not found: ['DE_temperature']"],
    ),
    "with text in a number": (
        lambda body: body.replace(b"2014-02-03T04:00:00Z,1.5,", b"2014-02-03T04:00:00Z,1.5,n/e"),
        ["could not convert string to float: 'n/e"],
    ),
    "with few hours": (
        lambda body: body[: body.index(b"2016-06-01")],
        ["column utc_timestamp", "at least 90% of the 35064 hours from 2013 to 2016", "found 29926"],
    ),
    "with a week missing": (
        lambda body: body[: body.index(b"2014-03-01")] + body[body.index(b"2014-03-08") :],
        ["expected gaps of at most 24 hours", "no rows between 2014-02-28 23:00:00+00:00 and"],
    ),
    "in another unit": (
        another_unit,
        ["column 'temperature'", "expected a number from -45 to 50 (degrees C)", "in kelvin"],
    ),
    "without a time": (
        lambda body: body.replace(b"2014-02-03T04:00:00Z", b"yesterday"),
        ["expected a CSV table of times and numbers", "yesterday"],
    ),
    "packed": (lambda body: b"\x1f\x8b\x08\xff\xfe" + body[:1000], ["expected a CSV table"]),
}


@pytest.mark.parametrize("fault", SPOILED)
def test_a_file_that_fails_its_check_leaves_the_existing_output_untouched(site, output, fault):
    spoil, words = SPOILED[fault]
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


def test_only_http_and_https_addresses_are_accepted(site, output):
    for url in ("file:///etc/hostname", "weather.csv", "http://"):
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
def test_a_download_that_is_stopped_half_way_goes_on_next_time(site, output, raw_files, end, status):
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
    download.fetch(f"{site.url}/{SERIES}", output / "raw" / SERIES, 5, False)
    assert site.log[-1]["range"] == f"bytes={kept}-"
    assert (output / "raw" / SERIES).read_bytes() == raw_files[SERIES]
