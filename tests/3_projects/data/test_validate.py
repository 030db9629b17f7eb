"""Every broken file ends in one sentence to act on, or in a repair that validate.py announces."""

import gzip
import os
import re
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from validate import SCHEMA, DataError, load

COLUMNS = "utc_timestamp, solar_GW, wind_GW, windspeed, temperature, rad_horizontal, rad_diffuse"
NO_REPAIRS = {"rows out of order": 0, "hours that stood twice": 0, "hours filled": 0}


def text_of(frame):
    return frame.to_csv(lineterminator="\n")


def edit(frame, change):
    """Return the CSV after ``change`` has edited its list of lines; line n of the file is item n - 1."""
    lines = text_of(frame).splitlines()
    change(lines)
    return "\n".join(lines) + "\n"


def put(line, column, value):
    """Return a function that makes the CSV with one cell replaced."""

    def replace(lines):
        cells = lines[line - 1].split(",")
        cells[lines[0].split(",").index(column)] = value
        lines[line - 1] = ",".join(cells)

    return lambda frame: edit(frame, replace)


def insert(line, *new):
    """Return a function that makes the CSV with lines inserted, the first of which becomes line number ``line``."""
    return lambda frame: edit(frame, lambda lines: lines.__setitem__(slice(line - 1, line - 1), new))


def append(line, tail):
    """Return a function that makes the CSV with a tail appended to a line."""
    return lambda frame: edit(frame, lambda lines: lines.__setitem__(line - 1, lines[line - 1] + tail))


def without(start, count):
    """Return a function that makes the CSV without some hours."""
    return lambda frame: frame.drop(frame.index[start : start + count])


def emptied(column, start, count):
    """Return a function that makes the CSV with some cells of a column empty."""
    return lambda frame: frame.assign(
        **{column: frame[column].mask((frame.index >= frame.index[start]) & (np.arange(len(frame)) < start + count))}
    )


def scaled(factor, *columns):
    return lambda frame: frame.assign(**{column: frame[column] * factor for column in columns})


def second_column(name):
    """Return a function that makes the CSV with another column of a name that is there."""
    return lambda frame: text_of(frame.assign(second=1)).replace(",second\n", f",{name}\n", 1)


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
    assert re.search(r"\. (Add|Correct|Divide|Export|Give|If|Name|Save|Separate|Take)\b", message), message
    return message.removeprefix(f"{path}: ")


