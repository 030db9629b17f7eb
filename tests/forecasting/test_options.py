import argparse
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from forecasting.options import add_option, read_options, utc_time


@dataclass(frozen=True)
class Settings:
    port: int
    now: datetime | None


def read(*arguments: str) -> Settings:
    parser = argparse.ArgumentParser(prog="program")
    add_option(parser, "--port", "PROGRAM_PORT", 8050, "the port", type=int)
    parser.add_argument("--now", type=utc_time)
    parser.add_argument("--once", action="store_true")
    return read_options(parser, Settings, arguments)


def test_what_is_typed_comes_before_the_environment_and_that_before_the_default(monkeypatch, capsys):
    assert read() == Settings(8050, None)
    monkeypatch.setenv("PROGRAM_PORT", "9000")
    assert read().port == 9000
    assert read("--port", "9001").port == 9001
    with pytest.raises(SystemExit):
        read("--help")
    assert "the port (default: PROGRAM_PORT, otherwise 8050)" in capsys.readouterr().out
    monkeypatch.setenv("PROGRAM_PORT", "")
    assert read().port == 8050


def test_a_text_of_the_environment_is_checked_as_one_that_is_typed(monkeypatch, capsys):
    monkeypatch.setenv("PROGRAM_PORT", "many")
    with pytest.raises(SystemExit):
        read()
    assert "argument --port: invalid int value: 'many'" in capsys.readouterr().err


def test_a_time_is_utc_unless_it_says_otherwise(capsys):
    assert read("--now", "2016-05-01T08:30").now == datetime(2016, 5, 1, 8, 30, tzinfo=UTC)
    assert read("--now", "2016-05-01T08:30+02:00").now == datetime(2016, 5, 1, 6, 30, tzinfo=UTC)
    for text in ("yesterday", "0001-01-01T00:00+02:00"):
        with pytest.raises(SystemExit):
            read("--now", text)
        assert f"expected a time (UTC) such as 2016-12-31T06:00, found '{text}'" in capsys.readouterr().err
