"""The newest jobs of some tenants or of all, in one list: what an operator looks at.

Alerts name no tenant, so an operator looks at all. That needs the cluster's Redis and store
themselves; the API shows a key the jobs of its own tenant alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import islice

from gpu_worker.errors import InvalidOption
from orchestrator.cluster.connection import Cluster, UnknownJob
from orchestrator.cluster.job import Job, Status
from orchestrator.cluster.job_order import Place, in_order
from orchestrator.cluster.listed_jobs import listed_job, listed_jobs
from tasks.artifacts import exists
from tasks.runs import keys
from tasks.runs.units import created_at

_ASKED_AT_ONCE = 16  # tenants, and then jobs: each is some requests to the store
_PIECE, _PIECES = 100, 10  # jobs that are read at once to find those of a status; and how often


def newest_jobs(
    cluster: Cluster,
    tenants: Iterable[str],
    limit: int,
    before: str | None = None,
    status: Status | None = None,
) -> tuple[list[Job], str | None]:
    """Return the newest jobs of these tenants, at most `limit`, newest first.

    And behind which job to go on, or None at the end. With a status, fewer than `limit` may be
    found and there may be more.
    `before`: only those that are listed behind this job. `status`: only those that have it.
    Raises InvalidOption for a `before` that is neither an id that says its time nor one of theirs.
    """
    owners, found = tuple(tenants), list[Job]()
    behind = None if before is None else _place(cluster, owners, before)
    size = limit if status is None else max(limit, _PIECE)

    def first(tenant: str) -> list[tuple[Place, str]]:
        places = _candidates(cluster, tenant, size, behind, status)
        return [(place, tenant) for place in islice(places, size)]

    def read(one: tuple[Place, str]) -> Job | None:
        (_, job), tenant = one
        try:
            return listed_job(cluster, tenant, job)
        except UnknownJob:  # deleted since it was listed
            return None

    with ThreadPoolExecutor(_ASKED_AT_ONCE, "newest") as threads:
        for _ in range(_PIECES):
            places = [place for part in threads.map(first, owners) for place in part]
            places = sorted(places, key=lambda one: in_order(one[0]))[:size]
            for (behind, _), job in zip(places, threads.map(read, places), strict=True):
                if job is not None and status in (None, job.status):
                    found.append(job)
                if len(found) == limit:
                    return found, behind[1]
            if len(places) < size:
                return found, None
    return found, behind[1] if behind else None


def _candidates(
    cluster: Cluster, tenant: str, size: int, before: Place | None, status: Status | None
) -> Iterator[Place]:
    """Yield the places that may have the status, newest first."""
    if status is None:
        yield from listed_jobs(cluster, tenant, size, before)
    elif status.final:
        yield from cluster.ended.newest(tenant, size, before, [status])
    else:
        yield from cluster.jobs.newest(tenant, size, before)


def _place(cluster: Cluster, tenants: Iterable[str], job: str) -> Place:
    time = created_at(job)
    if time is not None:  # it may have been deleted since it was listed
        return time, job
    with suppress(ValueError):  # it is not even a name
        for tenant in tenants:
            if exists(cluster.store, keys.manifest(tenant, job)):
                return cluster.ended.place(tenant, job)
    raise InvalidOption(f"There is no job {job!r}.", hint="Take the last one of a list.")
