"""Chapter 1: the data are here, and it is known what they are."""

import csv
import json
from pathlib import Path

from mlflow import MlflowClient

from server.steps import NotYet, Skipped, Wrong

HERE = Path(__file__).resolve().parent
COLUMNS = ["utc_timestamp", "solar_GW", "wind_GW", "windspeed", "temperature", "rad_horizontal", "rad_diffuse"]


def title_of(data: Path) -> str:
    """Return what datapackage.json says of germany.csv in the same folder; raises LookupError if it says nothing."""
    package = json.loads((data / "datapackage.json").read_text(encoding="utf-8-sig"))
    return next(resource["title"] for resource in package["resources"] if resource["path"] == "germany.csv")


def sample(client: MlflowClient) -> None:
    """Have the sample `germany.csv`, with all its columns."""
    make = "python 1_starting_point/simulate.py"
    try:
        with (HERE / "germany.csv").open(encoding="utf-8-sig", newline="") as file:
            header = next(csv.reader(file), [])
    except FileNotFoundError:
        raise NotYet("1_starting_point/germany.csv is not there. Make it again.", make) from None
    if missing := [column for column in COLUMNS if column not in header]:
        raise Wrong(f"1_starting_point/germany.csv has no column `{missing[0]}`. Make it again.", make)


def label(client: MlflowClient) -> str:
    """Have its label, which says what it is."""
    try:
        return title_of(HERE)
    except (OSError, ValueError, LookupError, TypeError, StopIteration):
        raise NotYet(
            "1_starting_point/datapackage.json is missing or says nothing of germany.csv, so nobody can tell whether "
            "the data are real. Make both again.",
            "python 1_starting_point/simulate.py",
        ) from None


def real_data(client: MlflowClient) -> str:
    """Fetch the real data."""
    try:
        return title_of(HERE / "opsd")
    except (OSError, ValueError, LookupError, TypeError, StopIteration):
        raise Skipped("the sample is enough. To fetch them: python 1_starting_point/download.py") from None


STEPS = [sample, label, real_data]
