"""Every broken file ends in one sentence to act on, or in a repair that validate.py announces."""

import re
import tracemalloc
from fnmatch import fnmatchcase
from functools import reduce
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from features import solar_elevation
from validate import DataError, load

COLUMNS = "utc_timestamp, solar_GW, wind_GW, windspeed, temperature, rad_horizontal, rad_diffuse"
RADIATION = ("rad_horizontal", "rad_diffuse")
NO_REPAIRS = {
    **{"rows out of order": 0, "hours that appeared twice": 0, "hours filled": 0},
    **{"values a little below 0": 0, "empty solar hours at night": 0, "decimal commas": 0},
}


def text_of(frame):
    return frame.to_csv(lineterminator="\n")


# What makes another CSV, or another frame, of the frame of good numbers.


def edit(change):
    """Let ``change`` edit the list of lines; line n of the file is item n - 1."""

    def edited(frame):
        lines = text_of(frame).splitlines()
        change(lines)
        return "\n".join(lines) + "\n"

    return edited


def put(line, column, value):
    def replace(lines):
        cells = lines[line - 1].split(",")
        cells[lines[0].split(",").index(column)] = value
        lines[line - 1] = ",".join(cells)

    return edit(replace)


def insert(line, *new):
    """Insert lines, the first of which becomes line number ``line``."""
    return edit(lambda lines: lines.__setitem__(slice(line - 1, line - 1), new))


def without(start, count):
    return lambda frame: frame.drop(frame.index[start : start + count])


def scaled(factor, *columns):
    return lambda frame: frame.assign(**{column: frame[column] * factor for column in columns})


def with_rows(*more):
    """Add rows that functions of the frame return, each after the row of the same hour."""
    return lambda frame: pd.concat([frame, *(rows(frame) for rows in more)]).sort_index(kind="stable")


def same(frame):
    return frame


def filled(how, start, count, *columns):
    """Fill a gap of some hours, in all columns if none are named."""

    def fill(frame):
        gap = pd.Series(np.arange(len(frame)), frame.index).between(start, start + count - 1)
        values = how(frame, gap)
        return frame.assign(**{name: frame[name].mask(gap, values[name]) for name in columns or frame.columns})

    return fill


def emptied(column, start, count):
    return filled(lambda frame, gap: frame * np.nan, start, count, column)


def less(amount):
    return lambda frame, gap: frame * 0 - amount


def straight(frame, gap):
    return frame.mask(gap).interpolate()


def days_around(frame, gap):
    return (frame.shift(24) + frame.shift(-24)) / 2


def in_turn(*changes):
    return lambda frame: reduce(lambda changed, change: change(changed), changes, frame)


