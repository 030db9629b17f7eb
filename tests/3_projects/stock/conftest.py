from pathlib import Path

import pytest
import stock_series


@pytest.fixture
def write(tmp_path):
    """Return a function that writes a frame or text to one and the same CSV and returns its path."""

    def to_file(content) -> Path:
        path = tmp_path / "prices.csv"
        text = content if isinstance(content, str) else content.to_csv(index=False, lineterminator="\n")
        path.write_text(text, encoding="utf-8")
        return path

    return to_file


@pytest.fixture
def fetch(write):
    """Return a function that reads prices from a CSV with this content, as ingest does."""

    def from_content(content, start: str = "first", end: str = "last"):
        return stock_series.load("ingest").fetch("TEST", str(write(content)), start, end)

    return from_content
