"""Move the jobs up whose `ready_by` draws near: issue their waiting units again, in another lane.

A message is a hint, so the older one need not be found: when its turn comes, its task finds the
artifact or the lease. What is issued again is remembered by this process alone: another that leads
later does it once more.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import structlog

from orchestrator.cluster.connection import Cluster
from orchestrator.cluster.unreadable import FAULTS, note
from orchestrator.open_runs.survey import RunSurvey
from orchestrator.reconciler.leading import Leading
from orchestrator.scaling.backlog import speed_of
from orchestrator.scaling.pools import worker_pools
from tasks.runs.canvas import chain_of, cost_of
from tasks.runs.deadline import WaitingPlace, place_of
from tasks.runs.dependencies import downstream
from tasks.runs.manifest import Manifest, Plan
from tasks.runs.stages import HEADER_STAGES
from tasks.runs.units import Run, Unit
from tasks.telemetry.metrics import MOVED_UNITS

# A unit that still waits after so long is issued once more: its newer message may be lost, and the
# older one, behind all other work, hides that from the search for lost messages.
AGAIN_SECONDS = 600.0
MOST_UNITS = 500  # that a pass moves; the next passes move the others
log = structlog.get_logger(__name__)


class Hurrying:
    """Remembers which units of which runs have moved up."""

    def __init__(
        self, cluster: Cluster, leading: Leading, clock: Callable[[], float] = time.time
    ) -> None:
        self._cluster = cluster
        self._leading = leading
        self._clock = clock
        self._pools = worker_pools(cluster.settings.pools)
        self._moved: dict[Run, dict[Unit, float]] = {}  # with the time, by the clock
        self.moved_units = 0  # so far

    def forget(self) -> None:
        """Forget what has moved: another reconciler leads."""
        self._moved = {}

    def hurry(self, surveys: Sequence[RunSurvey], *, is_crowded: bool) -> None:
        """Issue the units of late jobs again. `is_crowded`: more is due than can be done.

        Raises LeadLost, redis.RedisError and kombu's OperationalError.
        """
        open_runs = {one.run for one in surveys}
        self._moved = {run: units for run, units in self._moved.items() if run in open_runs}
        left = MOST_UNITS
        for one in surveys:
            if one.ready_by is None or left <= 0:
                continue
            try:
                left -= self._move(one, left, is_crowded=is_crowded)
            except FAULTS as error:  # this run's alone
                note(one.run.name, error)

    def _move(self, one: RunSurvey, most: int, *, is_crowded: bool) -> int:
        now, moved = self._clock(), self._moved.get(one.run, {})
        waiting = [
            it
            for it in one.idle
            if it.stage in HEADER_STAGES and moved.get(it, float("-inf")) + AGAIN_SECONDS <= now
        ]
        plan = self._cluster.plan(one.run.tenant, one.run.job) if waiting else None
        if plan is None:
            return 0
        manifest = self._cluster.records.resolved(one.run)
        place = self._place(manifest, plan, one, is_crowded=is_crowded)
        if place is None:
            return 0
        self._moved[one.run] = moved
        log.info("run_moves_up", run=one.run.name, lane=place.lane, units=len(waiting))
        for unit in waiting[:most]:
            self._leading.confirm()
            units = downstream(unit, manifest.options, plan)
            message = chain_of(self._cluster.celery, units, place.lane, cost_of(manifest, plan))
            message.apply_async(ignore_result=True)
            self._cluster.queues.issued(unit)
            moved.update(dict.fromkeys(units, now))
            self.moved_units += 1
            MOVED_UNITS.labels(place.lane.value).inc()
        return len(waiting[:most])

    def _place(
        self, manifest: Manifest, plan: Plan, one: RunSurvey, *, is_crowded: bool
    ) -> WaitingPlace | None:
        """Return where the run's units go; None if they stay where they are.

        A run that was not early when it was submitted waits in its place already.
        """
        if not place_of(manifest, plan, manifest.created_at).is_early:
            return None
        if is_crowded:
            return WaitingPlace(plan.lane(manifest.options))
        found = place_of(manifest, plan, self._clock(), self._work_seconds(one))
        return None if found.is_early else found

    def _work_seconds(self, one: RunSurvey) -> float:
        """Return what one worker needs for the rest of the run, at the speeds measured here."""
        speeds = self._cluster.speeds.read()
        total = 0.0
        for item in one.work or ():
            pool = next((it for it in self._pools.values() if item.stage in it.work), None)
            if pool is not None and item.stage in HEADER_STAGES:
                speed = speed_of(pool, item.stage, item.model, speeds)
                total += (item.audio_seconds or 0.0) / (speed * pool.concurrency)
        return total
