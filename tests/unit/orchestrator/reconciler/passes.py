"""Passes of a reconciler whose time passes when a test says so."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from redis import Redis

from orchestrator.cluster.connection import Cluster
from orchestrator.reconciler import Reconciler
from orchestrator.reconciler.cataloguing import Cataloguing
from orchestrator.reconciler.leading import KEY, Leading
from orchestrator.reconciler.restoring import Restoring
from tasks.runs import keys
from tasks.runs.manifest import Plan
from tasks.runs.stages import Stage
from tasks.runs.units import Run
from tasks.state.receipts import Receipt
from tests.eventually import eventually
from tests.inputs.examples import a_manifest, a_run, a_unit, write_records

GRACE = 5.0
ASSEMBLE = a_unit(Stage.ASSEMBLE)


class Clock:
    """A time that passes when it is told to."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def is_renewed(redis: Redis) -> bool:
    """Wait until the lock of the one that leads gets a longer life than it had."""
    left: list[Any] = [redis.pttl(KEY)]

    def grew() -> bool:
        left.append(redis.pttl(KEY))
        return bool(left[-1] > left[-2] > 0)

    return eventually(grew)


def with_settings(connection: Cluster, **changes: Any) -> Cluster:
    """The same parts by other settings."""
    return replace(connection, settings=connection.settings.model_copy(update=changes))


def open_job(connection: Cluster, plan: Plan | None = None, **options: Any) -> None:
    """A job as submission leaves it, without its message."""
    write_records(connection.store, a_manifest(**options), plan)
    connection.store.put(keys.open_run(ASSEMBLE.run), b"")
    connection.jobs.add(a_manifest(**options), a_run())
    if plan is not None:
        connection.ledger.record(a_unit(Stage.PREPARE), Receipt("computed"))
    connection.jobs.restored()


def issued(reconciler: Reconciler, clock: Clock) -> list[tuple[Stage, int]]:
    """What is issued again a grace later, when it is missing twice."""
    assert reconciler.reconcile() == ()
    clock.now += GRACE
    assert reconciler.reconcile() == ()
    return [(unit.stage, unit.index) for unit in reconciler.reconcile()]


def restore(connection: Cluster, *, adopt: bool = True, seen: Collection[Run] = ()) -> None:
    """The reconciler's audit and its walk over all jobs, once, by a leader that leaves."""
    leading = Leading(connection.redis, 100.0)  # for minutes: no thread renews the lock
    assert leading.take()
    restoring = Restoring(connection, leading, adopt=adopt)
    restoring.seen = seen
    restoring.restore()
    if adopt:
        Cataloguing(connection, leading, restoring).walk()
    leading.release()
