import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import stock_series
from moto.server import ThreadedMotoServer


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


@pytest.fixture(scope="module")
def endpoint(free_port) -> Iterator[str]:
    """Run an S3 server, and return its address."""
    port = free_port()
    server = ThreadedMotoServer("127.0.0.1", port, verbose=False)
    server.start()
    yield f"http://127.0.0.1:{port}"
    server.stop()


@pytest.fixture(scope="module")
def aws_keys(tmp_path_factory) -> Iterator[dict[str, str]]:
    """Have these credentials, and no others."""
    keys = {"AWS_ACCESS_KEY_ID": "a-key-of-the-tests", "AWS_SECRET_ACCESS_KEY": "a-secret-of-the-tests"}
    none = str(tmp_path_factory.mktemp("aws") / "none")
    with pytest.MonkeyPatch.context() as environment:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            environment.delenv(name)
        environment.setenv("AWS_SHARED_CREDENTIALS_FILE", none)
        environment.setenv("AWS_CONFIG_FILE", none)
        environment.setenv("AWS_EC2_METADATA_DISABLED", "true")
        environment.setenv("AWS_DEFAULT_REGION", "us-east-1")
        for name, value in keys.items():
            environment.setenv(name, value)
        yield keys
