"""Hold a tenant to its quota and its budget before a run is started: of a new job, or the next."""

from __future__ import annotations

from redis.exceptions import RedisError

from gpu_worker.errors import RedisUnavailable
from orchestrator.access import ClusterFull, QuotaExceeded
from orchestrator.access.quotas import Quota
from orchestrator.cluster.admissions import Admission
from orchestrator.cluster.connection import Cluster
from orchestrator.cluster.costs import Cost
from orchestrator.jobs.costing import bounds_of
from tasks.runs.units import Run


def room(cluster: Cluster, tenant: str, quota: Quota, now: float) -> int:
    """Return how many jobs `admit` would admit now, or fewer; none if a budget is spent."""
    if any(spent.is_over for spent in cluster.books.budgets.spent(tenant, now)):
        return 0
    return cluster.jobs.room(
        tenant,
        in_all=quota.open_jobs,
        in_flight=quota.jobs_in_flight,
        now=now,
        bounds=bounds_of(quota),
    )


def admit(cluster: Cluster, run: Run, quota: Quota | None, now: float, cost: Cost) -> None:
    """Reserve a place for a run, which costs so much; `now` is in seconds since 1970.

    Without a quota, as for operators, there is always a place. Raises QuotaExceeded, ClusterFull,
    BudgetSpent or RedisUnavailable, and what the store raises.
    """
    if quota is None:
        return
    cluster.books.budgets.check(run.tenant, now)
    try:
        admission = cluster.jobs.admit(
            run,
            in_all=quota.open_jobs,
            in_flight=quota.jobs_in_flight,
            now=now,
            cost=cost,
            bounds=bounds_of(quota),
        )
    except RedisError as error:
        raise RedisUnavailable("Redis cannot be reached, so the job was not accepted.") from error
    if admission.answer == "full":
        raise ClusterFull()
    if admission.answer != "admitted":
        raise _exceeded(admission, quota, cost)


def _exceeded(admission: Admission, quota: Quota, cost: Cost) -> QuotaExceeded:
    """Return the error, which names the entry of the quota and how much is in flight."""
    if admission.answer == "quota":
        return QuotaExceeded(f"There are {quota.jobs_in_flight} jobs in flight already.")
    used = admission.in_flight
    entry, name, most, others, own = {
        "units": ("units_in_flight", "units", quota.units_in_flight, used.units, cost.units),
        "audio_seconds": (
            "audio_seconds_in_flight",
            "seconds of audio",
            quota.audio_seconds_in_flight,
            used.audio_seconds,
            cost.audio_seconds,
        ),
        "stored_bytes": (
            "bytes_in_flight",
            "bytes",
            quota.bytes_in_flight,
            used.stored_bytes,
            cost.stored_bytes,
        ),
    }[admission.answer]
    some = "" if cost.is_measured else "about "
    return QuotaExceeded(
        f"At most {most:.0f} {name} may be in flight ({entry}): {others:.0f} are, and this job has "
        f"{some}{own:.0f}.",
        hint="Wait until some of the open jobs have ended and submit again, or ask the operator "
        "for a larger quota.",
    )
