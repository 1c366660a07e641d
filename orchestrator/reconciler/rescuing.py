"""Find the units that were lost, and issue them again.

Decisions are in `orchestrator/open_runs/needs.py`. The queues are read, and the store is asked,
only about units that have been idle for too long.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence

import structlog

from orchestrator.cluster.connection import Cluster
from orchestrator.open_runs.needs import overdue
from orchestrator.open_runs.survey import RunSurvey
from orchestrator.reconciler.leading import Leading
from tasks.artifacts import ArtifactMissing, exists
from tasks.runs import keys
from tasks.runs.canvas import chain_of, cost_of, run_canvas
from tasks.runs.deadline import place_of
from tasks.runs.dependencies import chains_before, downstream
from tasks.runs.manifest import Manifest
from tasks.runs.stages import Lane, Stage
from tasks.runs.units import Unit
from tasks.state.receipts import Receipt

log = structlog.get_logger(__name__)


class Rescuing:
    """Finds lost units: remembers between passes since when each open unit has been idle."""

    def __init__(
        self,
        cluster: Cluster,
        leading: Leading,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cluster = cluster
        self._leading = leading
        self._clock = clock
        self._idle_since: dict[Unit, float] = {}
        self._missing: set[Unit] = set()  # at the last pass
        self.reissued_units = 0  # so far, by this process

    def forget(self) -> None:
        """Forget what earlier passes saw: another reconciler leads, and it is no longer true."""
        self._idle_since, self._missing = {}, set()

    def lost(self, surveys: Iterable[RunSurvey]) -> tuple[Unit, ...]:
        """Return the units that no worker has and no message asks for.

        Raises redis.RedisError or BrokerUnavailable.
        """
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
        return tuple(unit for unit in suspects if unit in certain)

    def rescue(self, unit: Unit) -> bool:
        """Record what the store has after all, or issue the unit again (True).

        Raises LeadLost before anything is issued, redis.RedisError, kombu's OperationalError and
        what the store raises.
        """
        cluster = self._cluster
        try:
            manifest = cluster.records.manifest(unit.run.tenant, unit.run.job)
        except ArtifactMissing as error:
            log.warning("record_missing", unit=unit.name, artifact=str(error))
            return False
        if exists(cluster.store, cluster.records.key(unit)):
            cluster.ledger.record(unit, Receipt("cached"))
            return False
        if cluster.settle(unit.run) is not None:  # it has ended, and Redis was not told
            return False
        if exists(cluster.store, keys.failed(unit)):
            cluster.ledger.record(unit, Receipt("failed"))
            return False
        self._leading.confirm()
        log.warning("unit_reissued", unit=unit.name)
        if unit.stage in (Stage.PREPARE, Stage.DETECT_LANGUAGE):
            prepared = unit.stage is Stage.DETECT_LANGUAGE
            message = run_canvas(cluster.celery, manifest, unit.run, prepared=prepared)
            message.apply_async(ignore_result=True)
        else:
            self._issue_again(unit, cluster.records.resolved(unit.run))
        cluster.queues.issued(unit)
        self.reissued_units += 1
        return True

    def _issue_again(self, unit: Unit, manifest: Manifest) -> None:
        """Issue the unit, or what it needs: receipts may tell of artifacts that are not there.

        So it is after an upgrade that changes what a stage makes, and where an object was lost.
        """
        cluster, options = self._cluster, manifest.options
        plan = cluster.plan(unit.run.tenant, unit.run.job)
        if plan is None:
            chain_of(cluster.celery, (unit,), Lane.INTERACTIVE).apply_async(ignore_result=True)
            return
        lost = [
            downstream(chain[kept], options, plan)
            for chain in chains_before(unit, options, plan)
            if (kept := self._kept(chain)) < len(chain)
        ]
        for units in lost or [downstream(unit, options, plan)]:
            cost = cost_of(manifest, plan)
            place = place_of(manifest, plan, time.time())
            message = chain_of(cluster.celery, units, place, cost)
            message.apply_async(ignore_result=True)

    def _kept(self, chain: Sequence[Unit]) -> int:
        """Return how many units of a chain need not be done; all if one of them was given up."""
        store, records = self._cluster.store, self._cluster.records
        for number in range(len(chain), 0, -1):
            if exists(store, records.key(chain[number - 1])):
                return number
            if exists(store, keys.failed(chain[number - 1])):
                return len(chain)
        return 0
