"""Fetch the real data: hourly wind and solar power and weather in Germany, 2013 to 2016.

    python 1_starting_point/download.py

The source is Open Power System Data (https://open-power-system-data.org). Two large CSV files come into
`1_starting_point/opsd/raw/`, where they stay; the few columns that the workshop needs become
`1_starting_point/opsd/germany.csv`, described by `datapackage.json` beside it. An interrupted download goes on
where it stopped when the same command is typed again.
"""

import argparse
import errno
import hashlib
import json
import re
import shutil
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pandas as pd
import requests
from requests.adapters import HTTPAdapter
from tqdm import tqdm
from urllib3 import exceptions as net
from urllib3.util import Retry

FOLDER = Path(__file__).resolve().parent
COMMAND = "python 1_starting_point/download.py"
ANEW = f"fetch it anew: {COMMAND} --force"
OTHER_URL = f"for another address see: {COMMAND} --help"
TITLE = "Open Power System Data: Germany, hourly, 2013 to 2016"
TIME = "utc_timestamp"
START, END = pd.Timestamp("2013-01-01T00:00Z"), pd.Timestamp("2016-12-31T23:00Z")  # first and last hour, both included
HOURS = int((END - START) / pd.Timedelta(hours=1)) + 1
LEAST_SHARE = 0.9  # of 2013 to 2015 the real table has 99.8 %
CHUNK_BYTES, CHUNK_ROWS = 1 << 18, 50_000
ATTEMPTS = 4  # to receive one file; each goes on where the one before it lost the connection
LICENCE = "No licence for the data is known to come with the package; the primary data's owners may hold rights."
CITATION = "Open Power System Data. 2019. {title}. Version {version}. https://doi.org/{doi}."


class DownloadError(Exception):
    """What a person can act on, in one sentence."""


class Column(NamedTuple):
    """A column of germany.csv: the raw column divided by `per`; values outside `low` to `high` are not plausible."""

    name: str
    raw: str
    unit: str
    low: float
    high: float
    description: str
    per: float = 1


@dataclass(frozen=True)
class Package:
    """One file of Open Power System Data; `sha256` is its published checksum, None if not known."""

    title: str
    version: str
    doi: str
    url: str
    columns: tuple[Column, ...]
    sha256: str | None = None


SERIES = Package(
    title="Data Package Time series",
    version="2019-06-05",
    doi="10.25832/time_series/2019-06-05",
    url="https://data.open-power-system-data.org/time_series/2019-06-05/time_series_60min_singleindex.csv",
    columns=(
        Column("solar_GW", "DE_solar_generation_actual", "GW", 0, 100, "Solar power generated in Germany", per=1000),
        Column("wind_GW", "DE_wind_generation_actual", "GW", 0, 100, "Wind power generated in Germany", per=1000),
    ),
    # checksums.txt of github.com/Open-Power-System-Data/time_series, commit 354af1a
    sha256="659fe789af2672aabe989aebc8c5c21052a1a96e4da70b0fc941910a1cd4de9d",
)
WEATHER = Package(
    title="Data Package Weather Data",
    version="2019-04-09",
    doi="10.25832/weather_data/2019-04-09",
    url="https://data.open-power-system-data.org/weather_data/2019-04-09/weather_data.csv",
    columns=(
        Column("windspeed", "DE_windspeed_10m", "m/s", 0, 25, "Wind speed at 10 m, mean of Germany"),
        Column("temperature", "DE_temperature", "degrees C", -40, 45, "Air temperature, mean of Germany"),
        Column("rad_horizontal", "DE_radiation_direct_horizontal", "W/m2", 0, 1300, "Direct radiation, horizontal"),
        Column("rad_diffuse", "DE_radiation_diffuse_horizontal", "W/m2", 0, 1300, "Diffuse radiation, horizontal"),
    ),
)
RAW_NAMES = {SERIES.title: "time_series_60min_singleindex.csv", WEATHER.title: "weather_data.csv"}
REASONS = (  # from the special to the general: urllib3 derives the first from the second, that from the third
    (net.NameResolutionError, "the host name was not found (is there a network?)"),
    (net.NewConnectionError, "no connection could be made (is there a network?)"),
    (net.TimeoutError, "no answer came in time (--timeout allows for more)"),
    (net.SSLError, "its certificate was not accepted"),
    (net.ProtocolError, "the connection was lost"),
)


