"""The loop that closes every gap: what Redis or a dead worker lost is issued again.

A pass surveys the open runs, rescues what is lost and measures the load. It asks Redis alone; the
queues are read and the store is asked only about units that have been idle for too long. Every
other duty runs beside it, so that no listing of the store delays a pass.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import structlog
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from gpu_worker.errors import ScriptoriumError
from orchestrator.cluster.connection import Cluster
from orchestrator.cluster.unreadable import FAULTS, note
from orchestrator.open_runs.needs import pause_after
from orchestrator.open_runs.survey import Surveyor
from orchestrator.reconciler.accounting import PACK_SECONDS, Accounting
from orchestrator.reconciler.cataloguing import Cataloguing
from orchestrator.reconciler.collecting import COLLECTIONS_SECONDS, Collecting
from orchestrator.reconciler.costing import COSTS_SECONDS, Costing
from orchestrator.reconciler.duty import Duty
from orchestrator.reconciler.housekeeping import UPLOADS_SECONDS, Housekeeping
from orchestrator.reconciler.hurrying import Hurrying
from orchestrator.reconciler.leading import Leading, LeadLost
from orchestrator.reconciler.measuring import Measuring
from orchestrator.reconciler.rescuing import Rescuing
from orchestrator.reconciler.restoring import Restoring
from orchestrator.reconciler.retaining import Retaining
from orchestrator.reconciler.shadowing import ORPHANS_SECONDS, SHADOWS_SECONDS, Shadowing
from tasks.runs.units import Unit
from tasks.telemetry.heartbeat import Heartbeat

CATALOG_SECONDS = 5.0  # between looks whether the catalog is due
JOIN_SECONDS = 5.0  # that duties get to end; they stop before their next item
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
        settings = cluster.settings
        self._cluster = cluster
        self._leading = Leading(cluster.redis, settings.reconcile_seconds)
        self._surveyor = Surveyor(cluster)
        self._rescuing = Rescuing(cluster, self._leading, clock)
        self._measuring = Measuring(cluster)
        self._hurrying = Hurrying(cluster, self._leading)
        self._restoring = Restoring(cluster, self._leading, adopt=adopt)
        self._cataloguing = Cataloguing(cluster, self._leading, self._restoring)
        house = Housekeeping(cluster, self._leading)
        retaining = Retaining(cluster, self._leading)
        accounting = Accounting(cluster, self._leading)
        self._audit = Duty("audit", self._restoring.restore, settings.audit_seconds)
        costing = Costing(cluster, self._leading)
        self._beside = [self._audit, Duty("costs", costing.measure, COSTS_SECONDS)]
        if adopt:
            collecting = Collecting(cluster, self._leading)
            shadowing = Shadowing(cluster, self._leading)
            self._beside += [
                Duty("collections", collecting.go_on, COLLECTIONS_SECONDS),
                Duty("collection_deletions", collecting.end_deletions, settings.audit_seconds),
                Duty("catalog", self._cataloguing.walk, CATALOG_SECONDS),
                Duty("deletions", house.end_deletions, settings.audit_seconds),
                Duty("retention", retaining.sweep, settings.audit_seconds),
                Duty("uploads", house.remove_unused_uploads, UPLOADS_SECONDS),
                Duty("shadows", shadowing.make, SHADOWS_SECONDS),
                Duty("orphans", shadowing.remove_orphans, ORPHANS_SECONDS),
                Duty("usage", accounting.count, settings.audit_seconds),
                Duty("packs", accounting.pack, PACK_SECONDS),
            ]
        self._running: list[Duty] = []  # those that a pass may start: only `run` ends them
        self._clock = clock
        self._heartbeat = Heartbeat(settings.heartbeat_file)

    def run(self, stop: threading.Event) -> None:
        """Make passes, with the duties beside them, until `stop` is set."""
        self._running = self._beside
        with self._leading.renewed():
            self._loop(stop)
        deadline = time.monotonic() + JOIN_SECONDS
        for duty in self._beside:
            duty.join(max(0.0, deadline - time.monotonic()))

    def _loop(self, stop: threading.Event) -> None:
        """Make passes until `stop` is set; a fault ends a pass, never the loop."""
        waiting = False  # said once, not at every pass of an outage
        pause = self._cluster.settings.reconcile_seconds
        while not stop.wait(pause):
            began = self._clock()
            pause = self._cluster.settings.reconcile_seconds
            try:
                self.reconcile()
                pause = pause_after(self._clock() - began, pause)
                waiting = False
                self._heartbeat.beat()
            except LeadLost:
                self._heartbeat.beat()
            except (RedisError, OperationalError, ScriptoriumError) as error:
                if not waiting:
                    log.warning("reconciler_waits", reason=str(error))
                waiting = True
                self._heartbeat.beat()  # started again, it would wait for the same
            except Exception:
                log.exception("reconciler_pass_failed")

    def reconcile(self) -> tuple[Unit, ...]:
        """Make one pass, if this process leads; return the units that were issued again.

        Raises LeadLost, redis.RedisError, kombu's OperationalError and what the store raises.
        """
        if not self._leading.take():
            self._rescuing.forget()
            self._hurrying.forget()
            return ()
        runs = self._cluster.jobs.open_runs()
        wiped = self._cluster.jobs.is_wiped()  # asked later: if so, runs may be missing
        if wiped:
            self._audit.hurry()
        else:
            self._restoring.seen = frozenset(runs)
        for duty in self._running:
            duty.start_if_due()
        surveys = tuple(self._steps(self._surveyor.survey(runs)))
        try:
            lost = self._rescuing.lost(surveys)
            issued = tuple(unit for unit in self._steps(lost) if self._rescued(unit))
            self._hurrying.hurry(surveys, is_crowded=self._measuring.is_crowded)
            return issued
        finally:
            if self._leading.is_held and not wiped:  # what is not restored yet is work too
                self._measuring.measure(surveys, self._rescuing.reissued_units)

    def _rescued(self, unit: Unit) -> bool:
        """Rescue a unit; what cannot be read of its run is its own trouble."""
        try:
            return self._rescuing.rescue(unit)
        except FAULTS as error:
            note(unit.name, error)
            return False

    def _steps(self, items: Iterable[Item]) -> Iterator[Item]:
        """Yield the items while this process leads; each is a sign that the pass does not hang."""
        for item in self._leading.while_held(items):
            self._heartbeat.beat()
            self._leading.step()
            yield item
