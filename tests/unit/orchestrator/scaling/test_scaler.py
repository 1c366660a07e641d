"""The cluster's load is measured, decided on, published and shown."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any

import pytest
from fastapi.testclient import TestClient

from config.settings import Settings
from orchestrator.api.application import make_application
from orchestrator.cluster.connection import Cluster, open_cluster
from orchestrator.open_runs.survey import RunSurvey, Surveyor
from orchestrator.open_runs.work import StageWork
from orchestrator.reconciler import Reconciler
from orchestrator.scaling.published import (
    STALE_SECONDS,
    LoadUnknown,
    PublishedLoad,
    fresh_load,
    publish,
    published,
)
from orchestrator.scaling.scaler import Scaler
from tasks.runs import keys
from tasks.runs.canvas import signature
from tasks.runs.manifest import Plan
from tasks.runs.stages import Lane, Stage, queues
from tasks.state.receipts import Receipt
from tasks.state.speeds import SpeedName, Speeds
from tests.inputs.examples import TENANT, a_manifest, a_plan, a_run, a_unit, write_records


def open_job(
    connection: Cluster, job: str = "job-1", plan: Plan | None = None, **options: Any
) -> None:
    """A job as submission leaves it, or as `prepare` does."""
    manifest = a_manifest(job, **options)
    write_records(connection.store, manifest, plan)
    connection.store.put(keys.open_run(a_run(job=job)), b"")
    connection.jobs.add(manifest, a_run(job=job))
    if plan is not None:
        connection.ledger.record(a_unit(Stage.PREPARE, job=job), Receipt("computed"))
    connection.jobs.restored()


@pytest.fixture
def scaler(connection: Cluster) -> Scaler:
    return Scaler(connection)


def measured(connection: Cluster, scaler: Scaler) -> PublishedLoad:
    return scaler.publish(tuple(Surveyor(connection).survey(connection.jobs.open_runs())))


def test_an_empty_cluster_needs_its_smallest_pools(connection: Cluster, scaler: Scaler) -> None:
    load = measured(connection, scaler)
    assert {name: pool.desired for name, pool in load.pools.items()} == {"cpu": 1, "gpu": 0}
    assert set(load.queues) == set(queues())
    assert load.open_runs == 0


def test_jobs_that_have_not_begun_are_work_for_the_cpu_pool_and_wake_the_gpu_pool(
    connection: Cluster, scaler: Scaler
) -> None:
    for number in range(3):
        open_job(connection, f"job-{number}")
    load = measured(connection, scaler)
    assert load.open_runs == 3
    assert load.pools["cpu"].stages["prepare"].units == 3
    assert load.pools["cpu"].backlog_seconds > 0
    assert (load.pools["gpu"].backlog_seconds, load.pools["gpu"].desired) == (0.0, 1)


def test_the_length_of_a_new_file_is_taken_from_those_before(
    connection: Cluster, scaler: Scaler
) -> None:
    Speeds(connection.redis).observe(SpeedName("cpu", Stage.PREPARE, "fake"), 2.0, 50.0)
    open_job(connection)
    assert measured(connection, scaler).pools["cpu"].backlog_seconds == 50.0


def test_the_backlog_over_the_speed_says_how_many_workers(settings: Settings) -> None:
    limits = {"gpu": {"maximum": 50, "concurrency": 1, "target_drain_seconds": 10.0}}
    own = open_cluster(settings.model_copy(update={"pools": limits}))
    own.redis.flushall()
    Speeds(own.redis).observe(SpeedName("gpu", Stage.TRANSCRIBE, "fake"), 1.0, 10.0)
    open_job(own, plan=a_plan(*[100.0] * 20))
    load = Scaler(own).publish(tuple(Surveyor(own).survey(own.jobs.open_runs())))
    gpu = load.pools["gpu"]
    assert gpu.backlog_seconds == 2000.0
    assert gpu.stages["transcribe"].speed == 10.0
    assert gpu.desired == 20  # 2,000 s of audio at 10 times real time in 10 s
    own.close()


def test_what_is_worked_on_is_in_flight_until_it_is_done(
    connection: Cluster, scaler: Scaler
) -> None:
    open_job(connection, plan=a_plan(10, 20))
    key = connection.records.key(a_unit(index=0))
    assert connection.leases.take(key, "gpu0@here:1")
    gpu = measured(connection, scaler).pools["gpu"]
    assert (gpu.in_flight, gpu.backlog_seconds) == (1, 30.0)
    connection.ledger.record(a_unit(index=0), Receipt("computed"))
    connection.ledger.record(a_unit(index=1), Receipt("computed"))
    gpu = measured(connection, scaler).pools["gpu"]
    assert (gpu.in_flight, gpu.backlog_seconds) == (0, 0.0)
    assert gpu.desired == 1  # for a while


def test_a_job_with_time_calls_for_few_workers(connection: Cluster, scaler: Scaler) -> None:
    work = (StageWork(Stage.TRANSCRIBE, "fake", 360_000.0, 1000),)
    at_once = RunSurvey(a_run(), (), work, ())
    in_hours = replace(at_once, ready_by=time.time() + 8 * 3600)
    assert scaler.publish([at_once]).pools["gpu"].desired == 8
    connection.redis.flushdb()
    pool = scaler.publish([in_hours]).pools["gpu"]
    assert (pool.desired, pool.is_crowded) == (1, False)
    assert 0 < pool.due_workers < 1


def test_a_queue_tells_its_depth_and_the_age_of_its_first_message(
    connection: Cluster, scaler: Scaler, monkeypatch: pytest.MonkeyPatch
) -> None:
    for index in range(2):
        signature(connection.celery, a_unit(index=index), Lane.BULK).apply_async(ignore_result=True)
    now = time.time()
    monkeypatch.setattr("orchestrator.scaling.scaler.time.time", lambda: now + 60)
    queue = measured(connection, scaler).queues["transcribe.bulk"]
    assert queue.depth == 2
    assert queue.oldest_seconds == pytest.approx(60, abs=50)
    told = published(connection.redis)
    assert told is not None and told.queues["align.bulk"].oldest_seconds is None


def test_every_pass_of_the_reconciler_publishes_the_load(connection: Cluster) -> None:
    open_job(connection)
    with pytest.raises(LoadUnknown):
        fresh_load(connection.redis, time.time())
    Reconciler(connection).reconcile()
    assert fresh_load(connection.redis, time.time()).open_runs == 1


def test_a_load_of_long_ago_is_not_known_any_more(connection: Cluster, scaler: Scaler) -> None:
    load = measured(connection, scaler)
    with pytest.raises(LoadUnknown, match="measured 91 s ago"):
        fresh_load(connection.redis, load.measured_at + STALE_SECONDS + 1)


def test_what_was_recommended_outlives_the_reconciler(connection: Cluster) -> None:
    open_job(connection)
    assert measured(connection, Scaler(connection)).pools["gpu"].desired == 1
    connection.jobs.forget(TENANT, "job-1")
    assert measured(connection, Scaler(connection)).pools["gpu"].desired == 1
    stored = published(connection.redis)
    assert stored is not None and len(stored.pools["gpu"].recommendations) == 2


def test_the_api_shows_the_load_and_each_pool(connection: Cluster, scaler: Scaler) -> None:
    with TestClient(make_application(connection), base_url="http://127.0.0.1") as http:
        unknown = http.get("/v1/autoscale/gpu")
        assert (unknown.status_code, unknown.json()["error"]["code"]) == (503, "load_unknown")
        assert "Retry-After" in unknown.headers
        open_job(connection, plan=a_plan(10, 20))
        measured(connection, scaler)
        gpu = http.get("/v1/autoscale/gpu").json()
        assert (gpu["pool"], gpu["desired"], gpu["backlog_seconds"]) == ("gpu", 1, 30.0)
        assert "recommendations" not in json.dumps(gpu)
        load = http.get("/v1/autoscale").json()
        assert [pool["pool"] for pool in load["pools"]] == ["cpu", "gpu"]
        assert {"stage": "transcribe", "lane": "bulk", "depth": 0, "oldest_seconds": None} in (
            load["queues"]
        )
        missing = http.get("/v1/autoscale/tpu")
        assert (missing.status_code, missing.json()["error"]["code"]) == (404, "unknown_pool")


def test_a_published_load_is_read_back_as_it_was(connection: Cluster, scaler: Scaler) -> None:
    open_job(connection, plan=a_plan(10, 20))
    load = measured(connection, scaler)
    publish(connection.redis, load)
    assert published(connection.redis) == load


@pytest.mark.parametrize("written", ["{}", "no JSON", '{"measured_at": 1, "pools": 3}'])
def test_what_another_version_has_published_is_measured_anew(
    connection: Cluster, scaler: Scaler, written: str
) -> None:
    connection.redis.set("scriptorium:load", written)
    with pytest.raises(LoadUnknown):
        fresh_load(connection.redis, time.time())
    assert measured(connection, scaler) == published(connection.redis)
