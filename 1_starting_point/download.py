"""Fetch the real data: hourly wind and solar power and weather in Germany, 2013 to 2016.

    python 1_starting_point/download.py

The source is Open Power System Data (https://open-power-system-data.org). Two large CSV files come into
`1_starting_point/opsd/raw/`, where they stay; the few columns that the workshop needs become
`1_starting_point/opsd/germany.csv`, described by `datapackage.json` beside it. An interrupted download goes on
where it stopped when the same command is typed again. What is taken from the files, and how, is in opsd.py.
"""

import argparse
import errno
import json
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from opsd import SERIES, TIME, WEATHER, Package, write_table
from tqdm import tqdm

from forecasting.errors import UserError
from forecasting.files import replacing

FOLDER = Path(__file__).resolve().parent
COMMAND = "python 1_starting_point/download.py"
SEE_HELP = f"for another address see: {COMMAND} --help"
ATTEMPTS, PAUSE = 4, 0.5  # to receive one file, each going on where the one before was cut; seconds between them
BUSY = (502, 503, 504)


def explain(error: httpx.HTTPError) -> str:
    """Return in a few words why a file didn't arrive."""
    if isinstance(error, httpx.TimeoutException):
        return "no answer came in time (--timeout allows for more)"
    if isinstance(error, httpx.ConnectError):
        return f"no connection could be made ({error}; is there a network?)"
    return f"the connection was lost ({error})" if isinstance(error, httpx.TransportError) else str(error)


def size_of(path: Path) -> int:
    """Return the bytes in a file, 0 if there is none."""
    return path.stat().st_size if path.exists() else 0


def receive(url: str, part: Path, note: Path, timeout: float) -> None:
    """Receive the file at `url`, or what `part` lacks of it; `note` keeps where the part came from, and its version.

    Raises httpx.HTTPError if another attempt may go on, else UserError.
    """
    have, headers = size_of(part), {"Accept-Encoding": "identity"}
    source, validator = json.loads(note.read_text(encoding="utf-8")) if note.exists() else ("", None)
    if have and source == url and validator:
        # If-Range: the server sends a file that has changed in full, so it is not appended to the old part.
        headers |= {"Range": f"bytes={have}-", "If-Range": validator}
    with httpx.stream("GET", url, headers=headers, timeout=timeout, follow_redirects=True) as response:
        status, sent = response.status_code, response.headers
        if status in BUSY:
            raise httpx.HTTPError(f"the server is busy ({status} {response.reason_phrase})")
        if status == 416 or (status == 206 and not sent.get("Content-Range", "").startswith(f"bytes {have}-")):
            part.unlink(missing_ok=True)
            raise httpx.HTTPError("what the server has does not continue the part")
        if status not in (200, 206):
            raise UserError(f"{url}: expected the file, found the answer {status} {response.reason_phrase}; {SEE_HELP}")
        start = have if status == 206 else 0
        total = start + int(sent["Content-Length"]) if "Content-Length" in sent else None
        chunks = response.iter_raw()  # as they arrive: whoever stops a slow download loses nothing
        chunk = next(chunks, b"")
        if not start and chunk.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"<"):
            raise UserError(f"{url}: expected a CSV file, found a web page; {SEE_HELP}")
        bar = tqdm(total=total, initial=start, desc=part.stem, unit="B", unit_scale=True, disable=None)
        with bar, part.open("ab" if start else "wb", buffering=0) as file:
            if not start:  # only now that the old part is emptied: the note must not describe its bytes
                tag = sent.get("ETag", "W/")  # a weak tag does not promise equal bytes
                validator = sent.get("Last-Modified") if tag.startswith("W/") else tag
                with replacing(note) as written:
                    written.write_text(json.dumps([url, validator]), encoding="utf-8")
            while chunk:
                file.write(chunk)
                bar.update(len(chunk))
                chunk = next(chunks, b"")


def fetch(url: str, target: Path, timeout: float, force: bool) -> None:
    """Download `url` to `target`, unless it is there; `timeout` in seconds for each wait."""
    part, note = target.with_name(f"{target.name}.part"), target.with_name(f"{target.name}.part.json")
    if target.exists() and not force:
        print(
            f"{target}: {size_of(target) / 1e6:.1f} MB are already here, nothing to download (--force fetches it anew)"
        )
        return
    for attempt in range(1, ATTEMPTS + 1):
        try:
            receive(url, part, note, timeout)
            break
        except httpx.HTTPError as error:
            lost = f"{url}: {explain(error)}; {size_of(part) / 1e6:.1f} MB are kept in {part}"
            if attempt == ATTEMPTS:
                raise UserError(f"{lost} and the same command goes on: {COMMAND}") from error
            print(f"{lost}; attempt {attempt + 1} of {ATTEMPTS} goes on")
            time.sleep(PAUSE * (attempt - 1))
    part.replace(target)
    note.unlink()
    print(f"{target}: {size_of(target) / 1e6:.1f} MB, downloaded")


def build(urls: dict[Package, str], folder: Path, timeout: float, force: bool) -> None:
    """Fetch the raw files, make germany.csv of them and say what comes next."""
    (folder / "raw").mkdir(parents=True, exist_ok=True)
    raw = {package: folder / "raw" / package.file for package in urls}
    for package, url in urls.items():
        fetch(url, raw[package], timeout, force)
    try:
        table = write_table(raw, urls, folder)
    except UserError as error:
        left = f"{folder / 'germany.csv'}, to be made of {' and '.join(map(str, raw.values()))}, is left as it was"
        raise UserError(f"{error}; {left}; fetch them anew: {COMMAND} --force") from error
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
    try:
        build(urls, options.output, options.timeout, options.force)
    except UserError as error:
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
