"""The loop that closes every gap: what Redis or a dead worker lost is issued again.

Decisions are in `reconciliation.py`. A pass asks Redis alone; the queues are read
and the store is asked only about units that have been idle for too long.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import TypeVar
from uuid import uuid4

import structlog
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from gpu_worker.errors import ScriptoriumError
from orchestrator.access.tenants import known_tenants
from orchestrator.cluster.connection import Cluster, UnknownJob
from orchestrator.cluster.job_index import known_jobs, newest_run, open_runs
from orchestrator.jobs.tombstones import Tombstones
from orchestrator.jobs.uploads import sweep_uploads
from orchestrator.open_runs.needs import overdue, pause_after
from orchestrator.open_runs.survey import RunSurvey, survey
from orchestrator.scaling.scaler import Scaler
from tasks.artifacts import ArtifactMissing, exists
from tasks.runs import keys
from tasks.runs.canvas import in_turn, run_canvas
from tasks.runs.dependencies import chains_before, units_behind
from tasks.runs.options import JobOptions
from tasks.runs.records import failures
from tasks.runs.stages import Lane, Stage
from tasks.runs.units import Run, Unit
from tasks.state.receipts import Receipt
from tasks.telemetry.heartbeat import Heartbeat

_LEADER = "scriptorium:reconciler"
TIDY_SECONDS = 3600.0
Item = TypeVar("Item")
log = structlog.get_logger(__name__)


class Reconciler:
    """One pass at a time; of several reconcilers on one Redis only the leader works."""

    def __init__(
        self,
        cluster: Cluster,
        *,
        adopt: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cluster = cluster
        self._adopt = adopt  # take up runs that others left open
        self._seen: set[Run] = set()  # the open runs that are ours to restore in any case
        self._clock = clock
        self._idle_since: dict[Unit, float] = {}
        self._missing: set[Unit] = set()  # at the last pass
        self._tombstones = Tombstones(cluster)
        self._scaler = Scaler(cluster)
        self._audited = float("-inf")
        self._tidied = float("-inf")
        self._name = uuid4().hex
        self._heartbeat = Heartbeat(cluster.settings.heartbeat_file)

    def run(self, stop: threading.Event) -> None:
        """Passes until told to stop; a fault ends a pass, never the loop."""
        waiting = False  # said once, not at every pass of an outage
        pause = self._cluster.settings.reconcile_seconds
        while not stop.wait(pause):
            began = self._clock()
            pause = self._cluster.settings.reconcile_seconds
            try:
                if self._leads():
                    self.reconcile()
                    pause = pause_after(self._clock() - began, pause)
                waiting = False
                self._heartbeat.beat()
            except (RedisError, OperationalError, ScriptoriumError) as error:
                if not waiting:
                    log.warning("reconciler_waits", reason=str(error))
                waiting = True
                self._heartbeat.beat()  # started again, it would wait for the same
            except Exception:
                log.exception("reconciler_pass_failed")

    def reconcile(self) -> tuple[Unit, ...]:
        """One pass. Gives the units that were issued again."""
        self._audit()
        runs = self._cluster.jobs.open_runs()
        self._seen = set(runs)
        surveys = tuple(self._beating(survey(self._cluster, runs)))
        self._measure(surveys)
        idle = [unit for one in surveys for unit in one.idle]
        grace = self._cluster.settings.reconcile_grace_seconds
        self._idle_since, suspects = overdue(self._idle_since, idle, self._clock(), grace)
        if not suspects:
            self._missing = set()
            return ()
        missing = set(suspects) - self._cluster.queues.queued(suspects)
        # A worker may have taken the message between our look at the leases and at the queues:
        # only what is missing at two passes is lost.
        certain, self._missing = missing & self._missing, missing - self._missing
        for unit in set(suspects) - self._missing:  # answered; the grace begins anew
            self._idle_since.pop(unit, None)
        reissued = tuple(unit for unit in suspects if unit in certain and self._mend(unit))
        self._scaler.reissued_units += len(reissued)
        return reissued

    def _beating(self, items: Iterable[Item]) -> Iterator[Item]:
        """They may be many, and a pass that goes through them takes its time but does not hang."""
        for item in items:
            self._heartbeat.beat()
            yield item

    def _measure(self, surveys: Sequence[RunSurvey]) -> None:
        """Publish the load. What cannot be measured must not keep lost work from being issued."""
        try:
            self._scaler.publish(surveys)
        except (RedisError, ScriptoriumError):
            raise  # the rest of the pass would fail of it too
        except Exception:
            log.exception("load_not_measured")

    def _mend(self, unit: Unit) -> bool:
        """Record what the store has after all, or issue the unit again (True)."""
        cluster = self._cluster
        try:
            manifest = cluster.records.manifest(unit.run.tenant, unit.run.job)
        except ArtifactMissing as error:
            log.warning("record_missing", unit=unit.name, artifact=str(error))
            return False
        if exists(cluster.store, cluster.records.key(unit)):
            cluster.ledger.record(unit, Receipt("cached"))
            return False
        if exists(cluster.store, keys.failed(unit)):
            cluster.ledger.record(unit, Receipt("failed"))
            return False
        log.warning("unit_reissued", unit=unit.name)
        if unit.stage in (Stage.PREPARE, Stage.DETECT_LANGUAGE):
            prepared = unit.stage is Stage.DETECT_LANGUAGE
            message = run_canvas(cluster.celery, manifest, unit.run, prepared=prepared)
            message.apply_async(ignore_result=True)
        else:
            self._issue_again(unit, cluster.records.resolved(unit.run).options)
        cluster.queues.issued(unit)
        return True

    def _issue_again(self, unit: Unit, options: JobOptions) -> None:
        """The unit, or what it needs: receipts may tell of artifacts that are not there.

        So it is after an upgrade that changes what a stage makes, and where an object was lost.
        """
        cluster = self._cluster
        plan = cluster.plan(unit.run.tenant, unit.run.job)
        if plan is None:
            in_turn(cluster.celery, (unit,), Lane.INTERACTIVE).apply_async(ignore_result=True)
            return
        lost = [
            units_behind(chain[kept], options, plan)
            for chain in chains_before(unit, options, plan)
            if (kept := self._kept(chain)) < len(chain)
        ]
        for units in lost or [units_behind(unit, options, plan)]:
            message = in_turn(cluster.celery, units, plan.lane(options))
            message.apply_async(ignore_result=True)

    def _kept(self, chain: Sequence[Unit]) -> int:
        """How many units of a chain need not be done; all if one of them was given up."""
        store, records = self._cluster.store, self._cluster.records
        for number in range(len(chain), 0, -1):
            if exists(store, records.key(chain[number - 1])):
                return number
            if exists(store, keys.failed(chain[number - 1])):
                return len(chain)
        return 0

    def _audit(self) -> None:
        """Restore Redis from the store after a wipe, and compare the two now and then."""
        cluster = self._cluster
        wiped = cluster.jobs.is_wiped()
        due = self._clock() - self._audited >= cluster.settings.audit_seconds
        if not (wiped or due):
            return
        known = set(cluster.jobs.open_runs())
        for run in self._beating(open_runs(cluster.store)):
            if run not in known and (self._adopt or run in self._seen):
                self._restore(run)
        if wiped and self._adopt:
            for tenant in known_tenants(cluster.store, cluster.settings):
                for job in self._beating(known_jobs(cluster.store, tenant)):
                    with suppress(UnknownJob):  # it is being deleted
                        cluster.job(tenant, job)
        if self._adopt:
            cluster.outbox.restore()
        cluster.jobs.restored()
        self._audited = self._clock()
        if self._adopt:
            self._tombstones.sweep()
            self._tidy()

    def _tidy(self) -> None:
        """Now and then: remove what was uploaded and never submitted."""
        if self._clock() - self._tidied >= TIDY_SECONDS:
            self._tidied = self._clock()
            for tenant in known_tenants(self._cluster.store, self._cluster.settings):
                sweep_uploads(self._cluster, tenant)

    def _restore(self, run: Run) -> None:
        cluster = self._cluster
        if exists(cluster.store, keys.tombstone(run.tenant, run.job)):
            return
        try:
            manifest = cluster.records.manifest(run.tenant, run.job)
        except ArtifactMissing:
            return  # a submission that was not accepted
        log.info("run_restored", run=run.name)
        if exists(cluster.store, keys.of_run(run, "canceled")):
            cluster.cancellations.flag(run)
        newest = newest_run(cluster.store, run.tenant, run.job)
        newest = newest if newest.number > run.number else run
        cluster.jobs.add(manifest, newest)
        if cluster.plan(run.tenant, run.job) is not None:
            cluster.ledger.record(
                run.unit(Stage.PREPARE), Receipt("cached", finished_at=time.time())
            )
        for stage, index in failures(cluster.store, run):
            cluster.ledger.record(run.unit(stage, index), Receipt("failed"))
        cluster.settle(run)

    def _leads(self) -> bool:
        """Hold or take the leadership for a few passes."""
        redis, name = self._cluster.redis, self._name.encode()
        milliseconds = int(self._cluster.settings.reconcile_seconds * 5000) + 5000
        if redis.set(_LEADER, name, nx=True, px=milliseconds):
            return True
        if redis.get(_LEADER) != name:
            return False
        redis.pexpire(_LEADER, milliseconds)
        return True
