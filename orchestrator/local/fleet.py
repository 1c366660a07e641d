"""Start and stop GPU workers: as many as the load needs, on usable GPUs.

The reconciler decides the number (orchestrator/scaling); this module applies it. A worker that
is stopped finishes its units and takes no new ones, so nothing is computed twice.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

import structlog
from redis.exceptions import RedisError

from orchestrator.cluster.connection import Cluster
from orchestrator.local.fleet_plan import POOL, FleetPlan, slots
from orchestrator.local.placement import Placement, usable_gpus
from orchestrator.local.supervisor import Supervisor
from orchestrator.local.workers import WorkerSpec, worker_program
from orchestrator.scaling.pools import worker_pools
from orchestrator.scaling.published import LoadUnknown, fresh_load
from tasks.runs.stages import Stage

PROBE_SECONDS = 30.0
LONGEST_UNIT_SECONDS = 600.0  # of audio, the longest unit (gpu_worker/audio/chunking.py)
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Change:
    """The workers to start and to drain now."""

    start: tuple[WorkerSpec, ...] = ()
    drain: tuple[str, ...] = ()


def next_change(
    wanted: int,
    slots: Sequence[WorkerSpec],
    running: Mapping[str, WorkerSpec],
    draining: Set[str],
    busy: Set[str],
) -> Change:
    """Choose which slots to fill and which workers to drain, the idle ones first. Pure.

    A slot is free once its last worker has ended, so there are never more workers than slots. A
    worker whose slot no longer exists has lost its GPU or its stages and is always drained.
    """
    places = {spec.name: place for place, spec in enumerate(slots)}
    moved = [name for name, spec in running.items() if spec not in slots]
    staying = {name: spec for name, spec in running.items() if spec in slots}
    on_gpu = Counter(spec.gpu for spec in staying.values())
    by_worth = sorted(  # idle ones first, then those of the fullest GPU, then the last slot
        staying, key=lambda name: (name in busy, -on_gpu[staying[name].gpu], -places[name])
    )
    leaving = by_worth[: max(0, len(staying) - wanted)]
    free = [spec for spec in slots if spec.name not in running and spec.name not in draining]
    start: list[WorkerSpec] = []
    while free and len(staying) + len(start) < wanted:
        spec = min(free, key=lambda one: on_gpu[one.gpu])
        free.remove(spec)
        on_gpu[spec.gpu] += 1
        start.append(spec)
    return Change(tuple(start), (*moved, *leaving))


class Fleet:
    """The GPU workers of one machine."""

    def __init__(
        self,
        cluster: Cluster,
        supervisor: Supervisor,
        plan: FleetPlan,
        logs: Path,
        *,
        probe: Callable[[], tuple[int, ...]] = usable_gpus,
    ) -> None:
        self._cluster = cluster
        self._supervisor = supervisor
        self._plan = plan
        self._logs = logs
        self._probe = probe
        self._pool = worker_pools(cluster.settings.pools)[POOL]
        self._usable = plan.gpus
        self._probed = time.monotonic()
        self._running: dict[str, WorkerSpec] = {}
        self._slots = slots(plan, self._pool, plan.gpus, {})

    def run(self, stop: threading.Event) -> None:
        """Follow the load until `stop` is set; an error ends a pass, never the loop."""
        waiting = False  # an outage is logged once, not at every pass
        while True:
            try:
                self.follow()
                waiting = False
            except RedisError as error:
                if not waiting:
                    log.warning("fleet_waits", reason=str(error))
                waiting = True
            except Exception:
                log.exception("fleet_pass_failed")
            if stop.wait(self._cluster.settings.reconcile_seconds):
                return

    def follow(self) -> Change:
        """Make one pass: start and drain workers; return the change. May raise redis.RedisError."""
        self._look_at_gpus()
        wanted = self._wanted()
        is_surplus = len(self._running) > wanted
        change = next_change(
            wanted,
            self._slots,
            self._running,
            self._supervisor.retiring(),
            self._cluster.leases.workers() if is_surplus else frozenset(),
        )
        for name in change.drain:
            del self._running[name]
            self._supervisor.retire(name, self._grace_seconds)
        for spec in change.start:
            self._running[spec.name] = spec
            self._supervisor.add(worker_program(spec, self._cluster.settings, self._logs))
        if change.start or change.drain:
            log.info(
                "fleet_changed",
                wanted=wanted,
                started=[spec.name for spec in change.start],
                draining=list(change.drain),
            )
        return change

    def _wanted(self) -> int:
        """Return the desired number within the plan; while the load is unknown, the present one."""
        plan, desired = self._plan, len(self._running)
        if plan.placement is Placement.BY_STAGE:
            return len(self._slots)
        if plan.minimum < plan.maximum:
            try:
                load = fresh_load(self._cluster.redis, time.time())
                desired = load.pools[POOL].desired
            except LoadUnknown:
                pass
        return max(plan.minimum, min(plan.maximum, desired))

    def _look_at_gpus(self) -> None:
        """Probe the GPUs every 30 s and leave those that have failed; never leave the last one."""
        if not self._plan.gpus or time.monotonic() - self._probed < PROBE_SECONDS:
            return
        self._probed = time.monotonic()
        usable = tuple(gpu for gpu in self._probe() if gpu in self._plan.gpus)
        if usable and usable != self._usable:
            log.warning("gpus_changed", usable=usable, before=self._usable)
            self._usable = usable
            self._slots = slots(self._plan, self._pool, usable, self._work_seconds())

    def _work_seconds(self) -> dict[Stage, float]:
        try:
            load = fresh_load(self._cluster.redis, time.time())
        except LoadUnknown:
            return {}
        stages = load.pools[POOL].stages.items()
        return {Stage(name): one.backlog_seconds / one.speed for name, one in stages}

    @property
    def _grace_seconds(self) -> float:
        """Longer than any unit's deadline, after which a worker that hangs ends itself."""
        values = self._cluster.settings
        longest = values.deadline_factor * LONGEST_UNIT_SECONDS
        return max(values.deadline_floor_seconds, longest) + values.lease_seconds
