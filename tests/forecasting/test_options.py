import argparse
from datetime import UTC, datetime

import pytest

from forecasting.options import add_option, utc_time


def read(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="program")
    add_option(parser, "--port", "PROGRAM_PORT", 8050, "the port", type=int)
    parser.add_argument("--now", type=utc_time)
    return parser.parse_args(arguments)


def refusal(capsys, *arguments: str) -> str:
    with pytest.raises(SystemExit):
        read(*arguments)
    return "".join(capsys.readouterr())


def test_what_is_typed_comes_before_the_environment_and_that_before_the_default(monkeypatch, capsys):
    assert read().port == 8050
    monkeypatch.setenv("PROGRAM_PORT", "9000")
    assert read().port == 9000
    assert read("--port", "9001").port == 9001
    assert "the port (default: PROGRAM_PORT, otherwise 8050)" in refusal(capsys, "--help")
    monkeypatch.setenv("PROGRAM_PORT", "")
    assert read().port == 8050
    monkeypatch.setenv("PROGRAM_PORT", "many")
    assert "argument --port: invalid int value: 'many'" in refusal(capsys)


def test_a_time_is_utc_unless_it_says_otherwise(capsys):
    assert read("--now", "2016-05-01T08:30").now == datetime(2016, 5, 1, 8, 30, tzinfo=UTC)
    assert read("--now", "2016-05-01T08:30+02:00").now == datetime(2016, 5, 1, 6, 30, tzinfo=UTC)
    for text in ("yesterday", "0001-01-01T00:00+02:00"):
        expected = f"expected a time (UTC) such as 2016-12-31T06:00, found '{text}'"
        assert expected in refusal(capsys, "--now", text)
