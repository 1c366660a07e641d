"""The newest jobs of some tenants or of all, in one list: what an operator looks at.

Alerts name no tenant, so an operator looks at all. That needs the cluster's Redis and store
themselves; the API shows a key the jobs of its own tenant alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

from gpu_worker.errors import InvalidOption
from orchestrator.cluster.connection import Cluster, UnknownJob
from orchestrator.cluster.job import Job, Status
from orchestrator.cluster.job_order import Place, in_order
from orchestrator.cluster.listed_jobs import listed_job, listed_jobs
from tasks.runs.units import created_at

_ASKED_AT_ONCE = 16  # tenants, and then jobs: each is some requests to the store


def newest_jobs(
    cluster: Cluster,
    tenants: Iterable[str],
    limit: int,
    before: str | None = None,
    status: Status | None = None,
) -> tuple[list[Job], str | None]:
    """Return the newest jobs of these tenants, at most `limit`, newest first.

    And the `before` of the next ones, or None if there are no more. `before`: only those that are
    listed behind this job. `status`: only those that have it. Among jobs that are open it is found
    out one by one, so a list may be short, or empty, and go on all the same.
    Raises InvalidOption for a `before` that is no id.
    """
    behind = None if before is None else _place(before)

    def first(tenant: str) -> list[tuple[Place, str]]:
        places = _candidates(cluster, tenant, limit + 1, behind, status)
        return [(place, tenant) for place in islice(places, limit + 1)]

    def read(found: tuple[Place, str]) -> Job | None:
        (_, job), tenant = found
        try:
            return listed_job(cluster, tenant, job)
        except UnknownJob:  # deleted since it was listed
            return None

    with ThreadPoolExecutor(_ASKED_AT_ONCE, "newest") as threads:
        places = [place for part in threads.map(first, tenants) for place in part]
        places.sort(key=lambda found: in_order(found[0]))
        jobs = threads.map(read, places[:limit])
        shown = [job for job in jobs if job is not None and status in (None, job.status)]
    return shown, places[limit - 1][0][1] if len(places) > limit else None


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


def _place(job: str) -> Place:
    time = created_at(job)
    if time is None:
        raise InvalidOption(f"{job!r} is no id of a job.", hint="Take the last one of a list.")
    return time, job
