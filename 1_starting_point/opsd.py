"""What the workshop takes from Open Power System Data, and how two of its packages become one table.

Used by download.py. The source: https://open-power-system-data.org
"""

import hashlib
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from forecasting.errors import UserError, first_line
from forecasting.files import replacing, sha256

# What a table must look like is said once, by the project that makes the hourly table of it.
DATA_PROJECT = Path(__file__).resolve().parents[1] / "3_projects" / "data"
SCHEMA = json.loads((DATA_PROJECT / "schema.json").read_text(encoding="utf-8"))
TITLE = "Open Power System Data: Germany, hourly, 2013 to 2016"
TIME = "utc_timestamp"
START, END = pd.Timestamp("2013-01-01T00:00Z"), pd.Timestamp("2016-12-31T23:00Z")  # first and last hour, both included
LEAST_SHARE = 0.9  # of 2013 to 2015 the real table has 99.8 %
LICENCE = "No licence for the data is known to come with the package; the primary data's owners may hold rights."
CITATION = "Open Power System Data. 2019. {title}. Version {version}. https://doi.org/{doi}."


@dataclass(frozen=True)
class Package:
    """One file of Open Power System Data, and the columns that are taken from it."""

    title: str
    version: str
    doi: str
    url: str
    columns: tuple[tuple[str, str], ...]  # the name in germany.csv and the name in the file
    per: float = 1  # what the numbers in the file are divided by

    @property
    def file(self) -> str:
        """Return the file's name."""
        return self.url.rpartition("/")[2]


SERIES = Package(
    title="Data Package Time series",
    version="2019-06-05",
    doi="10.25832/time_series/2019-06-05",
    url="https://data.open-power-system-data.org/time_series/2019-06-05/time_series_60min_singleindex.csv",
    columns=(("solar_GW", "DE_solar_generation_actual"), ("wind_GW", "DE_wind_generation_actual")),
    per=1000,  # MW
)
WEATHER = Package(
    title="Data Package Weather Data",
    version="2019-04-09",
    doi="10.25832/weather_data/2019-04-09",
    url="https://data.open-power-system-data.org/weather_data/2019-04-09/weather_data.csv",
    columns=(
        ("windspeed", "DE_windspeed_10m"),
        ("temperature", "DE_temperature"),
        ("rad_horizontal", "DE_radiation_direct_horizontal"),
        ("rad_diffuse", "DE_radiation_diffuse_horizontal"),
    ),
)


def read_hours(path: Path, package: Package) -> pd.DataFrame:
    """Return the hours from START to END of a raw file, as UTC times and numbers in the units of the columns.

    Empty cells become NaN; order and duplicate times stay. Raises UserError if a column, time or number is not right.
    """
    names = {raw: name for name, raw in package.columns}
    try:
        table = pd.read_csv(path, usecols=[TIME, *names], dtype=dict.fromkeys(names, "float64"))
        table[TIME] = pd.to_datetime(table[TIME], format="ISO8601", utc=True)
    except ValueError as error:  # the parser's errors and those of decoding are kinds of it
        raise UserError(f"{path}: expected a CSV table of times and numbers, found: {first_line(error)}") from error
    table = table[table[TIME].between(START, END)].set_index(TIME)[list(names)]
    return (table / package.per).rename(columns=names).reset_index()


def join_hours(series: pd.DataFrame, weather: pd.DataFrame) -> pd.DataFrame:
    """Join on the hour and drop rows that lack a value; duplicate times stay, a later step repairs them.

    Raises UserError unless most of the hours from START to END are there.
    """
    table = series.merge(weather, on=TIME, how="inner").dropna(ignore_index=True)
    hours = int((END - START) / pd.Timedelta(hours=1)) + 1
    if (complete := table[TIME].nunique()) < LEAST_SHARE * hours:
        expected = f"at least {LEAST_SHARE:.0%} of the {hours} hours from {START:%Y} to {END:%Y}"
        raise UserError(f"column {TIME}: expected {expected}, found {complete} with all values")
    return table


def describe(csv: bytes, urls: dict[Package, str], hashes: dict[Package, str]) -> dict:
    """Return the Frictionless Data Package descriptor of germany.csv, whose content is `csv`.

    `urls` and `hashes` tell where the raw file of each package came from and the SHA-256 of what came.
    """
    sources = []
    for package, url in urls.items():
        known = {"title": package.title, "version": package.version, "doi": package.doi}
        rights = {"licence": LICENCE, "citation": CITATION.format(**known)}
        sources.append(known | {"path": url, "hash": f"sha256:{hashes[package]}"} | rights)
    resource = {"name": "germany", "path": "germany.csv", "title": TITLE, "bytes": len(csv)}
    resource |= {"hash": f"sha256:{hashlib.sha256(csv).hexdigest()}", "schema": {"fields": SCHEMA["fields"]}}
    about = {"name": "opsd-germany", "title": TITLE, "place": SCHEMA["place"], "time_zone": SCHEMA["time_zone"]}
    return about | {"sources": sources, "resources": [resource]}


def check_table(csv: Path) -> None:
    """Raise UserError unless 3_projects/data would accept the table."""
    command = [sys.executable, DATA_PROJECT / "validate.py", csv]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)
    if done.returncode:
        raise UserError(done.stderr.strip().splitlines()[-1].removesuffix("."))


def write_table(raw: dict[Package, Path], urls: dict[Package, str], folder: Path) -> pd.DataFrame:
    """Make germany.csv and datapackage.json of the raw files and return the table.

    What was there before is replaced only by what has passed every check. Raises UserError.
    """
    table = join_hours(*(read_hours(path, package) for package, path in raw.items()))
    with replacing(folder / "germany.csv") as csv, replacing(folder / "datapackage.json") as descriptor:
        table.to_csv(csv, index=False, lineterminator="\n")
        check_table(csv)
        hashes = {package: sha256(path) for package, path in raw.items()}
        about = json.dumps(describe(csv.read_bytes(), urls, hashes), indent=2) + "\n"
        descriptor.write_text(about, encoding="utf-8", newline="\n")
    return table
