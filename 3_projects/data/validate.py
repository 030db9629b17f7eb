"""What a CSV must look like, what is repaired in it, and what is refused.

    python validate.py FILE

Repaired, counted and marked in the column ``repaired``: an hour that appears more than once (as at the end of daylight
saving time) becomes the mean of its rows; gaps of up to 3 hours are interpolated; gaps of up to 24 hours are filled
from the same hours of the days around. At both ends of the file the nearest value or day is used.

Repaired and counted: rows out of order are sorted; power a little below 0 (what the plants themselves consume) and
radiation a little below 0 (the instrument's offset) become 0, and so does solar power that is empty at night; decimal
commas become points.

Harmless: another offset than UTC's, or seconds since 1970, which are converted; lines without any value; columns that
nobody asked for; semicolons or tabs between the values; a byte order mark; quotation marks and spaces around a value.
Everything else is refused.
"""

import csv
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from features import clear_sky_radiation, solar_elevation

LONGEST_GAP = 24  # hours; the real series loses most of a day when daylight saving time begins
LONGEST_LINE = 3  # hours over which a straight line is still a fair guess
LARGEST_REPAIR = 0.02  # share of the hours; more than that is another kind of file, not a series with gaps
# Country means and sums for Germany: the limits leave room for what has not been seen yet, not for another unit.
GERMANY = json.loads(Path(__file__).with_name("schema.json").read_text(encoding="utf-8"))
TIME = "utc_timestamp"
WEATHER = [field["name"] for field in GERMANY["fields"] if field["role"] == "input"]
OTHER_UNIT = {
    "GW": "MW, divide it by 1000",
    "m/s": "km/h, divide it by 3.6",
    "degrees C": "kelvin, subtract 273.15",
    "W/m2": "kJ/m2 per hour, divide it by 3.6",
}
BELOW_ZERO = {"GW": 0.1, "W/m2": 10}  # what an instrument may read where there is nothing to measure
NO_VALUE = r"|NaN|nan|N/?A|n/[ae]|[-–]+|null|None|-9{3,}(\.[09]*)?"
# What units are judged by. Of the real series the median of the wind is at most 7.0 m/s in 28 days and 3.9 in a year;
# the brightest of 28 days has 0.77 to 1.09 times the radiation of a cloudless day, by clear_sky_radiation().
ENOUGH_DAYS = 28
HIGHEST_MEDIAN_WIND, HIGHEST_IN_A_YEAR = 9.0, 5.5
OTHER_RADIATION = (  # that share of a cloudless day, from and to
    (0.0, 0.01, "kW/m2. Multiply both columns by 1000"),
    (0.01, 0.5, "J/cm2 per hour. Divide both columns by 0.36"),
    (2.5, np.inf, "kJ/m2 per hour. Divide both columns by 3.6"),
)


class DataError(Exception):
    """A file that can't be used: its name, the place in it, what was expected, what was found, and what to do.

    The functions below say all but the file's name, which load() puts in front.
    """


def read_subject(path: Path) -> dict:
    """Return the description of a CSV: title, place, time zone, and columns with role, title, unit and plausible range.

    The data package beside the file says so, as far as it does, and schema.json the rest. Raises DataError if the
    package can't be understood.
    """
    beside, package, resource = path.with_name("datapackage.json"), {}, {}
    try:
        if beside.exists():
            package = json.loads(beside.read_text(encoding="utf-8-sig"))
            resource = next((part for part in package["resources"] if part["path"] == path.name), {})
        described = [field for field in resource.get("schema", {}).get("fields", []) if "role" in field]
        columns = [
            {key: field[key] for key in ("name", "role", "title", "unit")}
            | {"low": field["constraints"]["minimum"], "high": field["constraints"]["maximum"]}
            for field in described or GERMANY["fields"]
            if field["role"] != "time"
        ]
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise DataError(
            f"{beside}: expected a data package that says what {path.name} is, found what can't be understood "
            f"({error!r:.80}). Correct it, or delete it."
        ) from None
    return {
        "title": str(resource.get("title") or f"{path.name} (its source is not stated)"),
        "columns": columns,
        "place": package.get("place", GERMANY["place"]),
        "time_zone": package.get("time_zone", GERMANY["time_zone"]),
    }


def read_text(path: Path) -> str:
    """Return the text of a file in UTF-8."""
    try:
        if path.is_dir():
            raise DataError("expected a CSV file, found a directory. Name the file in it.")
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise DataError(f"no such file. Give the path of a CSV with a column {TIME}.") from None
    except OSError as error:
        raise DataError(f"can't be read ({error.strerror}). Give a file that you may read.") from None
    except UnicodeDecodeError as error:
        line, byte = error.object.count(b"\n", 0, error.start) + 1, error.object[error.start]
        raise DataError(
            f"line {line}: expected text in UTF-8, found the byte 0x{byte:02X}. Save the table as CSV in UTF-8."
        ) from None


