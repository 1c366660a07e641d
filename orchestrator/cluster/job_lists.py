"""The lists of a tenant's jobs in Redis: all of them, those that ended badly, those that are open.

Each is a sorted set of ids with their times, or a set; some 100 bytes a job. Methods may raise
redis.RedisError.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from redis import Redis

from orchestrator.cluster.job import Status
from orchestrator.cluster.unreadable import parsed_runs

OPEN = "scriptorium:open"
# Ended, and few: each has a list of its own. Most jobs are completed; those are the other ones.
LISTED_APART = (Status.FAILED, Status.PARTIAL, Status.CANCELED)


class JobLists:
    """The lists; pages of them are read newest first."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def enlist(self, tenant: str, jobs: Mapping[str, float]) -> None:
        """Add jobs to the tenant's listing alone, each with its time of creation.

        Their details are added as soon as they are asked for. What is listed stays as it is.
        """
        if jobs:
            self._redis.zadd(listing(tenant), jobs, nx=True)

    def newest(
        self,
        tenant: str,
        limit: int,
        before: tuple[float, str] | None = None,
        status: Status | None = None,
    ) -> list[tuple[str, float]]:
        """Return job ids and creation times (seconds since 1970), newest first.

        `before`: the time and id of the last job of the previous page. `status`: one of
        LISTED_APART, for jobs that ended so.
        """
        key, found = listing(tenant, status), []
        if before is None:
            found = self._page(key, "+inf", limit)
        else:
            time, last = before
            # Jobs of the same time sort by id, so those at the mark's time are filtered by id.
            same: Any = self._redis.zrevrangebyscore(key, time, time)
            found = [(job.decode(), time) for job in same if job.decode() < last]
            found += self._page(key, f"({time!r}", limit)
        return found[:limit]

    def completed(self, tenant: str, jobs: Sequence[str]) -> list[bool]:
        """Tell of each of these listed jobs whether it has ended, and in none of LISTED_APART."""
        if not jobs:
            return []
        open_jobs = self._open_jobs(tenant)
        pipe = self._redis.pipeline(transaction=False)
        for status in LISTED_APART:
            for job in jobs:
                pipe.zscore(listing(tenant, status), job)
        apart = pipe.execute()
        return [
            job not in open_jobs and all(score is None for score in apart[index :: len(jobs)])
            for index, job in enumerate(jobs)
        ]

    def open_jobs(
        self, tenant: str, before: tuple[float, str] | None = None
    ) -> Iterator[tuple[str, float]]:
        """Yield the jobs of a tenant that have an open run, with their times, newest first."""
        for job in sorted(self._open_jobs(tenant), reverse=True):  # ids begin with their time
            if before is not None and job >= before[1]:
                continue
            time: Any = self._redis.zscore(listing(tenant), job)
            if time is not None:
                yield job, time

    def _open_jobs(self, tenant: str) -> set[str]:
        names: Any = self._redis.smembers(open_of(tenant))
        return {run.job for run in parsed_runs(name.decode("utf-8", "replace") for name in names)}

    def _page(self, key: str, highest: str, limit: int) -> list[tuple[str, float]]:
        rows: Any = self._redis.zrevrangebyscore(
            key, highest, "-inf", start=0, num=limit, withscores=True
        )
        return [(job.decode(), time) for job, time in rows]


def open_of(tenant: str) -> str:
    """Return the key of the names of a tenant's open runs."""
    return f"{OPEN}:{tenant}"


def listing(tenant: str, status: Status | None = None) -> str:
    """Return the key of all jobs of a tenant, or of those that ended in one of LISTED_APART."""
    return f"scriptorium:jobs:{tenant}" if status is None else f"scriptorium:jobs:{status}/{tenant}"
