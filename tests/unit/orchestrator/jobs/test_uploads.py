"""Uploads that wait for their jobs are bounded in number and in bytes."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest

from orchestrator.access import QuotaExceeded
from orchestrator.cluster.connection import Cluster
from orchestrator.jobs import uploads
from orchestrator.jobs.uploads import announce, submitted
from tasks.runs import keys
from tests.inputs.examples import TENANT


def bounded(connection: Cluster, **limits: Any) -> Cluster:
    return replace(connection, settings=connection.settings.model_copy(update=limits))


def test_a_tenant_has_a_bounded_number_of_uploads_that_wait(connection: Cluster) -> None:
    cluster = bounded(connection, pending_uploads=2)
    first = announce(cluster, TENANT, "a.wav", 1)
    announce(cluster, TENANT, "b.wav", 1)
    with pytest.raises(QuotaExceeded, match="2 uploads wait for their jobs already"):
        announce(cluster, TENANT, "c.wav", 1)
    announce(cluster, "another", "c.wav", 1)
    submitted(cluster, TENANT, first.id)
    announce(cluster, TENANT, "c.wav", 1)


def test_the_announced_bytes_of_a_tenant_are_bounded(connection: Cluster) -> None:
    cluster = bounded(connection, pending_upload_bytes=100)
    announce(cluster, TENANT, "a.wav", 60)
    with pytest.raises(QuotaExceeded, match="have 101 bytes, more than 100"):
        announce(cluster, TENANT, "b.wav", 41)
    announce(cluster, TENANT, "b.wav", 40)


def test_a_tenant_s_own_quota_bounds_its_uploads(connection: Cluster) -> None:
    cluster = bounded(connection, quotas={TENANT: {"pending_uploads": 1}})
    announce(cluster, TENANT, "a.wav", 1)
    with pytest.raises(QuotaExceeded):
        announce(cluster, TENANT, "b.wav", 1)


def test_a_wiped_redis_counts_the_uploads_that_wait_by_their_markers(connection: Cluster) -> None:
    cluster = bounded(connection, pending_uploads=2)
    announce(cluster, TENANT, "a.wav", 1)
    announce(cluster, TENANT, "b.wav", 1)
    cluster.redis.flushall()
    with pytest.raises(QuotaExceeded, match="2 uploads wait for their jobs already"):
        announce(cluster, TENANT, "c.wav", 1)


def test_an_upload_that_has_waited_for_a_day_counts_no_more(
    connection: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = bounded(connection, pending_uploads=1)
    first = announce(cluster, TENANT, "a.wav", 1)
    cluster.store.delete(keys.pending(TENANT, first.id))  # as the sweep does
    later = time.time() + uploads.KEPT_SECONDS + 1
    monkeypatch.setattr(time, "time", lambda: later)
    announce(cluster, TENANT, "b.wav", 1)
