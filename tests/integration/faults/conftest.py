"""What the tests of faults share: a Redis that can be hurt."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.faults.own_redis import OwnRedis


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[OwnRedis]:
    """A Redis that the test can stop, start and let refuse writes."""
    server = OwnRedis(tmp_path)
    server.start()
    yield server
    server.resume()
    server.stop()
