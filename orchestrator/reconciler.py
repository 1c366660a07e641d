"""The loop that closes every gap: what Redis or a dead worker lost is issued again.

Decisions are in `reconciliation.py`. A pass asks Redis alone; the queues are read
and the store is asked only about units that have been idle for too long.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from uuid import uuid4

import structlog
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from gpu_worker.errors import ScriptoriumError
from orchestrator.connection import Connection
from orchestrator.jobs import Receipts
from orchestrator.queues import queued_units
from orchestrator.reconciliation import RunFacts, lost, needed_units, overdue
from orchestrator.store import known_jobs, newest_run, open_runs
from tasks.artifacts import ArtifactMissing, keys
from tasks.pipeline import in_turn, run_canvas
from tasks.receipts import Receipt
from tasks.records import exists, failures
from tasks.stages import Lane, Stage, Unit
from tasks.units import units_behind

_LEADER = "scriptorium:reconciler"
log = structlog.get_logger(__name__)


class Reconciler:
    """One pass at a time; of several reconcilers on one Redis only the leader works."""

    def __init__(
        self,
        connection: Connection,
        *,
        adopt: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connection = connection
        self._adopt = adopt  # take up runs that others left open
        self._seen: set[Unit] = set()  # the open runs that are ours to restore in any case
        self._clock = clock
        self._idle_since: dict[Unit, float] = {}
        self._missing: set[Unit] = set()  # at the last pass
        self._audited = float("-inf")
        self._name = uuid4().hex

    def run(self, stop: threading.Event) -> None:
        """Passes until told to stop; a fault ends a pass, never the loop."""
        waiting = False  # said once, not at every pass of an outage
        while not stop.wait(self._connection.settings.reconcile_seconds):
            try:
                if self._leads():
                    self.reconcile()
                waiting = False
            except (RedisError, OperationalError, ScriptoriumError) as error:
                if not waiting:
                    log.warning("reconciler_waits", reason=str(error))
                waiting = True
            except Exception:
                log.exception("reconciler_pass_failed")

    def reconcile(self) -> tuple[Unit, ...]:
        """One pass. Gives the units that were issued again."""
        self._audit()
        self._seen = set(self._connection.jobs.open_runs())
        idle = [unit for run in self._seen for unit in self._idle(run)]
        grace = self._connection.settings.reconcile_grace_seconds
        self._idle_since, suspects = overdue(self._idle_since, idle, self._clock(), grace)
        if not suspects:
            self._missing = set()
            return ()
        missing = set(lost(suspects, queued_units(self._connection.redis)))
        # A worker may have taken the message between our look at the leases and at the queues:
        # only what is missing at two passes is lost.
        certain, self._missing = missing & self._missing, missing - self._missing
        for unit in set(suspects) - self._missing:  # answered; the grace begins anew
            self._idle_since.pop(unit, None)
        return tuple(unit for unit in suspects if unit in certain and self._mend(unit))

    def _idle(self, run: Unit) -> list[Unit]:
        """The run's needed units on which nobody works."""
        connection = self._connection
        receipts = connection.ledger.read(run.tenant, run.job, run.run)
        if (Stage.ASSEMBLE, 0) in receipts and connection.settle(run) is not None:
            return []
        try:
            needed = needed_units(self._facts(run, receipts))
            wanted = [connection.records.key(unit) for unit in needed]
            fans_out, *leased = connection.leases.held(
                [keys.run(run, Stage.FAN_OUT.value), *wanted]
            )
        except ArtifactMissing as error:
            log.warning("record_missing", unit=run.name, artifact=str(error))
            return []
        if fans_out:  # the messages are just being written
            return []
        return [unit for unit, held in zip(needed, leased, strict=True) if not held]

    def _facts(self, run: Unit, receipts: Receipts) -> RunFacts:
        return RunFacts(
            manifest=self._connection.records.manifest(run.tenant, run.job),
            run=run.run,
            plan=self._connection.plan(run),
            settled=receipts.keys(),
            failed={unit for unit, receipt in receipts.items() if receipt.outcome == "failed"},
        )

    def _mend(self, unit: Unit) -> bool:
        """Record what the store has after all, or issue the unit again (True)."""
        connection = self._connection
        if exists(connection.store, connection.records.key(unit)):
            connection.ledger.record(unit, Receipt("cached"))
            return False
        if exists(connection.store, keys.failed(unit)):
            connection.ledger.record(unit, Receipt("failed"))
            return False
        log.warning("unit_reissued", unit=unit.name)
        manifest = connection.records.manifest(unit.tenant, unit.job)
        if unit.stage in (Stage.PREPARE, Stage.DETECT_LANGUAGE):
            prepared = unit.stage is Stage.DETECT_LANGUAGE
            message = run_canvas(connection.celery, manifest, unit.run, prepared=prepared)
        else:
            plan, options = connection.plan(unit), manifest.options
            units = units_behind(unit, options, plan) if plan else (unit,)
            lane = plan.lane(options) if plan else Lane.INTERACTIVE
            message = in_turn(connection.celery, units, lane)
        message.apply_async(ignore_result=True)
        return True

    def _audit(self) -> None:
        """Restore Redis from the store after a wipe, and compare the two now and then."""
        connection = self._connection
        wiped = connection.jobs.is_wiped()
        due = self._clock() - self._audited >= connection.settings.audit_seconds
        if not (wiped or due):
            return
        known = set(connection.jobs.open_runs())
        for unit in open_runs(connection.store):
            if unit not in known and (self._adopt or unit in self._seen):
                self._restore(unit)
        if wiped and self._adopt:
            for job in known_jobs(connection.store, connection.settings.tenant):
                connection.job(connection.settings.tenant, job)
        connection.jobs.restored()
        self._audited = self._clock()

    def _restore(self, unit: Unit) -> None:
        connection = self._connection
        try:
            manifest = connection.records.manifest(unit.tenant, unit.job)
        except ArtifactMissing:
            return  # a submission that was not accepted
        log.info("run_restored", unit=unit.name)
        if exists(connection.store, keys.run(unit, "canceled")):
            connection.cancellations.flag(unit)
        newest = max(unit.run, newest_run(connection.store, unit.tenant, unit.job))
        connection.jobs.add(manifest, newest)
        for stage, index in failures(connection.store, unit):
            failed = Unit(unit.tenant, unit.job, unit.run, stage, index)
            connection.ledger.record(failed, Receipt("failed"))
        connection.settle(unit)

    def _leads(self) -> bool:
        """Hold or take the leadership for a few passes."""
        redis, name = self._connection.redis, self._name.encode()
        milliseconds = int(self._connection.settings.reconcile_seconds * 5000) + 5000
        if redis.set(_LEADER, name, nx=True, px=milliseconds):
            return True
        if redis.get(_LEADER) != name:
            return False
        redis.pexpire(_LEADER, milliseconds)
        return True
