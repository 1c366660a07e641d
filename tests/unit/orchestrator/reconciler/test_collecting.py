"""What the duty for collections says of each: once, not at every look."""

from __future__ import annotations

import time
from typing import Any

import pytest
from structlog.testing import capture_logs

from gpu_worker.errors import StoreRefused, StoreUnavailable
from orchestrator.cluster.connection import Cluster
from orchestrator.collections import deletion, places
from orchestrator.collections.acceptance import SETTLED_SECONDS
from orchestrator.collections.making import make_some
from orchestrator.reconciler import collecting as module
from orchestrator.reconciler.collecting import Collecting
from tasks.artifacts import exists
from tasks.runs.units import Run
from tests.inputs.examples import TENANT
from tests.unit.orchestrator.collections.collected import accepted, addresses, collecting
from tests.unit.orchestrator.collections.test_deaths import mortal
from tests.unit.orchestrator.reconciler.passes import with_settings


@pytest.fixture
def cluster(connection: Cluster) -> Cluster:
    return with_settings(connection, source_buckets="calls", allowed_models="fake")


def said(duty: Collecting, looks: int = 3) -> list[Any]:
    """The events of so many looks."""
    with capture_logs() as lines:
        for _ in range(looks):
            try:
                duty.go_on()
            except (StoreRefused, StoreUnavailable):
                continue
    return [line["event"] for line in lines]


def later(cluster: Cluster) -> Collecting:
    return collecting(cluster, clock=lambda: time.time() + SETTLED_SECONDS)


def test_that_a_collection_was_not_accepted_is_said_once_until_its_rest_is_erased(
    cluster: Cluster,
) -> None:
    with pytest.raises(SystemExit):  # at the record
        accepted(mortal(cluster, 4, behind=False), addresses(1), idempotency_key="may")
    assert said(later(cluster)) == ["collection_not_accepted"]
    assert said(later(cluster)) == []  # nor by another process


def test_a_collection_that_was_deleted_is_not_said_to_be_not_accepted(cluster: Cluster) -> None:
    collection = accepted(cluster, addresses(1))
    deletion.delete(cluster, TENANT, collection.id)
    assert exists(cluster.store, places.open_round(Run(TENANT, collection.id, 1)))
    assert said(later(cluster)) == []


def test_why_a_collection_waits_is_said_once_until_it_goes_on_or_the_reason_changes(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    accepted(cluster, addresses(1))
    duty = collecting(cluster)

    def fails(fault: Exception) -> None:
        def raises(*_: Any) -> bool:
            raise fault

        monkeypatch.setattr(module, "make_some", raises)

    fails(StoreUnavailable("Away."))
    assert said(duty) == ["collection_waits"]
    fails(StoreRefused("Not allowed."))
    assert said(duty) == ["collection_waits"]
    fails(ZeroDivisionError())
    assert said(duty) == ["collection_failed"]
    monkeypatch.setattr(module, "make_some", make_some)
    assert said(duty) == []
    fails(StoreUnavailable("Away."))
    accepted(cluster, addresses(1))
    assert said(duty) == ["collection_waits", "collection_waits"]  # of two
