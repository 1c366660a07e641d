"""The published load as metrics: zeros, what is missing, and what is old."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry, Metric
from pydantic import SecretStr
from redis import Redis
from redis.exceptions import NoPermissionError

from config.settings import Settings
from orchestrator.cluster.connection import Cluster
from orchestrator.scaling.pools import worker_pools
from orchestrator.scaling.published import (
    _NAME,
    STALE_SECONDS,
    PoolLoad,
    PublishedLoad,
    QueueLoad,
    StageBacklog,
    WorkerCount,
    publish,
)
from orchestrator.scaling.readings import LoadReadings, load_families
from orchestrator.scaling.scaler import Scaler
from tasks.runs.stages import Stage, queues

LOAD = PublishedLoad(
    measured_at=1000.0,
    open_runs=7,
    queues={
        "transcribe.bulk": QueueLoad(5, 12.5),
        "transcribe.interactive": QueueLoad(0),
        "align.bulk": QueueLoad(3),
    },
    pools={
        "gpu": PoolLoad(
            desired=4,
            backlog_seconds=900.0,
            in_flight=2,
            minimum=0,
            maximum=8,
            stages={"transcribe": StageBacklog(900.0, 3, 2, 40.0)},
        )
    },
    reissued_units=3,
    workers=(WorkerCount("gpu", "busy", "cuda", 2), WorkerCount("gpu", "idle", "cpu", 1)),
)


def families(load: PublishedLoad, now: float = 1002.0) -> dict[str, Metric]:
    return {one.name: one for one in load_families(load, worker_pools({}), now)}


def values(family: Metric) -> dict[tuple[str, ...], float]:
    return {tuple(one.labels.values()): one.value for one in family.samples}


def test_a_load_is_told_by_stage_lane_and_pool() -> None:
    found = families(LOAD)
    assert values(found["scriptorium_load_age_seconds"]) == {(): 2.0}
    assert values(found["scriptorium_open_jobs"]) == {(): 7}
    assert values(found["scriptorium_reissued_units"]) == {(): 3}
    assert values(found["scriptorium_desired_workers"]) == {("gpu",): 4}
    assert values(found["scriptorium_stage_speed"]) == {("gpu", "transcribe"): 40.0}
    assert values(found["scriptorium_queue_depth"])["transcribe", "bulk"] == 5


def test_an_empty_queue_is_no_second_old_and_an_unknown_age_is_missing() -> None:
    ages = values(families(LOAD)["scriptorium_queue_age_seconds"])
    assert ages == {("transcribe", "bulk"): 12.5, ("transcribe", "interactive"): 0.0}


def test_a_stage_with_nothing_to_do_is_a_zero() -> None:
    backlog = values(families(LOAD)["scriptorium_backlog_seconds"])
    assert backlog["gpu", "transcribe"] == 900.0
    assert backlog["gpu", "align"] == backlog["cpu", "prepare"] == 0.0
    assert len(backlog) == len(Stage)
    assert values(families(LOAD)["scriptorium_units_in_flight"])["gpu", "transcribe"] == 2


def test_of_an_old_load_only_its_age_is_told() -> None:
    found = families(LOAD, now=1001.0 + STALE_SECONDS)
    assert list(found) == ["scriptorium_load_age_seconds"]
    early = families(replace(LOAD, measured_at=1005.0))  # clocks differ
    assert values(early["scriptorium_load_age_seconds"]) == {(): 0.0}


def test_what_the_reconciler_published_is_read(connection: Cluster) -> None:
    Scaler(connection).publish([])
    registry = CollectorRegistry()
    registry.register(LoadReadings(connection.settings))
    for queue in queues():
        stage, lane = queue.split(".")
        labels = {"stage": stage, "lane": lane}
        assert registry.get_sample_value("scriptorium_queue_depth", labels) == 0
    assert registry.get_sample_value("scriptorium_desired_workers", {"pool": "cpu"}) == 1


@pytest.mark.parametrize("raw", [None, b"{", b'{"of": "another version"}'])
def test_what_nobody_knows_is_missing(connection: Cluster, redis: Redis, raw: bytes | None) -> None:
    publish(redis, LOAD)
    redis.delete(_NAME) if raw is None else redis.set(_NAME, raw)
    assert {one.name for one in LoadReadings(connection.settings).collect()} == {
        "scriptorium_deliveries_waiting",
        "scriptorium_deliveries_overdue_seconds",
        "scriptorium_redis_memory_bytes",
        "scriptorium_redis_memory_limit_bytes",
    }


def test_workers_are_told_and_a_pool_without_any_is_a_zero() -> None:
    found = values(families(LOAD)["scriptorium_workers"])
    assert found == {("gpu", "busy", "cuda"): 2, ("gpu", "idle", "cpu"): 1}
    none = replace(LOAD, workers=(WorkerCount("old", "stopping", "cuda", 1),))
    assert values(families(none)["scriptorium_workers"]) == {
        ("gpu", "idle", ""): 0,
        ("old", "stopping", "cuda"): 1,
    }


def test_a_pool_whose_workers_all_stop_is_a_zero_too() -> None:
    """ScriptoriumWorkersMissing counts those that do not stop: without a 0 it would be silent."""
    last = replace(LOAD, workers=(WorkerCount("gpu", "stopping", "cuda", 3),))
    assert values(families(last)["scriptorium_workers"]) == {
        ("gpu", "stopping", "cuda"): 3,
        ("gpu", "idle", ""): 0,
    }


def test_the_memory_of_redis_and_its_limit_are_told(settings: Settings, redis: Redis) -> None:
    registry = CollectorRegistry()
    registry.register(LoadReadings(settings))
    used = registry.get_sample_value("scriptorium_redis_memory_bytes")
    assert used is not None and 100_000 < used < 1_000_000_000
    assert registry.get_sample_value("scriptorium_redis_memory_limit_bytes") == 0
    redis.config_set("maxmemory", 1_000_000_000)
    try:
        assert registry.get_sample_value("scriptorium_redis_memory_limit_bytes") == 1e9
    finally:
        redis.config_set("maxmemory", 0)


def test_a_redis_that_may_not_be_asked_for_its_memory_tells_the_rest(
    settings: Settings, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise NoPermissionError("no permissions to run the 'info' command")

    monkeypatch.setattr(Redis, "info", refused)
    found = {one.name for one in LoadReadings(settings).collect()}
    assert found == {"scriptorium_deliveries_waiting", "scriptorium_deliveries_overdue_seconds"}


def test_a_redis_that_is_away_is_not_waited_for() -> None:
    away = Settings(redis_url=SecretStr("redis://127.0.0.1:1/0"))
    assert list(LoadReadings(away).collect()) == []


def test_what_is_owed_is_counted_and_how_long_it_is_due(settings: Settings, redis: Redis) -> None:
    now = time.time()
    publish(redis, replace(LOAD, measured_at=now))
    redis.zadd("scriptorium:outbox", {"a/one/1": now - 400, "a/two/1": now + 60})
    redis.zadd("scriptorium:outbox:collections", {"a/c-one/1": now + 600})
    found = {one.name: one for one in LoadReadings(settings).collect()}
    assert values(found["scriptorium_deliveries_waiting"]) == {(): 3}
    (overdue,) = values(found["scriptorium_deliveries_overdue_seconds"]).values()
    assert overdue == pytest.approx(400, abs=20)
    redis.delete("scriptorium:outbox", "scriptorium:outbox:collections")
    found = {one.name: one for one in LoadReadings(settings).collect()}
    assert values(found["scriptorium_deliveries_overdue_seconds"]) == {(): 0.0}