def refusal(path):
    """Return the message with which a file is refused, after checking that it is what a person can read."""
    with pytest.raises(DataError) as caught:
        load(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert message.endswith(".")
    assert "\n" not in message
    assert "Error" not in message, "no name of a Python class"
    assert len(message) < len(str(path)) + 520, "short enough to be read"
    # What to do is said in a sentence of its own, which begins with a verb.
    assert re.search(r"\. (Add|Correct|Divide|Export|Give|If|Multiply|Name|Save|Separate|Take)\b", message), message
    return message.removeprefix(f"{path}: ")


# what is done to the frame, and the sentence; a * stands for anything
REFUSED = {
    "an empty file": (lambda frame: "", "expected a header and hourly rows*found an empty file"),
    "only a header": (lambda frame: frame[:0], "expected hourly rows*found none"),
    "a missing column": (
        lambda frame: frame.drop(columns="windspeed"),
        f"column 'windspeed' is missing in line 1; expected {COLUMNS}; found 'utc_timestamp, solar_GW, wind_GW, t",
    ),
    "a column twice": (
        lambda frame: text_of(frame.assign(second=1)).replace(",second\n", ",windspeed\n", 1),
        "column 'windspeed' appears more than once in line 1",
    ),
    "commas that may mark thousands": (
        lambda frame: text_of(frame.assign(solar_GW=0, wind_GW=8, windspeed="4,361", rad_horizontal=0, rad_diffuse=0)),
        "'windspeed', line 2 (*found '4,361' and 2879 more such values",
    ),
    "decimal commas": (put(50, "windspeed", "1,5"), "line 50*expected 7 values*found 8*a decimal point"),
    "a decimal comma in quotation marks": (
        put(50, "windspeed", '"1,5"'),
        "'windspeed', line 50 (2013-01-03 00:00:00+00:00)*found '1,5'",
    ),
    "a field too few": (
        edit(lambda lines: lines.__setitem__(49, lines[49].rpartition(",")[0])),
        "line 50: expected 7 values, as many as the header has, found 6",
    ),
    "an open quotation mark": (put(50, "windspeed", '"4'), "line 50*quotation mark"),
    "latin-1": (
        lambda frame: put(50, "windspeed", "windstärke")(frame).encode("latin-1"),
        "line 50: expected text in UTF-8, found the byte 0xE4. Save the table as CSV in UTF-8",
    ),
    "a NUL in a number": (put(50, "solar_GW", "\0" + "1"), "'solar_GW', line 50*found '\\x001'"),
    "a text in a number column": (
        put(100, "wind_GW", "calm"),
        "column 'wind_GW', line 100 (2013-01-05 02:00:00+00:00): expected a number from 0 to 100 (GW), found 'calm'. "
        "Correct it, or leave the cell empty.",
    ),
    "a very long text": (put(100, "wind_GW", "x" * 5000), f"line 100*found '{'x' * 39}...'"),
    "infinity": (put(100, "windspeed", "inf"), "'windspeed', line 100*from 0 to 25 (m/s), found 'inf'"),
    "a number with an underscore": (put(100, "wind_GW", "1_0"), "'wind_GW', line 100*'1_0'"),
    "negative power": (put(61, "wind_GW", "-0.5"), "'wind_GW', line 61*from 0 to 100 (GW), found '-0.5'"),
    "solar power a little too negative": (put(50, "solar_GW", "-0.11"), "'solar_GW', line 50"),
    "radiation a little too negative": (put(50, "rad_diffuse", "-11"), "'rad_diffuse', line 50"),
    "a wind that is negative": (put(50, "windspeed", "-0.1"), "'windspeed', line 50"),
    "power in MW": (
        scaled(1000, "solar_GW", "wind_GW"),
        "column 'solar_GW', line 9 (2013-01-01 07:00:00+00:00)*more such values*If the column is in MW, divide it by",
    ),
    "temperature in kelvin": (
        lambda frame: frame.assign(temperature=frame.temperature + 273.15),
        "'temperature', line 2*expected a number from -45 to 50 (degrees C)*in kelvin, subtract 273.15",
    ),
    "wind in km/h, in a calm": (
        scaled(3.0, "windspeed"),
        "'windspeed': expected m/s, found a median of 12*looks like km/h, mph or knots. Divide the column by 3.6",
    ),
    "wind in knots, for a year": (
        lambda frame: pd.concat([frame.shift(day, freq="D") for day in range(0, 366, 120)]).assign(windspeed=7.5),
        "'windspeed'*found a median of 7.5, which looks like km/h, mph or knots",
    ),
    "radiation of a clear summer in kJ": (
        scaled(12, "rad_horizontal"),
        "'rad_horizontal', line *kJ/m2 per hour, divide it by 3.6",
    ),
    **{
        f"radiation in {unit}": (
            scaled(factor, "rad_horizontal", "rad_diffuse"),
            f"'rad_horizontal' and 'rad_diffuse': expected W/m2*looks like {unit}*{remedy} both columns by",
        )
        for unit, factor, remedy in (("kJ/m2", 3.6, "Divide"), ("J/cm2", 0.36, "Divide"), ("kW/m2", 0.001, "Multiply"))
    },
    "a bad value of an hour that appears twice": (
        edit(lambda lines: lines.insert(50, lines[49].rpartition(",")[0] + ",5000")),
        "'rad_diffuse', line 51*'5000'",
    ),
    "times without an offset": (
        lambda frame: frame.tz_localize(None),
        "'utc_timestamp', line 2: expected a time with its offset from UTC, found '2013-01-01 00:00:00'*append +00:00",
    ),
    "a German time": (
        put(50, "utc_timestamp", "03.01.2013 00:00"),
        "'utc_timestamp', line 50: expected a time such as 2013-01-01 00:00:00+00:00, found '03.01.2013 00:00'",
    ),
    "rows of 15 minutes": (
        lambda frame: frame.resample("15min").interpolate(),
        "'utc_timestamp', line 3*found '2013-01-01 00:15:00+00:00', and so in 8637 of*means of whole hours",
    ),
    "daily rows": (
        lambda frame: frame.resample("D").mean(),
        "expected at most 2% of the hours to be incomplete or to appear twice, found 2737 of 2857*hourly series",
    ),
    "the whole series twice": (with_rows(same), "expected at most 2% of the hours*found 2880 of 2880"),
    "a gap of 25 hours": (
        without(500, 25),
        "expected gaps of at most 24 hours*no rows between 2013-01-21 19:00:00+00:00 and 2013-01-22 21:00:00+00:00 (25",
    ),
    "25 empty cells": (
        emptied("temperature", 500, 25),
        "no values in column 'temperature' between 2013-01-21 19:00:00+00:00 and 2013-01-22 21:00:00+00:00 (25",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_used_is_refused_in_a_sentence_that_names_place_and_remedy(name, frame, write):
    spoil, sentence = REFUSED[name]
    message = refusal(write(spoil(frame)))
    assert fnmatchcase(message, f"*{sentence}*"), message


def test_a_time_far_away_is_refused_before_it_costs_memory(frame, write):
    path = write(put(50, "utc_timestamp", "9999-01-01 00:00:00+00:00")(frame))
    tracemalloc.start()
    try:
        message = refusal(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    sentence = "no rows between 2013-04-30 23:00:00+00:00 and 9999-01-01 00:00:00+00:00*correct a wrong time"
    assert fnmatchcase(message, f"*{sentence}*"), message
    assert peak < 50e6


LINE_BREAKS = '2013-01-01 00:00:00+00:00,0,8,4,6,0,0,"a note\nof three\nlines"'


@pytest.mark.parametrize(
    ("before", "line", "column", "value"),
    [
        ([], 100, "wind_GW", "-1"),
        (["", " ", ""], 103, "wind_GW", "-1"),
        (['"2013-01-01 00:00:00+00:00","0","8","4","6","0","0",""'], 101, "windspeed", "calm"),
        ([LINE_BREAKS], 103, "windspeed", "calm"),
        ([LINE_BREAKS], 103, "utc_timestamp", "noon"),
        ([LINE_BREAKS], 103, "rad_diffuse", '5"5,3'),
    ],
    ids=["no other line", "blank lines", "an hour twice", "a number", "a time", "a quotation mark"],
)
def test_the_line_of_an_error_is_the_true_line_in_the_file(frame, write, before, line, column, value):
    lines = put(100, column, value)(frame[:200].assign(note="")).splitlines()
    assert f"line {line}" in refusal(write("\n".join([*lines[:50], *before, *lines[50:]])))


def test_what_is_not_a_file_or_cannot_be_read_is_told_from_one(tmp_path, frame, write, monkeypatch):
    def fail(path):
        raise OSError(5, "Input/output error", str(path))

    path = write(frame[:24])
    assert refusal(tmp_path / "nothing.csv") == "no such file. Give the path of a CSV with a column utc_timestamp."
    assert refusal(tmp_path) == "expected a CSV file, found a directory. Name the file in it."
    assert "can't be read (Not a directory)" in refusal(path / "power.csv")
    monkeypatch.setattr(Path, "read_bytes", fail)
    assert refusal(path) == "can't be read (Input/output error). Give a file that you may read."


WORDS = [*("", " ", "NaN", "nan", "NA", "null", "N/A", "n/e", "n/a"), *("-", "--", "–", "-999", "-9999.0", "-999.90")]
NO_WIND = range(100, 100 + 10 * len(WORDS), 10)  # the hours that have one of them


def with_words(frame):
    words = dict(zip(frame.index[NO_WIND], WORDS, strict=True))
    wind = frame["windspeed"].astype(str)
    return frame.assign(windspeed=wind.mask(wind.index.isin(words), wind.index.map(words)))


# what is done to the frame; the repairs that are counted, the hours that are marked, and the values that come of it
REPAIRED = {
    "rows out of order": (lambda frame: pd.concat([frame[1000:], frame[:1000]]), {"rows out of order": 1}, [], same),
    "an hour that appears twice and one that appears three times": (
        with_rows(
            lambda frame: frame.iloc[[100]] * 1.5,
            lambda frame: frame.iloc[[200]] + 0.3,
            lambda frame: frame.iloc[[200]],
        ),
        {"hours that appeared twice": 2},
        [100, 200],
        in_turn(
            filled(lambda frame, gap: frame * 1.25, 100, 1),
            filled(lambda frame, gap: frame + 0.1, 200, 1),
        ),
    ),
    "an empty cell of an hour that appears twice": (
        with_rows(lambda frame: frame.iloc[[100]].assign(windspeed=np.nan)),
        {"hours that appeared twice": 1},
        [100],
        same,
    ),
    **{
        f"decimal commas and {name}": (
            lambda frame, how=how: emptied("temperature", 60, 1)(frame).to_csv(decimal=",", na_rep="n/e", **how),
            {"decimal commas": 2880 * 6 - 1, "hours filled": 1},
            [60],
            filled(straight, 60, 1, "temperature"),
        )
        for name, how in (("semicolons", {"sep": ";"}), ("quotation marks", {"quoting": 1}))
    },
    "power and radiation a little below 0": (
        in_turn(filled(less(0.1), 48, 1, "solar_GW", "wind_GW"), filled(less(10), 50, 1, *RADIATION)),
        {"values a little below 0": 4},
        [],
        in_turn(filled(less(0), 48, 1, "solar_GW", "wind_GW"), filled(less(0), 50, 1, *RADIATION)),
    ),
    "solar power that is empty at night": (
        lambda frame: frame.assign(solar_GW=frame["solar_GW"].mask(solar_elevation(frame.index) < 0)),
        {"empty solar hours at night": 1573},
        [],
        lambda frame: frame.assign(solar_GW=frame["solar_GW"].mask(solar_elevation(frame.index) < 0, 0.0)),
    ),
    "words for no value": (
        with_words,
        {"hours filled": len(WORDS)},
        NO_WIND,
        in_turn(*(filled(straight, hour, 1, "windspeed") for hour in NO_WIND)),
    ),
    **{
        f"a gap of {hours} hours": (
            without(500, hours),
            {"hours filled": hours},
            range(500, 500 + hours),
            filled(straight if hours <= 3 else days_around, 500, hours),
        )
        for hours in (3, 4, 24)
    },
    "a gap in each column, filled by its own length": (
        in_turn(emptied("windspeed", 500, 3), emptied("temperature", 500, 24)),
        {"hours filled": 24},
        range(500, 524),
        in_turn(filled(straight, 500, 3, "windspeed"), filled(days_around, 500, 24, "temperature")),
    ),
    "gaps at the ends, filled by the nearest value and the nearest day": (
        in_turn(emptied("windspeed", 0, 3), emptied("temperature", 2860, 20)),
        {"hours filled": 23},
        [*range(3), *range(2860, 2880)],
        in_turn(
            filled(lambda frame, gap: frame.mask(gap).bfill(), 0, 3, "windspeed"),
            filled(lambda frame, gap: frame.shift(24), 2860, 20, "temperature"),
        ),
    ),
    "a line with a time but no value": (
        edit(lambda lines: lines.__setitem__(61, lines[61].split(",")[0] + ",,,,,,")),
        {"hours filled": 1},
        [60],
        filled(straight, 60, 1),
    ),
    "an hour that is missing in a short series": (
        lambda frame: without(10, 1)(frame[:24]),
        {"hours filled": 1},
        [10],
        lambda frame: filled(straight, 10, 1)(frame[:24]),
    ),
}
HARMLESS = {
    "nothing": lambda frame: frame,
    "a byte order mark and line ends of Windows": (
        lambda frame: b"\xef\xbb\xbf" + text_of(frame).replace("\n", "\r\n").encode()
    ),
    "blank lines and a line of commas": lambda frame: insert(100, "", "  ", "\t", ",,,,,,")(frame) + "\n\n \n",
    "spaces around values": lambda frame: text_of(frame).replace(",", " , "),
    "extra columns, and those in another order": lambda frame: frame.assign(note="ok", wind_MW=1.0)[
        ["wind_MW", *frame.columns[::-1], "note"]
    ],
    "T and Z in times": lambda frame: text_of(frame).replace(" ", "T").replace("+00:00", "Z"),
    "offsets as PostgreSQL writes them": lambda frame: text_of(frame).replace("+00:00", "+00"),
    "another offset": lambda frame: frame.tz_convert("Asia/Kolkata"),
    "offsets of summer and winter": lambda frame: frame.tz_convert("Europe/Berlin"),
    "a zone with a name": lambda frame: text_of(frame).replace("+00:00", " UTC"),
    "seconds since 1970": lambda frame: frame.set_axis((frame.index.astype("int64") // 10**6).rename("utc_timestamp")),
    "exponents": put(2, "solar_GW", "0e5"),
    "tabs": lambda frame: frame.to_csv(sep="\t"),
}
FEW = {  # hours in which the weather may be odd
    "a single hour": lambda frame: frame[:1],
    "twenty days of a gale in the dark": lambda frame: frame[:480].assign(windspeed=12.0, rad_horizontal=0.0),
}
REPAIRED |= {name: (change, {}, [], same) for name, change in HARMLESS.items()}
REPAIRED |= {name: (change, {}, [], change) for name, change in FEW.items()}


@pytest.mark.parametrize("name", REPAIRED)
def test_what_is_repaired_is_counted_and_marked_and_what_is_harmless_is_neither(name, frame, write):
    change, repairs, marked, expected = REPAIRED[name]
    table, made = load(write(change(frame)))
    values = table.drop(columns="repaired")
    pd.testing.assert_frame_equal(values, expected(frame), check_freq=False, check_index_type=False)
    assert str(table.index.tz) == "UTC"
    assert made == NO_REPAIRS | repairs
    assert list(np.flatnonzero(table["repaired"])) == list(marked)