def read_csv(text: str, columns: Sequence[str]) -> pd.DataFrame:
    """Return the columns of a CSV as text, indexed by line number."""
    mark = max(",;\t", key=text.lstrip().partition("\n")[0].count)  # a comma if there is none
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, skipinitialspace=True, delimiter=mark)
    rows, line = {}, 1
    try:
        for row in reader:
            if any(cells := [cell.strip() for cell in row]):
                rows[line] = cells
            line = reader.line_num + 1  # a row with a line break in a cell takes several lines
    except csv.Error:
        raise DataError(
            f"line {line}: expected values separated by {mark!r}, found a quotation mark that is not closed, or not at "
            "the end of its value. Correct the quotation marks."
        ) from None
    if not rows:
        raise DataError("expected a header and hourly rows, found an empty file. Export the table again.")
    top = min(rows)
    header = rows.pop(top)
    for name in columns:
        if header.count(name) != 1:
            what = "appears more than once" if name in header else "is missing"
            raise DataError(
                f"column {name!r} {what} in line {top}; expected {', '.join(columns)}; found "
                f"{_shown(', '.join(header), 200)}. Give each expected column once."
            )
    if not rows:
        raise DataError("expected hourly rows, found none. Export the table again.")
    for line, cells in rows.items():
        if len(cells) != len(header):
            raise DataError(
                f"line {line}: expected {len(header)} values, as many as the header has, found {len(cells)}. "
                "Correct the line; a number is written with a decimal point, a comma begins the next value."
            )
    return pd.DataFrame(list(rows.values()), columns=header, index=list(rows))[columns]


def parse_times(text: pd.Series) -> pd.DatetimeIndex:
    """Return the times in UTC; each has to be a full hour with a stated offset from UTC."""
    if text.str.fullmatch(r"\d{10}(000)?").all():  # seconds or milliseconds since 1970, which are in UTC
        text = pd.to_datetime(text.str[:10].astype("int64"), unit="s", utc=True).astype(str)
    text = text.str.replace(r"\s*(UTC|GMT)$", "+00:00", regex=True)
    times = pd.to_datetime(text, utc=True, errors="coerce", format="ISO8601")
    stated = text.str.contains(r"[ T]\d\d.*(?:Z|[+-]\d\d(?::?\d\d)?)$")
    full_hour = times == times.dt.floor("h")
    for wrong, expected, remedy in (
        (times.isna(), "a time such as 2013-01-01 00:00:00+00:00", "Correct it, or delete the line."),
        (~stated, "a time with its offset from UTC", "If the times are in UTC, append +00:00 to each."),
        (~full_hour, "a full hour", "Take means of whole hours, or the starts of mid-hour times."),
    ):
        if wrong.any():
            line = wrong.idxmax()
            raise DataError(
                f"column {TIME!r}, line {line}: expected {expected}, found {_shown(text[line])}, and so in "
                f"{wrong.sum()} of {len(text)} rows. {remedy}"
            )
    return pd.DatetimeIndex(times, name=TIME)


def parse_numbers(text: pd.DataFrame, columns: list[dict]) -> tuple[pd.DataFrame, dict[str, int]]:
    """Return the columns beside the time as floats, NaN where a cell is empty, and the repairs made.

    ``columns`` are those of read_subject(), which know the unit and the plausible range of each.
    """
    cells = text.drop(columns=TIME)
    empty = cells.apply(lambda column: column.str.fullmatch(NO_VALUE))
    # In another country 1,361 is 1361. But where no number has a point, and one is such as 0,5 or 13,61, all are clear.
    stated, commas = cells.mask(empty).stack().dropna(), 0
    if stated.str.fullmatch(r"-?\d+(,\d+)?").all() and stated.str.fullmatch(r"-?(0,\d+|\d+,(?!\d{3}$)\d+)").any():
        cells, commas = cells.replace(",", ".", regex=True), int(stated.str.contains(",").sum())
    numbers = cells.mask(empty).apply(pd.to_numeric, errors="coerce").astype(float)
    small = 0
    for column in columns:
        name, unit = column["name"], column["unit"]
        if name not in numbers:
            continue
        below = numbers[name].between(-BELOW_ZERO.get(unit, 0), 0, "left")
        small += int(below.sum())
        numbers[name] = numbers[name].mask(below, 0.0)
        wrong = ~numbers[name].between(column["low"], column["high"]) & ~empty[name]  # text is NaN, and in no range
        if wrong.any():
            line, more = wrong.idxmax(), wrong.sum() - 1
            others = f" and {more} more such value{'s' if more > 1 else ''}" if more else ""
            hint = f" If the column is in {OTHER_UNIT[unit]}." if more and unit in OTHER_UNIT else ""
            raise DataError(
                f"column {name!r}, line {line} ({text.loc[line, TIME]}): expected a number from {column['low']} to "
                f"{column['high']} ({unit}), found {_shown(text.loc[line, name])}{others}. Correct it, or leave the "
                f"cell empty.{hint}"
            )
    return numbers, {"values a little below 0": small, "decimal commas": commas}


