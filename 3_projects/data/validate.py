"""What a CSV must look like, what is repaired in it, and what is refused.

Repaired, counted and marked in the column ``repaired``: rows out of order are sorted; an hour that stands twice (as at
the end of daylight saving time) becomes the mean of its rows; gaps of up to 3 hours are interpolated; gaps of up to 24
hours are filled from the same hours of the days around. Everything else is refused.
"""

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

# Country means and sums for Germany: the limits leave room for what has not been seen yet, not for another unit.
SCHEMA = pa.DataFrameSchema(
    {
        "solar_GW": pa.Column(float, pa.Check.in_range(0, 100), nullable=True, description="GW from 0 to 100"),
        "wind_GW": pa.Column(float, pa.Check.in_range(0, 100), nullable=True, description="GW from 0 to 100"),
        "windspeed": pa.Column(float, pa.Check.in_range(0, 25), nullable=True, description="m/s from 0 to 25"),
        "temperature": pa.Column(
            float, pa.Check.in_range(-45, 50), nullable=True, description="degrees C from -45 to 50"
        ),
        "rad_horizontal": pa.Column(
            float, pa.Check.in_range(0, 1100), nullable=True, description="W/m2 from 0 to 1100"
        ),
        "rad_diffuse": pa.Column(float, pa.Check.in_range(0, 700), nullable=True, description="W/m2 from 0 to 700"),
    }
)
TIME = "utc_timestamp"
# A stormy month has a median of 5 m/s. A median over 9 is not weather but another unit, such as km/h.
HIGHEST_MEDIAN_WIND = 9.0


class DataError(Exception):
    """A file that can't be used; the message names the file, the place, what was expected and what was found."""


def read_csv(path: Path) -> pd.DataFrame:
    """Return the file's columns as text, indexed by line number; raises DataError if it is no CSV with a header."""
    if not path.exists():
        raise DataError(
            f"{path}: no such file. Give the path of a CSV with the columns {', '.join([TIME, *SCHEMA.columns])}."
        )
    if path.is_dir():
        raise DataError(f"{path}: expected a CSV file, found a directory. Name the file in it.")
    try:
        raw = pd.read_csv(
            path, dtype=str, encoding="utf-8-sig", skip_blank_lines=False, keep_default_na=False, index_col=False
        )
    except pd.errors.EmptyDataError:
        raise DataError(f"{path}: expected a header and rows, found an empty file.") from None
    except UnicodeDecodeError:
        raise DataError(f"{path}: expected text in UTF-8, found other bytes. Save it as a CSV in UTF-8.") from None
    except pd.errors.ParserError as error:
        raise DataError(f"{path}: expected comma-separated rows as long as the header; {error}.") from None
    except OSError as error:
        raise DataError(f"{path}: can't be read: {error.strerror}.") from None
    raw.columns = raw.columns.str.strip()
    raw.index = raw.index + 2  # the header is line 1
    wanted = [TIME, *SCHEMA.columns]
    missing = [name for name in wanted if name not in raw.columns]
    if missing:
        raise DataError(
            f"{path}: column {missing[0]!r} is missing; expected {', '.join(wanted)}; "
            f"found {', '.join(map(repr, raw.columns[:10]))}."
        )
    if raw.empty:
        raise DataError(f"{path}: expected hourly rows below the header, found none.")
    return raw[wanted]


def parse_times(path: Path, text: pd.Series) -> pd.DatetimeIndex:
    """Return the times in UTC; raises DataError unless each is a full hour with a stated offset from UTC."""
    times = pd.to_datetime(text, utc=True, errors="coerce", format="ISO8601")
    stated = text.str.contains(r"(?:Z|[+-]\d\d:?\d\d)\s*$")
    for wrong, expected in (
        (times.isna(), "a time such as 2013-01-01 00:00:00+00:00"),
        (~stated, "an offset from UTC, as in 2013-01-01 00:00:00+00:00 (if the times are UTC, append +00:00)"),
        (times != times.dt.floor("h"), "full hours (take hourly means first)"),
    ):
        if wrong.any():
            line = wrong.idxmax()
            raise DataError(f"{path}: column {TIME!r}, line {line}: expected {expected}, found {text[line]!r}.")
    return pd.DatetimeIndex(times, name=TIME)


