"""Hold a tenant to its quota and its budget before a run is started: of a new job, or the next."""

from __future__ import annotations

from redis.exceptions import RedisError

from gpu_worker.errors import RedisUnavailable
from orchestrator.access import ClusterFull, QuotaExceeded
from orchestrator.access.quotas import Quota
from orchestrator.cluster.connection import Cluster


def room(cluster: Cluster, tenant: str, quota: Quota, now: float) -> int:
    """Return how many jobs `admit` would admit now: none if a budget is spent."""
    if any(spent.is_over for spent in cluster.books.budgets.spent(tenant, now)):
        return 0
    return cluster.jobs.room(tenant, in_all=quota.open_jobs, in_flight=quota.jobs_in_flight)


def admit(cluster: Cluster, tenant: str, job: str, quota: Quota | None, now: float) -> None:
    """Reserve a place for a run of the job; `now` is in seconds since 1970.

    Without a quota, as for operators, there is always a place. Raises QuotaExceeded, ClusterFull,
    BudgetSpent or RedisUnavailable, and what the store raises.
    """
    if quota is None:
        return
    cluster.books.budgets.check(tenant, now)
    try:
        answer = cluster.jobs.admit(
            tenant, job, in_all=quota.open_jobs, in_flight=quota.jobs_in_flight, now=now
        )
    except RedisError as error:
        raise RedisUnavailable("Redis cannot be reached, so the job was not accepted.") from error
    if answer == "full":
        raise ClusterFull()
    if answer == "quota":
        raise QuotaExceeded(f"There are {quota.jobs_in_flight} jobs in flight already.")