REFUSED = {
    "an empty file": (lambda frame: "", ["expected a header and hourly rows", "found an empty file"]),
    "nothing but blank lines": (lambda frame: "\n \n\n", ["found an empty file"]),
    "only a header": (lambda frame: frame[:0], ["expected hourly rows below the header", "found none"]),
    "a missing column": (
        lambda frame: frame.drop(columns="windspeed"),
        [
            "column 'windspeed' is missing in line 1",
            f"expected {COLUMNS}",
            "found 'utc_timestamp, solar_GW, wind_GW, t",
        ],
    ),
    "a column in other letters": (
        lambda frame: frame.rename(columns={"wind_GW": "Wind_GW"}),
        ["column 'wind_GW' is missing in line 1", "Wind_GW"],
    ),
    "a comment above the header": (
        insert(1, "# made by me"),
        ["line 1", "'utc_timestamp' is missing", "'# made by me'"],
    ),
    "a web page": (lambda frame: "\n<html>\n</html>", ["line 2", "'utc_timestamp' is missing", "found '<html>'"]),
    "a column twice": (second_column("windspeed"), ["column 'windspeed' stands more than once in line 1"]),
    "a column twice but for a space": (second_column(" windspeed"), ["column 'windspeed' stands more than once"]),
    "the time twice": (second_column("utc_timestamp"), ["column 'utc_timestamp' stands more than once"]),
    "semicolons and decimal commas": (
        lambda frame: frame.to_csv(sep=";", decimal=","),
        [
            "line 1",
            f"expected {COLUMNS}",
            "found 'utc_timestamp;solar_GW;",
            "Separate the values by commas",
            "1.5 with a point",
        ],
    ),
    "tabs": (
        lambda frame: frame.to_csv(sep="\t"),
        ["line 1", r"'utc_timestamp\tsolar_GW", "Separate the values by commas"],
    ),
    "decimal commas": (put(50, "windspeed", "1,5"), ["line 50", "expected 7 values", "found 8", "a decimal point"]),
    "a decimal comma in quotation marks": (
        put(50, "windspeed", '"1,5"'),
        ["'windspeed', line 50 (2013-01-03 00:00:00+00:00)", "found '1,5'"],
    ),
    "a field too many": (append(50, ",7"), ["line 50: expected 7 values, as many as the header has, found 8"]),
    "a field too many in every row": (
        lambda frame: text_of(frame.assign(x=1)).replace(",x\n", "\n"),
        ["line 2: expected 7 values", "found 8"],
    ),
    "a field too few": (
        lambda frame: edit(frame, lambda lines: lines.__setitem__(49, lines[49].rpartition(",")[0])),
        ["line 50: expected 7 values", "found 6"],
    ),
    "an end cut off": (lambda frame: text_of(frame)[:-15], ["line 2881: expected 7 values"]),
    "an open quotation mark": (put(50, "windspeed", '"4'), ["line 50", "quotation mark"]),
    "text behind a quotation mark": (put(50, "windspeed", '"4"x'), ["line 50", "quotation mark"]),
    "latin-1": (
        lambda frame: put(50, "windspeed", "windstärke")(frame).encode("latin-1"),
        ["line 50", "expected text in UTF-8", "0xE4", "Save the table as CSV in UTF-8"],
    ),
    "UTF-16": (lambda frame: text_of(frame).encode("utf-16"), ["line 1", "expected text in UTF-8", "Save the table"]),
    "a binary file": (lambda frame: bytes(range(256)) * 40, ["line 2", "expected text in UTF-8", "0x80"]),
    "a packed file": (lambda frame: gzip.compress(text_of(frame).encode()), ["line 1", "UTF-8", "0x8B"]),
    "zeros only": (lambda frame: bytes(5000), ["'utc_timestamp' is missing", r"found '\x00\x00"]),
    "a NUL in a number": (put(50, "solar_GW", "\0" + "1"), ["'solar_GW', line 50", r"found '\x001'"]),
    "a NUL in a time": (insert(50, "\0"), ["line 50: expected 7 values", "found 1"]),
    "a text in a number column": (
        put(100, "wind_GW", "n/e"),
        [
            "column 'wind_GW', line 100 (2013-01-05 02:00:00+00:00)",
            "expected a number from 0 to 100 (GW), found 'n/e'. Correct it, or leave the cell empty.",
        ],
    ),
    "a very long text": (put(100, "wind_GW", "x" * 5000), ["line 100", f"found '{'x' * 39}...'"]),
    "a column of texts": (
        lambda frame: frame.assign(temperature="mild"),
        ["column 'temperature', line 2 (", "found 'mild' and 2879 more such values"],
    ),
    "two bad values": (
        lambda frame: put(60, "windspeed", "-2")(frame).replace(
            "\n2013-01-04 00:00:00+00:00,", "\n2013-01-04 00:00:00+00:00,-1"
        ),
        ["column 'solar_GW', line 74", "'-10.0'"],
    ),
    "infinity": (
        put(100, "windspeed", "inf"),
        ["'windspeed', line 100", "expected a number from 0 to 25 (m/s)", "'inf'"],
    ),
    "minus infinity": (put(100, "temperature", "-Infinity"), ["'temperature', line 100", "'-Infinity'"]),
    "a number beyond all floats": (put(100, "solar_GW", "1e400"), ["'solar_GW', line 100", "'1e400'"]),
    "a number with an underscore": (put(100, "wind_GW", "1_0"), ["'wind_GW', line 100", "'1_0'"]),
    "a hexadecimal number": (put(100, "wind_GW", "0x10"), ["'wind_GW', line 100", "'0x10'"]),
    "a truth value": (put(100, "wind_GW", "True"), ["'wind_GW', line 100", "'True'"]),
    "two numbers in one": (put(100, "wind_GW", "1 000"), ["'wind_GW', line 100", "'1 000'"]),
    "negative power": (
        put(61, "wind_GW", "-0.5"),
        ["'wind_GW', line 61", "expected a number from 0 to 100 (GW)", "'-0.5'"],
    ),
    "power in MW": (
        scaled(1000, "solar_GW", "wind_GW"),
        [
            "column 'solar_GW', line 9 (2013-01-01 07:00:00+00:00)",
            "more such values",
            "If the column is in MW, divide it by 1000",
        ],
    ),
    "temperature in kelvin": (
        lambda frame: frame.assign(temperature=frame.temperature + 273.15),
        ["'temperature', line 2", "expected a number from -45 to 50 (degrees C)", "in kelvin, subtract 273.15"],
    ),
    "wind in km/h, in a gale": (
        scaled(3.6 * 1.5, "windspeed"),
        ["'windspeed', line ", "expected a number from 0 to 25 (m/s)", "If the column is in km/h, divide it by 3.6"],
    ),
    "wind in km/h, in a calm": (
        scaled(3.0, "windspeed"),
        ["'windspeed'", "expected m/s", "found a median of 12", "looks like km/h", "Divide the column by 3.6"],
    ),
    "radiation in kJ": (scaled(3.6, "rad_horizontal"), ["'rad_horizontal', line ", "kJ/m2 per hour, divide it by 3.6"]),
    "a bad value of an hour that stands twice": (
        lambda frame: insert(51, text_of(frame).splitlines()[49].rpartition(",")[0] + ",5000")(frame),
        ["'rad_diffuse', line 51", "'5000'"],
    ),
    "times without an offset": (
        lambda frame: frame.tz_localize(None),
        ["'utc_timestamp', line 2", "with its offset from UTC", "found '2013-01-01 00:00:00'", "append +00:00"],
    ),
    "one time without an offset": (
        put(50, "utc_timestamp", "2013-01-03 00:00:00"),
        ["'utc_timestamp', line 50", "with its offset from UTC"],
    ),
    "a date": (put(50, "utc_timestamp", "2013-01-03"), ["'utc_timestamp', line 50", "with its offset from UTC"]),
    "the time of now": (put(50, "utc_timestamp", "now"), ["'utc_timestamp', line 50", "found 'now'"]),
    "a German time": (
        put(50, "utc_timestamp", "03.01.2013 00:00"),
        ["'utc_timestamp', line 50", "expected a time such as 2013-01-01 00:00:00+00:00, found '03.01.2013 00:00'"],
    ),
    "an empty time": (put(50, "utc_timestamp", ""), ["'utc_timestamp', line 50", "expected a time", "found ''"]),
    "a day that doesn't exist": (put(50, "utc_timestamp", "2013-02-30 00:00:00+00:00"), ["line 50", "expected a time"]),
    "a header in the middle": (
        lambda frame: insert(100, text_of(frame).splitlines()[0])(frame),
        ["'utc_timestamp', line 100", "expected a time", "found 'utc_timestamp'", "delete the line"],
    ),
    "rows of 15 minutes": (
        lambda frame: frame.resample("15min").interpolate(),
        ["'utc_timestamp', line 3", "expected a full hour, found '2013-01-01 00:15:00+00:00'", "means of whole hours"],
    ),
    "daily rows": (
        lambda frame: frame.resample("D").mean(),
        ["expected at most 2% of the hours to be incomplete or to stand twice, found 2737 of 2857", "hourly series"],
    ),
    "every other hour": (lambda frame: frame[::2], ["expected at most 2% of the hours", "found 1439 of 2879"]),
    "the whole series twice": (
        lambda frame: pd.concat([frame, frame]),
        ["expected at most 2% of the hours", "found 2880 of 2880"],
    ),
    "a gap of 25 hours": (
        without(500, 25),
        [
            "expected gaps of at most 24 hours",
            "no rows between 2013-01-21 19:00:00+00:00 and 2013-01-22 21:00:00+00:00 (25 h",
        ],
    ),
    "a gap of a week": (without(500, 168), ["found no rows between 2013-01-21 19:00:00+00:00 and", "(168 hours)"]),
    "25 empty cells": (
        emptied("temperature", 500, 25),
        ["no values in column 'temperature' between 2013-01-21 19:00:00+00:00 and 2013-01-22 21:00:00+00:00 (25"],
    ),
    "an empty column": (emptied("windspeed", 0, 2880), ["no values in column 'windspeed'", "(2880 hours)"]),
    "a time of the year 1": (
        put(50, "utc_timestamp", "0001-01-01 00:00:00+00:00"),
        ["no rows between 0001-01-01 00:00:00+00:00 and 2013-01-01 00:00:00+00:00", "correct a wrong time"],
    ),
    "a time of 1900": (
        put(50, "utc_timestamp", "1900-01-01 00:00:00+00:00"),
        ["no rows between 1900-01-01 00:00:00+00:00 and 2013-01-01 00:00:00+00:00", "correct a wrong time"],
    ),
    "a time of 9999": (
        put(50, "utc_timestamp", "9999-01-01 00:00:00+00:00"),
        ["no rows between 2013-04-30 23:00:00+00:00 and 9999-01-01 00:00:00+00:00", "correct a wrong time"],
    ),
    "a time of 99999": (put(50, "utc_timestamp", "99999-01-01 00:00:00+00:00"), ["'utc_timestamp', line 50"]),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_used_is_refused_in_a_sentence_that_names_place_and_remedy(name, frame, write):
    spoil, parts = REFUSED[name]
    message = refusal(write(spoil(frame)))
    for part in parts:
        assert part in message


@pytest.mark.parametrize(
    ("before", "line"),
    [
        ([], 100),
        (["", " ", ""], 103),
        (['2013-01-01 00:00:00+00:00,0,8,4,6,0,0,"a note\nof three\nlines"'], 103),
        (['"2013-01-01 00:00:00+00:00","0","8","4","6","0","0",""'], 101),
    ],
    ids=["no other line", "blank lines", "line breaks in a cell", "an hour twice"],
)
@pytest.mark.parametrize(
    ("column", "value"), [("wind_GW", "-1"), ("windspeed", "calm"), ("utc_timestamp", "noon"), ("rad_diffuse", '5"5,3')]
)
def test_the_line_of_an_error_is_the_true_line_in_the_file(frame, write, before, line, column, value):
    text = put(100, column, value)(frame.assign(note=""))
    lines = text.splitlines()
    path = write("\n".join([*lines[:50], *before, *lines[50:]]))
    assert f"line {line}" in refusal(path)


def test_a_missing_file_is_named_with_what_to_give(tmp_path):
    message = refusal(tmp_path / "nothing.csv")
    assert message == f"no such file. Give the path of a CSV with the columns {COLUMNS}."


def test_a_folder_is_told_from_a_file(tmp_path):
    assert refusal(tmp_path) == "expected a CSV file, found a directory. Name the file in it."


def test_a_file_below_a_file_is_not_there(frame, write):
    assert "can't be read (Not a directory)" in refusal(write(frame) / "power.csv")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_named_with_the_reason(frame, write):
    path = write(frame)
    path.chmod(0)
    assert "can't be read (Permission denied)" in refusal(path)


def test_a_disk_that_fails_is_named_with_the_reason(frame, write, monkeypatch):
    def fail(path):
        raise OSError(5, "Input/output error", str(path))

    path = write(frame)
    monkeypatch.setattr(Path, "read_bytes", fail)
    assert refusal(path) == "can't be read (Input/output error). Give a file that you may read."


def test_a_time_far_away_costs_no_memory(frame, write):
    path = write(put(50, "utc_timestamp", "9999-01-01 00:00:00+00:00")(frame))  # 70 million hours off
    tracemalloc.start()
    try:
        refusal(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 50e6


HARMLESS = {
    "nothing": lambda frame: frame,
    "a byte order mark": lambda frame: b"\xef\xbb\xbf" + text_of(frame).encode(),
    "line ends of Windows": lambda frame: text_of(frame).replace("\n", "\r\n"),
    "line ends of old Macs": lambda frame: text_of(frame).replace("\n", "\r"),
    "blank lines at the end": lambda frame: text_of(frame) + "\n\n \n",
    "no end of the last line": lambda frame: text_of(frame).removesuffix("\n"),
    "blank lines in the middle": insert(100, "", "  ", "\t"),
    "blank lines at the start": insert(1, "", ""),
    "a line of commas": insert(100, ",,,,,,"),
    "quoted numbers": lambda frame: frame.to_csv(quoting=1),
    "spaces around values": lambda frame: text_of(frame).replace(",", " , "),
    "spaces before quotation marks": lambda frame: frame.to_csv(quoting=1).replace(",", ", "),
    "extra columns": lambda frame: frame.assign(note="ok", wind_MW=1.0),
    "an extra column twice": lambda frame: text_of(frame.assign(a=1, b=2)).replace(",a,b\n", ",a,a\n"),
    "columns in another order": lambda frame: frame[frame.columns[::-1]],
    "T and Z in times": lambda frame: text_of(frame).replace(" ", "T").replace("+00:00", "Z"),
    "offsets without a colon": lambda frame: text_of(frame).replace("+00:00", "+0000"),
    "offsets as PostgreSQL writes them": lambda frame: text_of(frame).replace("+00:00", "+00"),
    "another offset": lambda frame: frame.tz_convert("Asia/Kolkata"),
    "offsets of summer and winter": lambda frame: frame.tz_convert("Europe/Berlin"),
    "exponents": put(2, "solar_GW", "0e5"),
}


@pytest.mark.parametrize("name", HARMLESS)
def test_what_is_harmless_changes_no_value_and_counts_as_no_repair(name, frame, write):
    table, repairs = load(write(HARMLESS[name](frame)))
    pd.testing.assert_frame_equal(table.drop(columns="repaired"), frame, check_freq=False, check_index_type=False)
    assert str(table.index.tz) == "UTC"
    assert repairs == NO_REPAIRS
    assert not table["repaired"].any()


def test_rows_out_of_order_are_sorted_and_counted_but_not_marked(frame, write):
    table, repairs = load(write(pd.concat([frame[1000:], frame[:1000]])))
    pd.testing.assert_frame_equal(table.drop(columns="repaired"), frame, check_freq=False, check_index_type=False)
    assert repairs == NO_REPAIRS | {"rows out of order": 1}
    assert not table["repaired"].any()


def test_an_hour_that_stands_twice_becomes_the_mean_of_its_rows(frame, write):
    again = frame.iloc[[100]] * 1.5
    thrice = pd.concat([frame.iloc[[200]] + 0.3, frame.iloc[[200]]])
    table, repairs = load(write(pd.concat([frame[:101], again, frame[101:201], thrice, frame[201:]])))
    assert repairs == NO_REPAIRS | {"hours that stood twice": 2}
    assert table.index[table["repaired"]].equals(frame.index[[100, 200]])
    assert np.allclose(table.iloc[100].drop("repaired").astype(float), frame.iloc[100] * 1.25)
    assert np.allclose(table.iloc[200].drop("repaired").astype(float), frame.iloc[200] + 0.1)
    assert len(table) == len(frame)


def test_an_empty_cell_of_an_hour_that_stands_twice_is_taken_from_the_other_row(frame, write):
    again = frame.iloc[[100]].assign(windspeed=np.nan)
    table, repairs = load(write(pd.concat([frame[:101], again, frame[101:]])))
    assert table["windspeed"].iloc[100] == frame["windspeed"].iloc[100]
    assert repairs == NO_REPAIRS | {"hours that stood twice": 1}


@pytest.mark.parametrize("word", ["", " ", "NaN", "nan", "NA", "null"])
def test_an_empty_cell_is_interpolated(frame, write, word):
    table, repairs = load(write(put(102, "windspeed", word)(frame)))
    assert table["windspeed"].iloc[100] == pytest.approx(frame["windspeed"].iloc[[99, 101]].mean())
    assert table.index[table["repaired"]].equals(frame.index[[100]])
    assert repairs == NO_REPAIRS | {"hours filled": 1}
    others = table.drop(columns=["repaired", "windspeed"])
    pd.testing.assert_frame_equal(others, frame[others.columns], check_freq=False, check_index_type=False)


@pytest.mark.parametrize("hours", [1, 3])
def test_a_gap_of_up_to_3_hours_is_interpolated(frame, write, hours):
    table, repairs = load(write(without(500, hours)(frame)))
    ends = frame.iloc[[499, 500 + hours]].to_numpy()
    share = (np.arange(hours) + 1)[:, None] / (hours + 1)
    assert np.allclose(table[frame.columns].iloc[500 : 500 + hours], ends[0] + share * (ends[1] - ends[0]))
    assert table.index[table["repaired"]].equals(frame.index[500 : 500 + hours])
    assert repairs == NO_REPAIRS | {"hours filled": hours}


@pytest.mark.parametrize("hours", [4, 23, 24])
def test_a_gap_of_up_to_24_hours_is_filled_from_the_same_hours_of_the_days_around(frame, write, hours):
    table, repairs = load(write(without(500, hours)(frame)))
    days_around = (frame.shift(24) + frame.shift(-24)) / 2
    gap = slice(500, 500 + hours)
    assert np.allclose(table[frame.columns].iloc[gap], days_around.iloc[gap])
    assert table.index[table["repaired"]].equals(frame.index[gap])
    assert repairs == NO_REPAIRS | {"hours filled": hours}


def test_each_column_is_filled_by_the_length_of_its_own_gap(frame, write):
    spoiled = emptied("temperature", 500, 24)(emptied("windspeed", 500, 3)(frame))
    table, repairs = load(write(spoiled))
    straight = frame["windspeed"].iloc[499] + np.arange(1, 4) / 4 * (
        frame["windspeed"].iloc[503] - frame["windspeed"].iloc[499]
    )
    assert np.allclose(table["windspeed"].iloc[500:503], straight)
    days_around = (frame["temperature"].shift(24) + frame["temperature"].shift(-24)) / 2
    assert np.allclose(table["temperature"].iloc[500:524], days_around.iloc[500:524])
    assert repairs == NO_REPAIRS | {"hours filled": 24}
    assert table["repaired"].sum() == 24


def test_at_the_ends_the_nearest_value_or_the_nearest_day_stands_in(frame, write):
    table, repairs = load(write(emptied("windspeed", 0, 3)(emptied("temperature", 2860, 20)(frame))))
    assert (table["windspeed"].iloc[:3] == frame["windspeed"].iloc[3]).all()
    assert list(table["temperature"].iloc[2860:]) == list(frame["temperature"].iloc[2836:2856])
    assert repairs == NO_REPAIRS | {"hours filled": 23}


def test_a_line_with_a_time_but_no_value_is_a_gap(frame, write):
    _, repairs = load(write(edit(frame, lambda lines: lines.__setitem__(99, lines[99].split(",")[0] + ",,,,,,"))))
    assert repairs == NO_REPAIRS | {"hours filled": 1}


def test_a_small_file_is_read_as_it_is(frame, write):
    table, repairs = load(write(frame[:1]))
    assert (len(table), repairs) == (1, NO_REPAIRS)


def test_the_limits_leave_room_for_what_was_measured_and_none_for_another_unit(real_data):
    table, repairs = load(real_data)
    assert len(table) == 3 * 8760
    assert repairs == {"rows out of order": 0, "hours that stood twice": 3, "hours filled": 51}
    assert table["repaired"].sum() == 54
    assert table.index.equals(pd.date_range("2013-01-01", "2015-12-31 23:00", freq="h", tz="UTC"))
    assert list(table.columns) == [*SCHEMA.columns, "repaired"]
    assert not table.isna().any().any()
