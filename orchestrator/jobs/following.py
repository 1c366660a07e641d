"""Follow jobs until they end, by reading their state every 0.2 s.

While Redis or the store is away it keeps trying, because the jobs go on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

from redis.exceptions import RedisError

from gpu_worker.errors import TransientError
from orchestrator.cluster.connection import Cluster
from orchestrator.cluster.job import Job

POLL_SECONDS = 0.2


def follow(
    cluster: Cluster, tenant: str, jobs: Sequence[str], check: Callable[[], None] = lambda: None
) -> Iterator[Job]:
    """Yield each job whenever it has changed, until all have ended.

    Calls `check` at each look, which may raise to stop. Raises UnknownJob.
    """
    last: dict[str, Job] = {}
    while True:
        check()
        for job in jobs:
            if job in last and last[job].status.final:
                continue
            try:
                now = cluster.job(tenant, job)
            except (RedisError, TransientError):
                continue
            if last.get(job) != now:
                last[job] = now
                yield now
        if len(last) == len(jobs) and all(job.status.final for job in last.values()):
            return
        time.sleep(POLL_SECONDS)
