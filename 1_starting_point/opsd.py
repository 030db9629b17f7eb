"""What the workshop takes from Open Power System Data, and how two of its packages become one table.

Used by download.py. The source: https://open-power-system-data.org
"""

import hashlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pandas as pd

# What a table must look like stands once, in the project that every table has to pass.
sys.path.append(str(Path(__file__).resolve().parents[1] / "3_projects" / "data"))
from validate import DataError, load

TITLE = "Open Power System Data: Germany, hourly, 2013 to 2016"
TIME = "utc_timestamp"
START, END = pd.Timestamp("2013-01-01T00:00Z"), pd.Timestamp("2016-12-31T23:00Z")  # first and last hour, both included
LEAST_SHARE = 0.9  # of 2013 to 2015 the real table has 99.8 %
LICENCE = "No licence for the data is known to come with the package; the primary data's owners may hold rights."
CITATION = "Open Power System Data. 2019. {title}. Version {version}. https://doi.org/{doi}."


class RawError(Exception):
    """A raw file that can't be used; the message says where in it, what was expected and what was found."""


class Column(NamedTuple):
    """A column of germany.csv: the raw column divided by `per`."""

    name: str
    raw: str
    unit: str
    description: str
    per: float = 1


@dataclass(frozen=True)
class Package:
    """One file of Open Power System Data, and the columns that are taken from it."""

    title: str
    version: str
    doi: str
    url: str
    file: str
    columns: tuple[Column, ...]


SERIES = Package(
    title="Data Package Time series",
    version="2019-06-05",
    doi="10.25832/time_series/2019-06-05",
    url="https://data.open-power-system-data.org/time_series/2019-06-05/time_series_60min_singleindex.csv",
    file="time_series_60min_singleindex.csv",
    columns=(
        Column("solar_GW", "DE_solar_generation_actual", "GW", "Solar power generated in Germany", per=1000),
        Column("wind_GW", "DE_wind_generation_actual", "GW", "Wind power generated in Germany", per=1000),
    ),
)
WEATHER = Package(
    title="Data Package Weather Data",
    version="2019-04-09",
    doi="10.25832/weather_data/2019-04-09",
    url="https://data.open-power-system-data.org/weather_data/2019-04-09/weather_data.csv",
    file="weather_data.csv",
    columns=(
        Column("windspeed", "DE_windspeed_10m", "m/s", "Wind speed at 10 m, mean of Germany"),
        Column("temperature", "DE_temperature", "degrees C", "Air temperature, mean of Germany"),
        Column("rad_horizontal", "DE_radiation_direct_horizontal", "W/m2", "Direct radiation on the horizontal"),
        Column("rad_diffuse", "DE_radiation_diffuse_horizontal", "W/m2", "Diffuse radiation on the horizontal"),
    ),
)


def read_hours(path: Path, package: Package) -> pd.DataFrame:
    """Return the hours from START to END of a raw file, as UTC times and numbers in the units of the columns.

    Empty cells become NaN; order and duplicate times stay. Raises RawError if a column, time or number is not right.
    """
    wanted = [TIME, *(column.raw for column in package.columns)]
    try:
        found = pd.read_csv(path, nrows=0).columns
        if missing := [name for name in wanted if name not in found]:
            raise RawError(f"{path}: expected the column {missing[0]}, found {len(found)} others")
        text = pd.read_csv(path, usecols=wanted, dtype=str)
    except ValueError as error:  # the parser's errors and those of decoding are kinds of it
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise RawError(f"{path}: expected a CSV table, found: {reason}") from error
    times = pd.to_datetime(text[TIME], format="ISO8601", utc=True, errors="coerce")
    if times.isna().any():
        raise RawError(f"{path}: column {TIME}: expected a time, found {text[TIME][times.isna()].iloc[0]!r}")
    inside = times.between(START, END)
    text, table = text[inside], {TIME: times[inside]}
    for column in package.columns:
        cells = text[column.raw]
        numbers = pd.to_numeric(cells, errors="coerce").astype("float64")
        if len(wrong := cells[numbers.isna() & cells.notna()]):
            place = f"{path}: column {column.raw}, {text[TIME][wrong.index[0]]}"
            raise RawError(f"{place}: expected a number, found {wrong.iloc[0]!r}")
        table[column.name] = numbers / column.per
    return pd.DataFrame(table)


def join_hours(series: pd.DataFrame, weather: pd.DataFrame) -> pd.DataFrame:
    """Join on the hour and drop rows that lack a value; duplicate times stay, a later step repairs them.

    Raises RawError unless most of the hours from START to END are there.
    """
    table = series.merge(weather, on=TIME, how="inner").dropna(ignore_index=True)
    hours = int((END - START) / pd.Timedelta(hours=1)) + 1
    if (found := table[TIME].nunique()) < LEAST_SHARE * hours:
        expected = f"at least {LEAST_SHARE:.0%} of the {hours} hours from {START:%Y} to {END:%Y}"
        raise RawError(f"column {TIME}: expected {expected}, found {found} with all values")
    return table


def describe(csv: bytes, urls: dict[Package, str], hashes: dict[Package, str]) -> dict:
    """Return the Frictionless Data Package descriptor of germany.csv, whose content is `csv`.

    `urls` and `hashes` tell where the raw file of each package came from and the SHA-256 of what came.
    """
    about_time = {"unit": "UTC", "description": "Start of the hour; a few hours are missing and a few stand twice"}
    fields = [{"name": TIME, "type": "datetime", "format": "%Y-%m-%d %H:%M:%S%z"} | about_time]
    sources = []
    for package, url in urls.items():
        known = {"title": package.title, "version": package.version, "doi": package.doi}
        rights = {"licence": LICENCE, "citation": CITATION.format(**known)}
        sources.append(known | {"path": url, "hash": f"sha256:{hashes[package]}"} | rights)
        fields += [
            {"name": column.name, "type": "number", "unit": column.unit, "description": column.description}
            for column in package.columns
        ]
    resource = {"name": "germany", "path": "germany.csv", "title": TITLE, "profile": "tabular-data-resource"}
    resource |= {"format": "csv", "mediatype": "text/csv", "encoding": "utf-8", "bytes": len(csv)}
    resource |= {"hash": f"sha256:{hashlib.sha256(csv).hexdigest()}", "schema": {"fields": fields}}
    return {"name": "opsd-germany", "title": TITLE, "sources": sources, "resources": [resource]}


def write_table(raw: dict[Package, Path], urls: dict[Package, str], folder: Path) -> pd.DataFrame:
    """Make germany.csv and datapackage.json of the raw files and return the table.

    What was there before is replaced only by what has passed every check. Raises RawError.
    """
    csv, descriptor = folder / "germany.csv.new", folder / "datapackage.json.new"
    try:
        table = join_hours(*(read_hours(path, package) for package, path in raw.items()))
        table.to_csv(csv, index=False, lineterminator="\n")
        load(csv)
        hashes = {}
        for package, path in raw.items():
            with path.open("rb") as file:
                hashes[package] = hashlib.file_digest(file, "sha256").hexdigest()
        about = json.dumps(describe(csv.read_bytes(), urls, hashes), indent=2) + "\n"
        descriptor.write_text(about, encoding="utf-8", newline="\n")
        for path in (csv, descriptor):  # renamed when whole: no reader ever meets half a file
            path.replace(path.with_suffix(""))
    except DataError as error:
        raise RawError(str(error).removesuffix(".")) from error
    finally:
        csv.unlink(missing_ok=True)
        descriptor.unlink(missing_ok=True)
    return table
