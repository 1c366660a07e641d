"""A reconciler whose time passes when it is told to."""

from __future__ import annotations

import pytest

from orchestrator.cluster.connection import Cluster
from orchestrator.reconciler import Reconciler
from tests.unit.orchestrator.reconciler.passes import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def reconciler(connection: Cluster, clock: Clock) -> Reconciler:
    return Reconciler(connection, clock=clock)
