"""What open runs cost is measured once they are planned, and again after a wipe."""

from __future__ import annotations

import pytest

from orchestrator.cluster.connection import Cluster
from orchestrator.cluster.costs import UNKNOWN
from orchestrator.cluster.job_lists import OPEN, open_of
from orchestrator.jobs.runs import cancel
from orchestrator.reconciler.costing import Costing
from orchestrator.reconciler.leading import Leading
from tasks.artifacts import encode
from tasks.runs import keys
from tasks.runs.stages import Stage
from tasks.state.receipts import Receipt
from tests.inputs.examples import JOB, TENANT, a_plan, a_unit
from tests.unit.orchestrator.reconciler.passes import open_job, restore, with_settings

BOUNDED = {"quotas": {TENANT: {"audio_seconds_in_flight": 1000.0, "bytes_in_flight": 1e9}}}


def measure(connection: Cluster) -> None:
    leading = Leading(connection.redis, 100.0)
    assert leading.take()
    Costing(connection, leading).measure()
    leading.release()


def test_a_run_is_measured_once_it_is_planned(connection: Cluster) -> None:
    open_job(connection)
    measure(connection)
    assert connection.jobs.in_flight(TENANT) == UNKNOWN
    connection.store.put(keys.plan(TENANT, JOB), encode(a_plan(9, 8).model_dump(mode="json")))
    connection.ledger.record(a_unit(Stage.PREPARE), Receipt("computed"))
    measure(connection)
    assert connection.jobs.in_flight(TENANT).audio_seconds == 17.0
    assert connection.jobs.unmeasured() == []


def test_after_a_wipe_the_same_is_in_flight_as_before(connection: Cluster) -> None:
    cluster = with_settings(connection, **BOUNDED)
    cluster.store.put(keys.source(TENANT, "ab"), bytes(1234))
    cluster.store.put(keys.pcm(TENANT, a_plan().audio), b"")
    open_job(cluster, a_plan(10, 20))
    measure(cluster)
    before = cluster.jobs.in_flight(TENANT)
    assert (before.audio_seconds, before.stored_bytes) == (30.0, 1234 + 30 * 32_000)
    cluster.redis.flushall()
    restore(cluster)
    assert cluster.jobs.in_flight(TENANT) == before
    restore(cluster)  # nothing is counted twice
    assert cluster.jobs.in_flight(TENANT) == before
    cancel(cluster, TENANT, JOB)
    assert cluster.jobs.in_flight(TENANT) == UNKNOWN


@pytest.mark.parametrize("is_planned", [True, False])
def test_a_run_that_an_earlier_release_closed_is_looked_at_no_more(
    connection: Cluster, is_planned: bool
) -> None:
    open_job(connection)
    if is_planned:
        connection.store.put(keys.plan(TENANT, JOB), encode(a_plan(9).model_dump(mode="json")))
    unit = a_unit(Stage.PREPARE)
    connection.ledger.record(unit, Receipt("computed"))
    connection.redis.srem(OPEN, unit.run.name)
    connection.redis.srem(open_of(TENANT), unit.run.name)
    measure(connection)
    assert connection.jobs.unmeasured() == []
