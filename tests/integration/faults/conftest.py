"""What the tests of faults share: a Redis that can be hurt, and the figures for the report."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.faults.own_redis import OwnRedis

Figure = Callable[[str], None]


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[OwnRedis]:
    """A Redis that the test can stop, start, silence and let refuse writes."""
    server = OwnRedis(tmp_path)
    server.start()
    yield server
    server.resume()
    server.stop()


@pytest.fixture
def figure(record_property: Callable[[str, object], None]) -> Figure:
    """Print a figure of the test, and keep it for the report of `make faults`."""

    def note(text: str) -> None:
        print(f"\n{text}")
        record_property("figure", text)

    return note
