"""The jobs of a tenant, newest first: those that are open from Redis, the others from the store.

Without Redis the store says what is open too.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from redis.exceptions import RedisError

from orchestrator.cluster.connection import Cluster, UnknownJob
from orchestrator.cluster.job import Job, Summary, describe_job
from orchestrator.cluster.job_index import newest_run
from orchestrator.cluster.job_order import Place, in_order, is_behind, merged
from orchestrator.cluster.unreadable import FAULTS, note, parsed_runs
from orchestrator.cluster.unreadable_job import unreadable_job
from tasks.artifacts import ArtifactMissing, exists
from tasks.runs import keys
from tasks.runs.json_artifacts import UnreadableRecord, read_record
from tasks.runs.stages import Stage
from tasks.runs.units import Run
from tasks.state.receipts import Receipt


def listed_jobs(
    cluster: Cluster, tenant: str, size: int, before: Place | None = None
) -> Iterator[Place]:
    """Yield the jobs behind a place; `size` of them are read at once."""
    while True:
        # Redis first: what ends before the store is asked has its name there by then.
        parts = [
            _opened(cluster, tenant, size, before),
            cluster.ended.newest(tenant, size, before),
        ]
        piece = merged(parts, size)
        yield from piece
        if all(len(part) < size for part in parts):
            return
        before = piece[-1]


def listed_job(cluster: Cluster, tenant: str, job: str) -> Job:
    """Return a job as it is now, or as the store has it while Redis is away. Raises UnknownJob."""
    try:
        return cluster.job(tenant, job)
    except RedisError:
        return stored_job(cluster, tenant, job)


def stored_job(cluster: Cluster, tenant: str, job: str) -> Job:
    """Return what the store alone says of a job; of one that is open it knows no progress.

    Raises UnknownJob.
    """
    run = newest_run(cluster.store, tenant, job)
    summary = None
    try:
        if exists(cluster.store, keys.tombstone(tenant, job)):
            raise UnknownJob(f"There is no job {job!r}.")
        summary = _summary(cluster, run)
        manifest, plan = cluster.records.manifest(tenant, job), cluster.plan(tenant, job)
        receipts = {(Stage.PREPARE, 0): Receipt("cached")} if plan and not summary else {}
        manifest = cluster.run_manifest(manifest, run, receipts, summary)
        return describe_job(manifest, run.number, receipts, plan, summary, time.time())
    except ArtifactMissing as error:
        raise UnknownJob(f"There is no job {job!r}.") from error
    except FAULTS as error:
        note(f"{tenant}/{job}", error)
        if not isinstance(error, UnreadableRecord):
            error = UnreadableRecord(f"What job {job} came to cannot be read: {error}.")
        return unreadable_job(run, False, summary, error.to_json())


def _summary(cluster: Cluster, run: Run) -> Summary | None:
    try:
        return read_record(cluster.store, keys.of_run(run, keys.RESULT), Summary.of_result)
    except ArtifactMissing:
        return None


def _opened(cluster: Cluster, tenant: str, size: int, before: Place | None) -> list[Place]:
    try:
        return cluster.jobs.newest(tenant, size, before)
    except RedisError:
        folder = f"{keys.OPEN}{tenant}/"
        jobs = {run.job for run in parsed_runs(cluster.store.list(folder), keys.OPEN)}
        places = (cluster.ended.place(tenant, job) for job in jobs)
        return sorted((it for it in places if is_behind(it, before)), key=in_order)[:size]
