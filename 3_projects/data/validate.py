"""What a CSV must look like, what is repaired in it, and what is refused.

Repaired, counted and marked in the column ``repaired``: an hour that stands more than once (as at the end of daylight
saving time) becomes the mean of its rows; gaps of up to 3 hours are interpolated; gaps of up to 24 hours are filled
from the same hours of the days around. At the ends the nearest value, or the nearest day's, stands in. Rows out of
order are sorted and counted.

Harmless: another offset than UTC's, which is converted; lines without any value; columns that nobody asked for; a byte
order mark; quotation marks and spaces around a value. Everything else is refused.
"""

import csv
import io
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

# pandera looks into pyspark.pandas where it is installed; that warns of pandas 3, and nothing here uses it.
warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)

import pandera.pandas as pa  # noqa: E402

LONGEST_GAP = 24  # hours; the real series loses most of a day when daylight saving time begins
LONGEST_LINE = 3  # hours over which a straight line is still a fair guess
LARGEST_REPAIR = 0.02  # share of the hours; more than that is another kind of file, not a series with gaps


def _column(low: float, high: float, unit: str, other_unit: str) -> pa.Column:
    expected = f"a number from {low} to {high} ({unit})"
    in_range = pa.Check.in_range(low, high)
    return pa.Column(float, in_range, nullable=True, description=expected, metadata={"other unit": other_unit})


# Country means and sums for Germany: the limits leave room for what has not been seen yet, not for another unit.
SCHEMA = pa.DataFrameSchema(
    {
        "solar_GW": _column(0, 100, "GW", "MW, divide it by 1000"),
        "wind_GW": _column(0, 100, "GW", "MW, divide it by 1000"),
        "windspeed": _column(0, 25, "m/s", "km/h, divide it by 3.6"),
        "temperature": _column(-45, 50, "degrees C", "kelvin, subtract 273.15"),
        "rad_horizontal": _column(0, 1100, "W/m2", "kJ/m2 per hour, divide it by 3.6"),
        "rad_diffuse": _column(0, 700, "W/m2", "kJ/m2 per hour, divide it by 3.6"),
    }
)
TIME = "utc_timestamp"
WANTED = [TIME, *SCHEMA.columns]
NO_VALUE = ["", "NaN", "nan", "NA", "null"]
# A stormy month has a median of 5 m/s. A median over 9 is not weather but another unit, such as km/h.
HIGHEST_MEDIAN_WIND = 9.0


class DataError(Exception):
    """A file that can't be used; the message names the file, the place, what was expected and what was found."""


def read_text(path: Path) -> str:
    """Return the text of a file in UTF-8; raises DataError if there is none."""
    content = b""
    try:
        if path.is_dir():
            raise DataError(f"{path}: expected a CSV file, found a directory. Name the file in it.")
        content = path.read_bytes()
        return content.decode("utf-8-sig")
    except FileNotFoundError:
        raise DataError(f"{path}: no such file. Give the path of a CSV with the columns {', '.join(WANTED)}.") from None
    except OSError as error:
        raise DataError(f"{path}: can't be read ({error.strerror}). Give a file that you may read.") from None
    except UnicodeDecodeError as error:
        line, byte = content.count(b"\n", 0, error.start) + 1, content[error.start]
        raise DataError(
            f"{path}: line {line}: expected text in UTF-8, found the byte 0x{byte:02X}. Save the table as CSV in UTF-8."
        ) from None


def read_csv(path: Path) -> pd.DataFrame:
    """Return the wanted columns as text, indexed by line number; raises DataError if the file is no such table."""
    rows, lines = [], []
    reader = csv.reader(io.StringIO(read_text(path), newline=""), strict=True, skipinitialspace=True)
    line = 1
    try:
        for row in reader:
            if any(cells := [cell.strip() for cell in row]):
                rows.append(cells)
                lines.append(line)
            line = reader.line_num + 1  # a row with a line break in a cell takes several lines
    except csv.Error:
        raise DataError(
            f"{path}: line {line}: expected values separated by commas, found a quotation mark that is not closed, or "
            "not at the end of its value. Correct the quotation marks."
        ) from None
    if not rows:
        raise DataError(f"{path}: expected a header and hourly rows, found an empty file. Export the table again.")
    header = rows.pop(0)
    top, found = f"line {lines.pop(0)}", f"expected {', '.join(WANTED)}; found {_shown(', '.join(header), 200)}"
    if len(header) == 1 and any(mark in header[0] for mark in ";\t"):
        raise DataError(f"{path}: {top}: {found}. Separate the values by commas, and write 1.5 with a point.")
    for name in WANTED:
        if header.count(name) != 1:
            what = "stands more than once" if name in header else "is missing"
            raise DataError(f"{path}: column {name!r} {what} in {top}; {found}. Give each expected column once.")
    for row, line in zip(rows, lines, strict=True):
        if len(row) != len(header):
            raise DataError(
                f"{path}: line {line}: expected {len(header)} values, as many as the header has, found {len(row)}. "
                "Correct the line; a number is written with a decimal point, a comma begins the next value."
            )
    if not rows:
        raise DataError(f"{path}: expected hourly rows below the header, found none. Export the table again.")
    return pd.DataFrame(rows, columns=header, index=lines)[WANTED]


