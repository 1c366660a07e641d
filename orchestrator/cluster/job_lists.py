"""The list of a tenant's jobs that are open, in Redis; methods may raise redis.RedisError.

It is a sorted set of ids with their times, some 100 bytes a job. A job leaves it when it ends, and
is then in the store's index (orchestrator/cluster/ended_jobs.py). Earlier releases kept all jobs
here for ever; the daily walk removes those.
"""

from __future__ import annotations

from typing import Any

from redis import Redis

from orchestrator.cluster.job import Status
from orchestrator.cluster.job_order import Place, in_order, place_of

OPEN = "scriptorium:open"
JOB = "scriptorium:job:"  # begins the key of what is known of a job
_PIECE = 500  # jobs that one request asks about
# Of earlier releases: lists of the jobs that ended so.
_EARLIER = (Status.FAILED, Status.PARTIAL, Status.CANCELED)
# A script, since a job that is retried just now is listed and opened in one transaction.
_TIDY = """
local jobs, gone = redis.call('ZRANGE', KEYS[1], ARGV[1], ARGV[2]), 0
for _, job in ipairs(jobs) do
  local name = ARGV[3] .. '/' .. job
  local run = redis.call('HGET', ARGV[4] .. name, 'run')
  if not run or redis.call('SISMEMBER', KEYS[2], name .. '/' .. run) == 0 then
    gone = gone + redis.call('ZREM', KEYS[1], job)
  end
end
return {#jobs, gone}
"""


class JobLists:
    """The lists; pages of them are read newest first."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._tidy = redis.register_script(_TIDY)

    def newest(self, tenant: str, limit: int, before: Place | None = None) -> list[Place]:
        """Return the jobs behind a place, newest first, at most `limit`."""
        key, found, highest = listing(tenant), list[Place](), "+inf"
        if before is not None:
            time, last = before
            found = [place for place in self._same(key, time) if place[1] > last]
            highest = f"({time!r}"
        rows: Any = self._redis.zrevrangebyscore(
            key, highest, "-inf", start=0, num=limit, withscores=True
        )
        found += [(float(score), job.decode()) for job, score in rows]
        if len(rows) == limit:  # there may be more of its last time, and they may come first
            found += self._same(key, rows[-1][1])
        return sorted({place_of(job, time) for time, job in found}, key=in_order)[:limit]

    def tidy(self, tenant: str) -> int:
        """Remove all from the list that is not open; return how many jobs that were."""
        first = removed = 0
        while True:
            found: Any = self._tidy(
                keys=[listing(tenant), OPEN],
                args=[first, first + _PIECE - 1, tenant, JOB],
            )
            seen, gone = int(found[0]), int(found[1])
            removed += gone
            first += seen - gone
            if seen < _PIECE:
                break
        self._redis.delete(*(f"scriptorium:jobs:{status.value}/{tenant}" for status in _EARLIER))
        return removed

    def _same(self, key: str, time: float) -> list[Place]:
        jobs: Any = self._redis.zrangebyscore(key, time, time)
        return [(time, job.decode()) for job in jobs]


def open_of(tenant: str) -> str:
    """Return the key of the names of a tenant's open runs."""
    return f"{OPEN}:{tenant}"


def listing(tenant: str) -> str:
    """Return the key of the list of a tenant's jobs."""
    return f"scriptorium:jobs:{tenant}"
