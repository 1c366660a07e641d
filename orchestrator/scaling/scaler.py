"""Measure each pool's load, decide how many workers it should have, and publish both."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence

from orchestrator.cluster.connection import Cluster
from orchestrator.open_runs.survey import RunSurvey
from orchestrator.open_runs.work import StageWork
from orchestrator.scaling.backlog import FIRST_JOB_SECONDS, pool_load
from orchestrator.scaling.deadlines import is_crowded, needed_at_once
from orchestrator.scaling.policy import Load, Recommendation, recommend
from orchestrator.scaling.pools import WorkerPool, worker_pools
from orchestrator.scaling.published import (
    PoolLoad,
    PublishedLoad,
    QueueLoad,
    StageBacklog,
    WorkerCount,
    publish,
    published,
)
from tasks.runs.stages import Stage
from tasks.state.presence import Presences
from tasks.state.speeds import Speed, SpeedName


class Scaler:
    """Decides the number of workers; KEDA or the local fleet then starts and stops them."""

    def __init__(self, cluster: Cluster) -> None:
        self._redis = cluster.redis
        self._queues = cluster.queues
        self._default_model = cluster.settings.model
        self._pools = worker_pools(cluster.settings.pools)
        self._speeds = cluster.speeds
        self._presences = Presences(cluster.redis)

    def publish(self, surveys: Sequence[RunSurvey], reissued_units: int = 0) -> PublishedLoad:
        """Measure, decide and publish. May raise redis.RedisError or BrokerUnavailable.

        `reissued_units`: those since this process last published. They are added to what was
        published before, by any process: of several reconcilers each one leads now and then.
        """
        now = time.time()
        before = published(self._redis)
        speeds = self._speeds.read()
        work, likely = self._work(surveys), _likely_seconds(speeds)
        due = [
            (one.ready_by, item)
            for one in surveys
            if one.ready_by is not None
            for item in one.work or ()
        ]
        in_flight: Counter[Stage] = Counter()
        for one in surveys:
            for stage, number in one.in_flight:
                in_flight[stage] += number
        pools = {}
        for name, pool in self._pools.items():
            load = pool_load(pool, work, in_flight, speeds, likely, due)
            known = before.pools.get(name) if before else None
            desired, kept = recommend(load, pool, known.recommendations if known else (), now)
            pools[name] = _described(pool, load, desired, kept, now)
        lengths, ages = self._queues.lengths(), self._queues.ages(now)
        measured = PublishedLoad(
            measured_at=now,
            open_runs=len(surveys),
            queues={name: QueueLoad(depth, ages.get(name)) for name, depth in lengths.items()},
            pools=pools,
            workers=self._present(),
            reissued_units=reissued_units + (before.reissued_units if before else 0),
        )
        publish(self._redis, measured)
        return measured

    def _present(self) -> tuple[WorkerCount, ...]:
        """Count the workers that tell of themselves, by what they tell."""
        told = self._presences.read(self._presences.now()).values()
        alike = Counter((one.pool, one.state.value, one.device) for one in told)
        return tuple(WorkerCount(*named, number) for named, number in sorted(alike.items()))

    def _work(self, surveys: Sequence[RunSurvey]) -> list[StageWork]:
        """Sum the work of all runs by stage and model: there are tens of thousands of runs."""
        units: Counter[tuple[Stage, str]] = Counter()
        audio: dict[tuple[Stage, str], float] = {}
        unread: Counter[str] = Counter()  # runs whose file is of unknown length, by model
        for one in surveys:
            if one.work is None:
                unread[self._default_model] += 1
                continue
            for item in one.work:
                if item.audio_seconds is None:
                    unread[item.model] += item.units
                else:
                    name = item.stage, item.model
                    units[name] += item.units
                    audio[name] = audio.get(name, 0.0) + item.audio_seconds
        known = [StageWork(*name, audio[name], number) for name, number in units.items()]
        new = [StageWork(Stage.PREPARE, model, None, number) for model, number in unread.items()]
        return known + new


def _likely_seconds(speeds: Mapping[SpeedName, Speed]) -> float:
    """Return the length of a new file, as those before it were."""
    lengths = [
        speed.audio_seconds_per_unit
        for name, speed in speeds.items()
        if name.stage is Stage.PREPARE
    ]
    return sum(lengths) / len(lengths) if lengths else FIRST_JOB_SECONDS


def _described(
    pool: WorkerPool, load: Load, desired: int, kept: Sequence[Recommendation], now: float
) -> PoolLoad:
    each = pool.concurrency / pool.share  # units at once, for each worker
    return PoolLoad(
        desired=desired,
        backlog_seconds=round(load.backlog_seconds, 3),
        in_flight=load.in_flight,
        minimum=pool.minimum,
        maximum=pool.maximum,
        due_workers=round(needed_at_once(load.due, now) / each, 3),
        is_crowded=is_crowded(load.due, now, pool.maximum * each),
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
