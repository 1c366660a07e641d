"""Whole clusters for tests: real Redis, real worker processes, a store of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.integration.cluster import ClusterUnderTest, quick_settings

StartCluster = Callable[..., ClusterUnderTest]
OF_CLUSTER = ("plugins", "min_workers", "max_workers")  # the other options are settings


@pytest.fixture
def start_cluster(tmp_path: Path) -> Iterator[StartCluster]:
    """Start clusters that end with the test, whatever happens in it."""
    with ExitStack() as stack:

        def start(workers: int | None = 2, name: str = "home", **options: Any) -> ClusterUnderTest:
            of_cluster = {key: options.pop(key) for key in OF_CLUSTER if key in options}
            settings = quick_settings(tmp_path / name, **options)
            return stack.enter_context(ClusterUnderTest(settings, workers, **of_cluster))

        yield start