def parse_times(path: Path, text: pd.Series) -> pd.DatetimeIndex:
    """Return the times in UTC; raises DataError unless each is a full hour with a stated offset from UTC."""
    times = pd.to_datetime(text, utc=True, errors="coerce", format="ISO8601")
    stated = text.str.contains(r"[ T]\d\d.*(?:Z|[+-]\d\d(?::?\d\d)?)$")
    for wrong, expected, remedy in (
        (times.isna(), "a time such as 2013-01-01 00:00:00+00:00", "Correct it, or delete the line."),
        (~stated, "a time with its offset from UTC", "If the times are in UTC, append +00:00 to each."),
        (times != times.dt.floor("h"), "a full hour", "Take the means of whole hours first."),
    ):
        if wrong.any():
            line = wrong.idxmax()
            raise DataError(
                f"{path}: column {TIME!r}, line {line}: expected {expected}, found {_shown(text[line])}. {remedy}"
            )
    return pd.DatetimeIndex(times, name=TIME)


def parse_numbers(path: Path, raw: pd.DataFrame) -> pd.DataFrame:
    """Return the columns of the schema as floats, empty cells as NaN; raises DataError at the first bad value."""
    text = raw[list(SCHEMA.columns)]
    empty = text.isin(NO_VALUE)
    numbers = text.mask(empty).apply(pd.to_numeric, errors="coerce").astype(float)
    try:
        SCHEMA.validate(numbers.mask(numbers.isna() & ~empty, np.inf), lazy=True)  # what is no number is out of range
    except pa.errors.SchemaErrors as error:
        cases = error.failure_cases
        name, line = cases.loc[0, ["column", "index"]]
        found, more = _shown(text.loc[line, name]), (cases["column"] == name).sum() - 1
        remedy = "Correct it, or leave the cell empty."
        if more:
            found += f" and {more} more such value{'s' if more > 1 else ''}"
            remedy += f" If the column is in {SCHEMA.columns[name].metadata['other unit']}."
        raise DataError(
            f"{path}: column {name!r}, line {line} ({raw.loc[line, TIME]}): "
            f"expected {SCHEMA.columns[name].description}, found {found}. {remedy}"
        ) from None
    median = numbers["windspeed"].median()
    if median > HIGHEST_MEDIAN_WIND:
        raise DataError(
            f"{path}: column 'windspeed': expected m/s, found a median of {median:.1f}, which looks like km/h. "
            "Divide the column by 3.6."
        )
    return numbers


def repair(path: Path, frame: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, int]]:
    """Return one row for every hour, with a column ``repaired``, and how often each repair was made.

    ``frame`` has a UTC index of full hours and float columns. Raises DataError where a gap is too long.
    """
    twice = frame.index[frame.index.duplicated()].unique()
    hours = frame.groupby(level=0).mean()
    gaps = hours.index.diff()[1:] // pd.Timedelta(hours=1) - 1
    if len(gaps) and gaps.max() > LONGEST_GAP:
        raise DataError(_gap(path, "rows", hours.index[gaps.argmax()] + pd.Timedelta(hours=1), gaps.max()))
    hourly = hours.asfreq("h")
    missing = hourly.isna()
    length = missing.apply(_run_length)
    for name in hourly.columns:
        if length[name].max() > LONGEST_GAP:
            raise DataError(_gap(path, f"values in column {name!r}", length[name].idxmax(), length[name].max()))
    by_hour = hourly.groupby(hourly.index.hour).transform(lambda days: days.interpolate(limit_direction="both"))
    filled = hourly.fillna(hourly.interpolate(limit_direction="both").where(length <= LONGEST_LINE)).fillna(by_hour)
    repairs = {
        "rows out of order": int((np.diff(frame.index.asi8) < 0).sum()),
        "hours that stood twice": len(twice),
        "hours filled": int(missing.any(axis=1).sum()),
    }
    filled["repaired"] = missing.any(axis=1) | filled.index.isin(twice)
    if filled["repaired"].mean() > LARGEST_REPAIR:
        raise DataError(
            f"{path}: expected at most {LARGEST_REPAIR:.0%} of the hours to be incomplete or to stand twice, found "
            f"{filled['repaired'].sum()} of {len(filled)}. Give an hourly series."
        )
    return filled, repairs


def _gap(path: Path, what: str, start: pd.Timestamp, hours: int) -> str:
    hour = pd.Timedelta(hours=1)
    return (
        f"{path}: expected gaps of at most {LONGEST_GAP} hours, found no {what} between {start - hour} and "
        f"{start + int(hours) * hour} ({hours} hours). Add them, correct a wrong time, or keep one side of the gap."
    )


def _shown(text: str, most: int = 40) -> str:
    whole = repr(text)  # in which no control character is left
    return whole if len(whole) <= most else f"{whole[:most]}...{whole[-1]}"


def _run_length(missing: pd.Series) -> pd.Series:
    """Return for each missing hour how many hours its gap has, and 0 for the others."""
    gap = (missing != missing.shift()).cumsum()
    return missing.groupby(gap).transform("sum")


def load(path: Path) -> tuple[pd.DataFrame, dict[str, int]]:
    """Return the hourly series of a CSV and the repairs made; raises DataError if it can't be used."""
    raw = read_csv(path)
    times = parse_times(path, raw[TIME])
    numbers = parse_numbers(path, raw)
    return repair(path, numbers.set_index(times))
