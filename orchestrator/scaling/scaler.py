"""Measure each pool's load, decide how many workers it should have, and publish both."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence

from orchestrator.cluster.connection import Cluster
from orchestrator.cluster.unreadable import FAULTS, note
from orchestrator.open_runs.survey import RunSurvey
from orchestrator.scaling.backlog import FIRST_JOB_SECONDS, StageWork, pool_load, remaining_work
from orchestrator.scaling.policy import Load, Recommendation, recommend
from orchestrator.scaling.pools import WorkerPool, worker_pools
from orchestrator.scaling.published import (
    PoolLoad,
    PublishedLoad,
    QueueLoad,
    StageBacklog,
    publish,
    published,
)
from tasks.runs.stages import Stage
from tasks.state.speeds import Speed, SpeedName


class Scaler:
    """Decides the number of workers; KEDA or the local fleet then starts and stops them."""

    def __init__(self, cluster: Cluster) -> None:
        self._redis = cluster.redis
        self._queues = cluster.queues
        self._default_model = cluster.settings.model
        self._pools = worker_pools(cluster.settings.pools)
        self._speeds = cluster.speeds

    def publish(self, surveys: Sequence[RunSurvey], reissued_units: int = 0) -> PublishedLoad:
        """Measure, decide and publish. May raise redis.RedisError or BrokerUnavailable."""
        now = time.time()
        before = published(self._redis)
        speeds = self._speeds.read()
        work = self._work(surveys, speeds)
        in_flight = Counter(
            need.unit.stage for one in surveys for need in one.needs if need.is_leased
        )
        pools = {}
        for name, pool in self._pools.items():
            load = pool_load(pool, work, in_flight, speeds)
            known = before.pools.get(name) if before else None
            desired, kept = recommend(load, pool, known.recommendations if known else (), now)
            pools[name] = _described(pool, load, desired, kept)
        lengths, ages = self._queues.lengths(), self._queues.ages(now)
        measured = PublishedLoad(
            measured_at=now,
            open_runs=len(surveys),
            queues={name: QueueLoad(depth, ages.get(name)) for name, depth in lengths.items()},
            pools=pools,
            reissued_units=reissued_units,
        )
        publish(self._redis, measured)
        return measured

    def _work(
        self, surveys: Sequence[RunSurvey], speeds: dict[SpeedName, Speed]
    ) -> list[StageWork]:
        prepared = [speed for name, speed in speeds.items() if name.stage is Stage.PREPARE]
        lengths = [speed.audio_seconds_per_unit for speed in prepared]
        likely = sum(lengths) / len(lengths) if lengths else FIRST_JOB_SECONDS
        work: list[StageWork] = []
        unread = 0
        for one in surveys:
            if one.facts is None:
                unread += 1
            else:
                try:
                    work += remaining_work(one.facts, likely)
                except FAULTS as error:  # its plan contradicts itself; the others count
                    note(one.run.name, error)
        if unread:
            work.append(StageWork(Stage.PREPARE, self._default_model, unread * likely, unread))
        return work


def _described(
    pool: WorkerPool, load: Load, desired: int, kept: Sequence[Recommendation]
) -> PoolLoad:
    return PoolLoad(
        desired=desired,
        backlog_seconds=round(load.backlog_seconds, 3),
        in_flight=load.in_flight,
        minimum=pool.minimum,
        maximum=pool.maximum,
        stages={
            stage.value: StageBacklog(
                backlog_seconds=round(one.audio_seconds, 3),
                units=one.units,
                in_flight=one.in_flight,
                speed=round(one.speed * pool.concurrency, 3),
            )
            for stage, one in load.stages.items()
        },
        recommendations=tuple(kept),
    )