def explain(error: Exception) -> str:
    """Say in a few words why a connection failed; requests and urllib3 wrap the reason in each other."""
    inner = error.args[0] if isinstance(error, requests.RequestException) and error.args else error
    inner = getattr(inner, "reason", None) or inner
    return next((words for kind, words in REASONS if isinstance(inner, kind)), f"{type(inner).__name__}: {inner}")


def size_of(path: Path) -> int:
    """Return the bytes in a file, 0 if there is none."""
    return path.stat().st_size if path.exists() else 0


def read_note(path: Path) -> dict:
    """Return `url`, `validator` (ETag or date) and `bytes` of what was received last, {} if that is not known."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}


def receive(session: requests.Session, url: str, part: Path, note: Path, timeout: float) -> None:
    """Receive the file at `url`, or what `part` lacks of it.

    Raises urllib3's errors when another attempt may go on, DownloadError when that is no use.
    """
    have, known, headers = size_of(part), read_note(note), {"Accept-Encoding": "identity"}
    if have and known.get("url") == url and known.get("validator"):
        # If-Range: a file that has changed meanwhile is sent whole instead of being glued to the old part.
        headers |= {"Range": f"bytes={have}-", "If-Range": known["validator"]}
    try:
        response = session.get(url, headers=headers, stream=True, timeout=timeout)
    except requests.RequestException as error:
        kept = f"{have / 1e6:.1f} MB are kept in {part} and the same command goes on" if have else "try again later"
        raise DownloadError(f"{url}: {explain(error)}; {kept}: {COMMAND}") from error
    with response:
        status, length = response.status_code, response.headers.get("Content-Length")
        ranged = re.match(r"bytes (?:(\d+)-\d+|\*)/(\d+)", response.headers.get("Content-Range", ""))
        if status == 416 and ranged and int(ranged[2]) == have:
            return  # the part was whole already
        if status == 416 or (status == 206 and not (ranged and ranged[1] == str(have))):
            part.unlink(missing_ok=True)
            raise net.ProtocolError("what the server offers does not continue the part")
        if status not in (200, 206):
            raise DownloadError(f"{url}: expected the file, found the answer {status} {response.reason}; {OTHER_URL}")
        start = have if status == 206 else 0
        total = int(ranged[2]) if start else int(length) if length else None
        free = shutil.disk_usage(part.parent).free
        if total and total - start > free:
            need = f"expected {(total - start) / 1e6:.1f} MB of free space, found {free / 1e6:.1f} MB"
            raise DownloadError(f"{part.parent}: {need}; make room or choose another folder with --output")
        # read1 gives what has arrived instead of waiting for a full chunk: whoever stops a slow download loses nothing.
        chunk = response.raw.read1(CHUNK_BYTES)
        if not start and chunk.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"<"):
            raise DownloadError(f"{url}: expected a CSV file, found a web page; {OTHER_URL}")
        bar = tqdm(total=total, initial=start, desc=part.stem, unit="B", unit_scale=True, disable=None)
        with bar, part.open("ab" if start else "wb") as file:
            if not start:  # only now that the old part is emptied: the note must not describe its bytes
                tag = response.headers.get("ETag", "W/")  # a weak tag does not promise equal bytes
                validator = response.headers.get("Last-Modified") if tag.startswith("W/") else tag
                note.write_text(json.dumps({"url": url, "validator": validator, "bytes": total}), encoding="utf-8")
            while chunk:
                file.write(chunk)
                bar.update(len(chunk))
                chunk = response.raw.read1(CHUNK_BYTES)
    if total is not None and (found := size_of(part)) != total:
        part.unlink()
        raise DownloadError(f"{url}: expected {total} bytes, found {found}; fetch it anew: {COMMAND}")


def fetch(session: requests.Session, url: str, target: Path, timeout: float, force: bool) -> None:
    """Download `url` to `target`, unless it is there and whole; `timeout` in seconds."""
    part, note = target.with_name(f"{target.name}.part"), target.with_name(f"{target.name}.json")
    size, known = size_of(target), read_note(note)
    if size and not force and known.get("url", url) == url and (known.get("bytes") or size) == size:
        print(f"{target}: {size / 1e6:.1f} MB are already here, nothing to download (--force fetches it anew)")
        return
    for attempt in range(1, ATTEMPTS + 1):
        try:
            receive(session, url, part, note, timeout)
            break
        except net.HTTPError as error:
            lost = f"{url}: {explain(error)}; {size_of(part) / 1e6:.1f} MB are kept in {part}"
            if attempt == ATTEMPTS:
                raise DownloadError(f"{lost} and the same command goes on: {COMMAND}") from error
            print(f"{lost}; attempt {attempt + 1} of {ATTEMPTS} goes on")
            time.sleep((attempt - 1) / 2)
    part.replace(target)
    print(f"{target}: {size_of(target) / 1e6:.1f} MB, downloaded")


def select(chunk: pd.DataFrame, package: Package, path: Path) -> pd.DataFrame:
    """Return the hours from START to END of a chunk of text, as UTC times and numbers in our units.

    Empty cells become NaN; order and duplicate timestamps stay. Raises DownloadError for what is not a time or number.
    """
    times = pd.to_datetime(chunk[TIME], format="ISO8601", utc=True, errors="coerce")
    if times.isna().any():
        raise DownloadError(
            f"{path}: column {TIME}: expected a time, found {chunk[TIME][times.isna()].iloc[0]!r}; {ANEW}"
        )
    chunk = chunk[times.between(START, END)]
    table = {TIME: times[chunk.index]}
    for column in package.columns:
        texts = chunk[column.raw]
        numbers = pd.to_numeric(texts, errors="coerce").astype("float64")
        if len(wrong := texts[numbers.isna() & texts.notna()]):
            found = f"expected a number, found {wrong.iloc[0]!r} at {chunk[TIME][wrong.index[0]]}"
            raise DownloadError(f"{path}: column {column.raw}: {found}; {ANEW}")
        table[column.name] = numbers / column.per
    return pd.DataFrame(table)


def read_hours(path: Path, package: Package) -> pd.DataFrame:
    """Read what `select` keeps of a raw file; columns that are not needed are never held, nor the whole file."""
    wanted = [TIME, *(column.raw for column in package.columns)]
    try:
        found = pd.read_csv(path, nrows=0).columns
        if missing := [name for name in wanted if name not in found]:
            raise DownloadError(f"{path}: expected the column {missing[0]}, found {len(found)} others; {ANEW}")
        with pd.read_csv(path, usecols=wanted, dtype=str, chunksize=CHUNK_ROWS) as chunks:
            tables = [select(chunk, package, path) for chunk in chunks]
    except ValueError as error:  # the parser's errors and those of decoding are kinds of it
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DownloadError(f"{path}: expected a CSV table, found: {reason}; {ANEW}") from error
    if not tables:
        raise DownloadError(f"{path}: expected hours from {START:%Y} to {END:%Y}, found no rows; {ANEW}")
    return pd.concat(tables, ignore_index=True)


def join_hours(series: pd.DataFrame, weather: pd.DataFrame) -> pd.DataFrame:
    """Join on the hour and drop rows that lack a value; duplicate timestamps stay, a later step repairs them."""
    return series.merge(weather, on=TIME, how="inner").dropna(ignore_index=True)


def check(table: pd.DataFrame, files: dict[Path, Package]) -> None:
    """Raise DownloadError unless enough hours are there and all values are plausible."""
    if (present := table[TIME].nunique()) < LEAST_SHARE * HOURS:
        least = f"expected at least {LEAST_SHARE:.0%} of the {HOURS} hours from {START:%Y} to {END:%Y}"
        names = " and ".join(map(str, files))
        raise DownloadError(f"{names}: column {TIME}: {least}, found {present} with all values; {ANEW}")
    for path, package in files.items():
        for column in package.columns:
            if len(strange := table[~table[column.name].between(column.low, column.high)]):
                found = f"found {strange[column.name].iloc[0]:g} at {strange[TIME].iloc[0]}"
                expected = f"expected {column.low} to {column.high} {column.unit}"
                raise DownloadError(f"{path}: column {column.raw}: {expected}, {found}; {ANEW}")


def describe(text: str, packages: list[Package]) -> dict:
    """Return the Frictionless Data Package descriptor of germany.csv, whose content is `text`."""
    about_time = {"unit": "UTC", "description": "Start of the hour; a few hours are missing and a few stand twice"}
    fields = [{"name": TIME, "type": "datetime", "format": "%Y-%m-%d %H:%M:%S%z"} | about_time]
    sources = []
    for package in packages:
        known = {"title": package.title, "version": package.version, "doi": package.doi}
        rights = {"licence": LICENCE, "citation": CITATION.format(**known)}
        sources.append(known | {"path": package.url, "hash": f"sha256:{package.sha256}"} | rights)
        fields += [
            {"name": column.name, "type": "number", "unit": column.unit, "description": column.description}
            for column in package.columns
        ]
    resource = {"name": "germany", "path": "germany.csv", "title": TITLE, "profile": "tabular-data-resource"}
    resource |= {"format": "csv", "mediatype": "text/csv", "encoding": "utf-8", "bytes": len(text.encode())}
    resource |= {"hash": f"sha256:{hashlib.sha256(text.encode()).hexdigest()}", "schema": {"fields": fields}}
    return {"name": "opsd-germany", "title": TITLE, "sources": sources, "resources": [resource]}


def write_beside(folder: Path, texts: dict[str, str]) -> None:
    """Write all files beside their targets, then rename them: no reader ever meets half a file."""
    new = {folder / f"{name}.new": folder / name for name in texts}
    try:
        for path, text in zip(new, texts.values(), strict=True):
            path.write_text(text, encoding="utf-8", newline="\n")
        for path, target in new.items():
            path.replace(target)
    finally:
        for path in new:
            path.unlink(missing_ok=True)


def build(packages: list[Package], folder: Path, timeout: float, force: bool) -> None:
    """Fetch, check and write; `timeout` in seconds is for connecting and for each wait for data."""
    files = {folder / "raw" / RAW_NAMES[package.title]: package for package in packages}
    (folder / "raw").mkdir(parents=True, exist_ok=True)
    retry = Retry(2, backoff_factor=0.2, status_forcelist=(502, 503, 504), raise_on_status=False)
    retry.respect_retry_after_header = False  # a server may ask for hours
    with requests.Session() as session:
        for scheme in ("http://", "https://"):
            session.mount(scheme, HTTPAdapter(max_retries=retry))
        for path, package in files.items():
            fetch(session, package.url, path, timeout, force)
    for path, package in files.items():
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if package.sha256 not in (None, found):
            raise DownloadError(f"{path}: expected the published SHA-256 {package.sha256}, found {found}; {ANEW}")
        files[path] = replace(package, sha256=found)
    table = join_hours(*(read_hours(path, package) for path, package in files.items()))
    check(table, files)
    text = table.to_csv(index=False, lineterminator="\n")
    descriptor = json.dumps(describe(text, list(files.values())), indent=2) + "\n"
    write_beside(folder, {"germany.csv": text, "datapackage.json": descriptor})
    root, target = FOLDER.parent, (folder / "germany.csv").resolve()
    shown = target.relative_to(root).as_posix() if target.is_relative_to(root) else f'"{target}"'
    print(f"{shown}: {len(table)} hours, {table[TIME].min()} to {table[TIME].max()}")
    print(f"Next: python workshop.py run --data {shown}")


def http_url(text: str) -> str:
    """Return an http or https address unchanged; refuse all others."""
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise argparse.ArgumentTypeError(f"expected an address that begins with http:// or https://, found {text!r}")
    return text


def seconds(text: str) -> float:
    """Return a positive number of seconds."""
    if not 0 < float(text) < float("inf"):
        raise argparse.ArgumentTypeError(f"expected seconds above 0, found {text!r}")
    return float(text)


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--output", type=Path, default=FOLDER / "opsd", metavar="DIR", help="folder of what is written")
    parser.add_argument("--time-series-url", type=http_url, default=SERIES.url, metavar="URL", help=SERIES.title)
    parser.add_argument("--weather-url", type=http_url, default=WEATHER.url, metavar="URL", help=WEATHER.title)
    parser.add_argument("--timeout", type=seconds, default=30, metavar="SECONDS", help="longest wait for the server")
    parser.add_argument("--force", action="store_true", help="download again what is already here")
    options = parser.parse_args(argv)
    urls = {SERIES: options.time_series_url, WEATHER: options.weather_url}
    # The published checksum is that of the published file; another address may hold another file.
    packages = [p if url == p.url else replace(p, url=url, sha256=None) for p, url in urls.items()]
    try:
        build(packages, options.output, options.timeout, options.force)
    except DownloadError as error:
        print(error, file=sys.stderr)
    except KeyboardInterrupt:
        kept = f"{options.output / 'raw'} keeps what has arrived and the same command goes on"
        print(f"Stopped; {kept}: {COMMAND}", file=sys.stderr)
        return 130
    except OSError as error:
        what = "the disk is full" if error.errno == errno.ENOSPC else error.strerror or error
        print(f"{error.filename or options.output}: {what}; choose another folder with --output", file=sys.stderr)
    else:
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
