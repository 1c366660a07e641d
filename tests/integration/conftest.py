"""Whole clusters for tests: real Redis, real worker processes, a store of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.integration.cluster import ClusterUnderTest, quick_settings

StartCluster = Callable[..., ClusterUnderTest]


@pytest.fixture
def start_cluster(tmp_path: Path) -> Iterator[StartCluster]:
    """Start clusters that end with the test, whatever happens in it."""
    with ExitStack() as stack:

        def start(workers: int = 2, name: str = "home", **options: Any) -> ClusterUnderTest:
            plugins = options.pop("plugins", ())
            settings = quick_settings(tmp_path / name, **options)
            return stack.enter_context(ClusterUnderTest(settings, workers, plugins))

        yield start
