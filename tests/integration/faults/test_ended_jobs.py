"""The index of ended jobs on real processes: a Redis that is wiped, a reconciler that is killed."""

from __future__ import annotations

import os
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr

from config.settings import Settings
from orchestrator.api.application import make_application
from orchestrator.cluster.connection import Cluster, open_cluster
from orchestrator.cluster.ended_jobs import ENDED
from orchestrator.local.process import Child
from orchestrator.local.programs import settings_environment
from tasks.artifacts import encode
from tasks.runs import keys
from tasks.runs.records import result_record
from tests.eventually import eventually
from tests.inputs.examples import TENANT, a_manifest, a_run, write_records
from tests.integration.faults.own_redis import OwnRedis

JOBS = 300
HOUR = 3_600_000
STATUSES = ("completed", "failed", "canceled", "partial")
RESULTS = (
    result_record(transcript={}),
    result_record(error={"type": "audio", "code": "unreadable_audio", "message": "m", "hint": "h"}),
    result_record(canceled=True),
    result_record(transcript={}, missing=[{"start": 0.0, "end": 1.0}]),
)


def name_of(number: int) -> str:
    """An id that says its time, as ours do."""
    return f"{(400_000 + number) * HOUR:011x}{number:012x}"


def reconciler(settings: Settings, directory: Path, life: int) -> Child:
    program = [sys.executable, "-m", "orchestrator.cli", "reconciler"]
    environment = settings_environment(settings, os.environ)
    return Child("reconciler", program, directory / f"reconciler-{life}.log", environment)


def indexed(cluster: Cluster) -> list[str]:
    return [key.rpartition("-")[2] for key in cluster.store.list(ENDED)]


def has_indexed(cluster: Cluster, jobs: int) -> bool:
    return len(indexed(cluster)) >= jobs


def paged(http: TestClient, **query: Any) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    cursor: str | None = None
    while True:
        given = query | {"limit": 100} | ({"cursor": cursor} if cursor else {})
        page = http.get("/v1/jobs", params=given).json()
        found += [(job["id"], job["status"]) for job in page["data"]]
        cursor = page["next_cursor"]
        if cursor is None:
            return found


@pytest.mark.fault(
    "the reconciler is killed while it ends jobs, and Redis is wiped, then stopped",
    "each job is in the index once and listed as it ended",
)
@pytest.mark.heavy
def test_every_ended_job_is_listed_once_through_kills_a_wipe_and_without_redis(
    own_redis: OwnRedis, tmp_path: Path
) -> None:
    """Runs whose result is written and whose end is not: what a dead control plane leaves."""
    settings = Settings(
        home=tmp_path,
        redis_url=SecretStr(own_redis.url),
        store_url=(tmp_path / "store").as_uri(),
        allow_anonymous=True,
        reconcile_seconds=0.2,
        audit_seconds=1.0,
    )
    cluster = open_cluster(settings)
    for number in range(JOBS):
        run = a_run(job=name_of(number))
        write_records(cluster.store, a_manifest(run.job))
        cluster.store.put(keys.open_run(run), b"")
        cluster.store.put(keys.of_run(run, keys.RESULT), encode(RESULTS[number % 4]))
    for life, seen in enumerate((JOBS // 3, 2 * JOBS // 3)):
        child = reconciler(settings, tmp_path, life)
        try:
            assert eventually(partial(has_indexed, cluster, seen), within=60.0)
        finally:
            child.kill()
        if life == 1:
            cluster.redis.flushall()
        else:
            cluster.redis.delete("scriptorium:reconciler")  # its lock, which expires
    last = reconciler(settings, tmp_path, 9)
    try:
        ended = eventually(lambda: not list(cluster.store.list(keys.OPEN)), within=60.0)
        assert ended, last.log_path.read_text()[-2000:]
        assert eventually(lambda: cluster.redis.get("scriptorium:known") == b"1", within=60.0)
    finally:
        last.kill()
    every = [(name_of(number), STATUSES[number % 4]) for number in reversed(range(JOBS))]
    assert sorted(indexed(cluster)) == sorted(job for job, _ in every)
    assert cluster.jobs.newest(TENANT, JOBS) == []
    with TestClient(make_application(cluster), base_url="http://localhost") as http:
        assert paged(http) == every
        own_redis.stop()
        began = time.monotonic()
        assert paged(http) == every
        for status in STATUSES:
            assert paged(http, status=status) == [it for it in every if it[1] == status]
        assert time.monotonic() - began < 60.0
        assert http.get("/v1/jobs", params={"status": "queued"}).status_code == 503
    own_redis.start()
    cluster.close()
