"""The published load as metrics: queues, backlog, speeds, workers; Redis's memory; deliveries.

The metrics are missing while Redis is away, those of the load also while none was published. Of an
old load only its age is given.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from typing import Any

import structlog
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from redis import Redis
from redis.exceptions import RedisError, ResponseError

from config.settings import Settings
from orchestrator.cluster.outbox import OUTBOXES
from orchestrator.scaling.pools import WorkerPool, worker_pools
from orchestrator.scaling.published import STALE_SECONDS, PublishedLoad, published
from tasks.broker import redis_address
from tasks.services import open_redis
from tasks.state.presence import State
from tasks.telemetry import metrics

PATIENCE_SECONDS = 2.0  # timeout of Redis; Prometheus waits 10 s in all
log = structlog.get_logger(__name__)
Values = dict[tuple[str, ...], float]


class LoadReadings(Collector):
    """Reads the published load from Redis once for each scrape."""

    def __init__(self, settings: Settings) -> None:
        """Open Redis. Raises InvalidOption for pools that are not valid."""
        self._pools = worker_pools(settings.pools)
        self._redis = open_redis(redis_address(settings), PATIENCE_SECONDS, tries_again=False)

    def collect(self) -> Iterator[Metric]:
        try:
            load = published(self._redis)
            owed = [_owed(self._redis, name) for name in OUTBOXES]
            memory = self._memory()
        except (RedisError, ValueError) as error:  # away, or written by another version
            log.debug("load_not_read", reason=str(error))
            return
        yield metrics.DELIVERIES_WAITING.family({(): sum(count for count, _ in owed)})
        due = min((at for _, at in owed), default=math.inf)
        yield metrics.DELIVERIES_OVERDUE_SECONDS.family({(): max(0.0, time.time() - due)})
        if memory is not None:
            yield metrics.REDIS_MEMORY_BYTES.family({(): memory["used_memory"]})
            yield metrics.REDIS_MEMORY_LIMIT_BYTES.family({(): memory.get("maxmemory", 0)})
        if load is not None:
            yield from load_families(load, self._pools, time.time())

    def _memory(self) -> dict[str, Any] | None:
        """Ask Redis for its memory; some services do not let it be asked."""
        try:
            found: Any = self._redis.info("memory")
        except ResponseError:  # no such command, or not for this user
            return None
        return found if "used_memory" in found else None


def _owed(redis: Redis, name: str) -> tuple[int, float]:
    """Return how many entries an outbox has, and when its first one is due (infinity: none)."""
    first: Any = redis.zrange(name, 0, 0, withscores=True)
    return int(redis.zcard(name)), float(first[0][1]) if first else math.inf


def load_families(
    load: PublishedLoad, pools: Mapping[str, WorkerPool], now: float
) -> Iterator[Metric]:
    """Yield the metrics of a load; `pools` give the stages for which a missing backlog means 0.

    `now`: seconds since 1970. Of a load older than 90 s yields its age only.
    """
    age = max(0.0, now - load.measured_at)
    yield metrics.LOAD_AGE_SECONDS.family({(): age})
    if age > STALE_SECONDS:
        return
    yield metrics.OPEN_JOBS.family({(): load.open_runs})
    yield metrics.WORKERS.family(_workers(load))
    yield metrics.REISSUED_UNITS.family({(): load.reissued_units})
    yield from _queues(load)
    yield from _pools(load, pools)


def _workers(load: PublishedLoad) -> Values:
    """Return the workers; a pool that has none which takes work has none that is idle, as a 0.

    Else what counts those that are not stopping would see no pool at all, and not an empty one.
    """
    counts: Values = {}
    for one in load.workers:
        counts[one.pool, one.state, one.device] = one.workers
    taking = {one.pool for one in load.workers if one.state != State.STOPPING.value}
    for pool in load.pools.keys() - taking:
        counts[pool, State.IDLE.value, ""] = 0
    return counts


def _queues(load: PublishedLoad) -> Iterator[Metric]:
    depths: Values = {}
    ages: Values = {}
    for name, queue in load.queues.items():
        stage, _, lane = name.partition(".")
        depths[stage, lane] = queue.depth
        if queue.oldest_seconds is not None or not queue.depth:
            ages[stage, lane] = queue.oldest_seconds or 0.0
    yield metrics.QUEUE_DEPTH.family(depths)
    yield metrics.QUEUE_AGE_SECONDS.family(ages)


def _pools(load: PublishedLoad, pools: Mapping[str, WorkerPool]) -> Iterator[Metric]:
    work = [(name, stage.value) for name, pool in pools.items() for stage in pool.work]
    backlog: Values = dict.fromkeys(work, 0.0)
    in_flight: Values = dict.fromkeys(work, 0.0)
    speeds: Values = {}
    for name, pool in load.pools.items():
        for stage, one in pool.stages.items():
            backlog[name, stage] = one.backlog_seconds
            in_flight[name, stage] = one.in_flight
            speeds[name, stage] = one.speed
    yield metrics.BACKLOG_SECONDS.family(backlog)
    yield metrics.UNITS_IN_FLIGHT.family(in_flight)
    yield metrics.STAGE_SPEED.family(speeds)
    yield metrics.DESIRED_WORKERS.family(
        {(name,): pool.desired for name, pool in load.pools.items()}
    )