def parse_numbers(path: Path, raw: pd.DataFrame) -> pd.DataFrame:
    """Return the columns of the schema as floats, empty cells as NaN; raises DataError at the first bad value."""
    text = raw[list(SCHEMA.columns)].apply(lambda column: column.str.strip())
    numbers = text.replace(["", "NaN", "nan", "NA", "null"], np.nan).apply(pd.to_numeric, errors="coerce")
    not_numbers = numbers.isna() & ~text.isin(["", "NaN", "nan", "NA", "null"])
    for name in SCHEMA.columns:
        if not_numbers[name].any():
            line = not_numbers[name].idxmax()
            raise DataError(_wrong_value(path, raw, name, line))
    try:
        SCHEMA.validate(numbers.astype(float), lazy=True)
    except pa.errors.SchemaErrors as error:
        first = error.failure_cases.iloc[0]
        more = len(error.failure_cases) - 1
        raise DataError(
            _wrong_value(path, raw, first["column"], first["index"])
            + (f" {more} more values are wrong." if more else "")
        ) from None
    median = numbers["windspeed"].median()
    if median > HIGHEST_MEDIAN_WIND:
        raise DataError(
            f"{path}: column 'windspeed': expected m/s, found a median of {median:.1f}, which looks like km/h. "
            "Divide the column by 3.6."
        )
    return numbers.astype(float)


def _wrong_value(path: Path, raw: pd.DataFrame, name: str, line: int) -> str:
    return (
        f"{path}: column {name!r}, line {line} ({raw.loc[line, TIME]}): expected {SCHEMA.columns[name].description}, "
        f"found {raw.loc[line, name]!r}."
    )


def repair(path: Path, frame: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, int]]:
    """Return one row for every hour, with a column ``repaired``, and how often each repair was made.

    ``frame`` has a UTC index of full hours and float columns. Raises DataError where a gap is too long.
    """
    repairs = {
        "rows out of order": int((np.diff(frame.index.asi8) < 0).sum()),
        "hours that stood twice": int(frame.index.duplicated().sum()),
    }
    twice = frame.index[frame.index.duplicated()]
    hours = frame.groupby(level=0).mean()
    gaps = hours.index.diff()[1:] // pd.Timedelta(hours=1) - 1
    if len(gaps) and gaps.max() > LONGEST_GAP:
        raise DataError(_gap(path, "the rows", hours.index[gaps.argmax()] + pd.Timedelta(hours=1), gaps.max()))
    hourly = hours.asfreq("h")
    missing = hourly.isna()
    length = missing.apply(_run_length)
    for name in hourly.columns:
        if length[name].max() > LONGEST_GAP:
            raise DataError(_gap(path, f"the values of {name!r}", length[name].idxmax(), length[name].max()))
    by_hour = hourly.groupby(hourly.index.hour).transform(lambda days: days.interpolate(limit_direction="both"))
    filled = hourly.fillna(hourly.interpolate(limit_direction="both").where(length <= LONGEST_LINE)).fillna(by_hour)
    repairs["hours filled"] = int(missing.any(axis=1).sum())
    filled["repaired"] = missing.any(axis=1) | filled.index.isin(twice)
    if filled["repaired"].mean() > LARGEST_REPAIR:
        raise DataError(
            f"{path}: {filled['repaired'].sum()} of {len(filled)} hours are missing or stand twice; expected at most "
            f"{LARGEST_REPAIR:.0%}. Is it an hourly series?"
        )
    return filled, repairs


def _gap(path: Path, what: str, start: pd.Timestamp, hours: int) -> str:
    return (
        f"{path}: {what} of {hours} hours are missing from {start} to {start + pd.Timedelta(hours=int(hours) - 1)}; "
        f"expected gaps of at most {LONGEST_GAP} hours. Add them, or use only what comes before or after the gap."
    )


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
