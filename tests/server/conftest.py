"""What the tests of the artifact store share."""

from collections.abc import Iterator

import pytest
from stores import Store, store


@pytest.fixture(scope="module")
def running(request, tmp_path_factory, free_port) -> Iterator[Store]:
    """Run a store for all tests of a module, with the options that it names."""
    with store(tmp_path_factory.mktemp("store"), free_port(), *getattr(request.module, "OPTIONS", ())) as up:
        yield up