def check_units(numbers: pd.DataFrame) -> None:
    """Raise DataError if wind or radiation can't be in the expected unit; a short series may be of odd weather."""
    days = (numbers.index.max() - numbers.index.min()) / pd.Timedelta(days=1)
    if days < ENOUGH_DAYS:
        return
    median = numbers["windspeed"].median()
    if median > (HIGHEST_MEDIAN_WIND if days < 365 else HIGHEST_IN_A_YEAR):
        raise DataError(
            f"column 'windspeed': expected m/s, found a median of {median:.1f}, which looks like km/h, mph or knots. "
            "Divide the column by 3.6, 2.237 or 1.944."
        )
    radiation = numbers[["rad_horizontal", "rad_diffuse"]].sum(axis=1)
    clear = pd.Series(clear_sky_radiation(solar_elevation(numbers.index)), numbers.index)
    by_day, clear_by_day = (hours.groupby(numbers.index.floor("D")).sum() for hours in (radiation, clear))
    brightest = (by_day / clear_by_day)[clear_by_day > 1000].max()
    for low, high, unit in OTHER_RADIATION:
        if low < brightest <= high:
            raise DataError(
                f"columns 'rad_horizontal' and 'rad_diffuse': expected W/m2, found {brightest:.2g} times the radiation "
                f"of a cloudless day on the brightest one, which looks like {unit}."
            )


def repair(frame: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, int]]:
    """Return one row for every hour, with a column ``repaired``, and how often each repair was made.

    ``frame`` has a UTC index of full hours and float columns.
    """
    repairs = {"rows out of order": int((np.diff(frame.index.asi8) < 0).sum())}
    if "solar_GW" in frame:
        night = frame["solar_GW"].isna() & (solar_elevation(frame.index) < 0)
        frame = frame.assign(solar_GW=frame["solar_GW"].mask(night, 0.0))
        repairs["empty solar hours at night"] = int(night.sum())
    twice = frame.index[frame.index.duplicated()].unique()
    hours = frame.groupby(level=0).mean()
    gaps = hours.index.diff()[1:] // pd.Timedelta(hours=1) - 1
    if len(gaps):
        check_gap("rows", hours.index[gaps.argmax()] + pd.Timedelta(hours=1), gaps.max())
    hourly = hours.asfreq("h")
    missing = hourly.isna()
    # For each missing hour how many hours its gap has, and 0 for the others.
    length = missing.apply(lambda empty: empty.groupby((empty != empty.shift()).cumsum()).transform("sum"))
    for name in hourly.columns:
        check_gap(f"values in column {name!r}", length[name].idxmax(), length[name].max())
    by_hour = hourly.groupby(hourly.index.hour).transform(lambda days: days.interpolate(limit_direction="both"))
    filled = hourly.fillna(hourly.interpolate(limit_direction="both").where(length <= LONGEST_LINE)).fillna(by_hour)
    filled["repaired"] = missing.any(axis=1) | filled.index.isin(twice)
    if filled["repaired"].sum() > max(LARGEST_REPAIR * len(filled), LONGEST_LINE):  # a forecast has few hours
        raise DataError(
            f"expected at most {LARGEST_REPAIR:.0%} of the hours to be incomplete or to appear twice, found "
            f"{filled['repaired'].sum()} of {len(filled)}. Give an hourly series."
        )
    return filled, repairs | {"hours that appeared twice": len(twice), "hours filled": int(missing.any(axis=1).sum())}


def check_gap(what: str, start: pd.Timestamp, hours: int) -> None:
    """Raise DataError if a gap that begins at ``start`` is too long."""
    if hours > LONGEST_GAP:
        hour = pd.Timedelta(hours=1)
        raise DataError(
            f"expected gaps of at most {LONGEST_GAP} hours, found no {what} between {start - hour} and "
            f"{start + int(hours) * hour} ({hours} hours). Add them, correct a wrong time, or keep one side of the gap."
        )


def _shown(text: str, most: int = 40) -> str:
    whole = repr(text)  # in which no control character is left
    return whole if len(whole) <= most else f"{whole[:most]}...{whole[-1]}"


def in_words(repairs: dict[str, int]) -> str:
    """Return a list of the repairs that were made."""
    return ", ".join(f"{count} {name}" for name, count in repairs.items() if count) or "nothing"


def load(path: Path, columns: Sequence[str] | None = None) -> tuple[pd.DataFrame, dict[str, int]]:
    """Return the hourly series of a CSV, by default its targets and inputs, and the repairs made.

    Raises DataError if the file can't be used.
    """
    described = read_subject(path)["columns"]
    try:
        text = read_csv(read_text(path), [TIME, *(columns or (column["name"] for column in described))])
        times = parse_times(text[TIME])
        numbers, cells_repaired = parse_numbers(text, described)
        numbers = numbers.set_index(times)
        check_units(numbers)
        filled, repairs = repair(numbers)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    return filled, repairs | cells_repaired


if __name__ == "__main__":
    try:
        checked, made = load(Path(sys.argv[1]))
    except DataError as error:
        sys.exit(str(error))
    print(f"{len(checked)} hours from {checked.index[0]} to {checked.index[-1]}; repaired: {in_words(made)}")
