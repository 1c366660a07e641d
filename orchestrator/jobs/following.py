"""Follow jobs until they end: look at each when Redis says that it has changed.

While Redis or the store is away it keeps trying, because the jobs go on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

from redis.exceptions import RedisError

from gpu_worker.errors import TransientError
from orchestrator.cluster.connection import Cluster
from orchestrator.cluster.hints import LOOK_SECONDS, hinted
from orchestrator.cluster.job import Job

POLL_SECONDS = 0.2  # between two calls of `check`, and two tries to reach Redis


def follow(
    cluster: Cluster, tenant: str, jobs: Sequence[str], check: Callable[[], None] = lambda: None
) -> Iterator[Job]:
    """Yield each job whenever it has changed, until all have ended.

    Calls `check` five times a second at least, which may raise to stop. Raises UnknownJob.
    """
    last: dict[str, Job] = {}
    for names in _changed(cluster, tenant, jobs, check):
        for job in names:
            if job in last and last[job].status.final:
                continue
            try:
                now = cluster.job(tenant, job)
            except (RedisError, TransientError):  # it is looked at again, soon
                continue
            if last.get(job) != now:
                last[job] = now
                yield now
        if len(last) == len(jobs) and all(job.status.final for job in last.values()):
            return


def _changed(
    cluster: Cluster, tenant: str, jobs: Sequence[str], check: Callable[[], None]
) -> Iterator[Sequence[str]]:
    """Yield the jobs to look at: those that Redis names, and all of them every LOOK_SECONDS."""
    wanted = set(jobs)
    while True:
        check()
        with suppress(RedisError), hinted(cluster.redis) as hint:
            looked = float("-inf")
            while True:
                if time.monotonic() - looked >= LOOK_SECONDS:
                    looked = time.monotonic()
                    yield jobs
                found = hint(POLL_SECONDS)
                if found is not None and found[0] == tenant and found[1] in wanted:
                    yield [found[1]]
                check()
        time.sleep(POLL_SECONDS)
