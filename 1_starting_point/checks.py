"""Chapter 1: the data are here, and it is known what they are."""

import contextlib
import csv
import json
from pathlib import Path

from mlflow import MlflowClient

from server.steps import NotYet, Skipped, Wrong

HERE = Path(__file__).resolve().parent
MAKE = "python 1_starting_point/simulate.py"
COLUMNS = ["utc_timestamp", "solar_GW", "wind_GW", "windspeed", "temperature", "rad_horizontal", "rad_diffuse"]


def title_of(data: Path) -> str | None:
    """Read the description of germany.csv from the datapackage.json beside it; None if it is missing or empty."""
    with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
        package = json.loads((data / "datapackage.json").read_text(encoding="utf-8-sig"))
        return next((item["title"] for item in package["resources"] if item["path"] == "germany.csv"), None)


def sample(client: MlflowClient) -> None:
    """Have the sample `germany.csv`, with all its columns."""
    try:
        with (HERE / "germany.csv").open(encoding="utf-8-sig", newline="") as file:
            header = next(csv.reader(file), [])
    except FileNotFoundError:
        raise NotYet("1_starting_point/germany.csv is not there. Make it again.", MAKE) from None
    if missing := [column for column in COLUMNS if column not in header]:
        raise Wrong(f"1_starting_point/germany.csv has no column `{missing[0]}`. Make it again.", MAKE)


def label(client: MlflowClient) -> str:
    """Have its label, which says what it is."""
    if title := title_of(HERE):
        return title
    raise NotYet(
        "1_starting_point/datapackage.json is missing or says nothing of germany.csv, so nobody can tell whether the "
        "data are real. Make both again.",
        MAKE,
    )


def real_data(client: MlflowClient) -> str:
    """Fetch the real data."""
    if title := title_of(HERE / "opsd"):
        return title
    raise Skipped("the sample is enough. To fetch them: python 1_starting_point/download.py")


STEPS = [sample, label, real_data]
