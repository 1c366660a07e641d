"""What must hold after every fault, looked at from outside: the store, Redis and the log."""

from __future__ import annotations

from typing import Any

from orchestrator.cluster.connection import Cluster
from orchestrator.cluster.job import Job
from orchestrator.cluster.job_folder import job_folders
from tasks.runs import keys
from tasks.runs.stages import HEADER_STAGES, Stage
from tests.eventually import eventually
from tests.integration.cluster import ClusterUnderTest

# Keys that need no expiry: what they hold goes with the jobs, or there is one in a cluster or for a
# tenant.
LASTING = (
    *("scriptorium:job:", "scriptorium:jobs:", "scriptorium:known", "_kombu.binding"),
    *("scriptorium:speeds", "scriptorium:load", "scriptorium:earlier-uploads:"),
    "scriptorium:catalog:3",
)


def computed_again(cluster: ClusterUnderTest, job: Job | None = None) -> list[dict[str, Any]]:
    """Return the units of a job, or of all, on which work began after their artifact was written.

    Only chunks and shards: the others are quick, and some have no artifact.
    """
    written = {
        _unit(line): line["timestamp"]
        for line in cluster.events("unit_ended", job)
        if line["outcome"] == "computed"
    }
    return [
        line
        for line in cluster.events("unit_started", job)
        if line["timestamp"] > written.get(_unit(line), "9")
        and Stage(line["stage"]) in HEADER_STAGES
    ]


def _unit(line: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(line[name] for name in ("job", "run", "stage", "chunk"))


def return_held_messages(cluster: Cluster) -> None:
    """Let the hours pass after which Redis delivers the messages of dead workers again.

    A worker then finds each one's unit done, and acknowledges it. Call it when no job is open.
    """
    redis: Any = cluster.redis
    for tag in redis.zrange("unacked_index", 0, -1):
        redis.zadd("unacked_index", {tag: 0}, xx=True)
    assert eventually(lambda: not redis.exists("unacked", "unacked_index"), within=180.0)


def assert_nothing_left(cluster: Cluster, tenant: str) -> None:
    """Check that ended jobs leave no marker, no lease, no upload, no file and no lasting key.

    Call it when no job is open.
    """
    store, redis = cluster.store, cluster.redis
    for folder in (keys.OPEN, keys.DELETED):
        assert list(store.list(folder)) == []
    assert cluster.jobs.open_runs() == []
    assert eventually(lambda: not cluster.leases.names())  # those of killed workers expire
    assert list(store.list(keys.upload(tenant, ""))) == []
    jobs = {it.job for it in job_folders(store, tenant) if it.is_accepted}
    claimed = {key.rpartition("/")[2] for key in store.list(f"tenants/{tenant}/uses/")}
    assert claimed <= jobs
    # A message that was held comes back for a moment, until a worker finds its unit done.
    assert eventually(lambda: not _lasting(redis)), _lasting(redis)


def _lasting(redis: Any) -> list[str]:
    """Return the keys that would stay for ever."""
    return [
        name.decode()
        for name in redis.scan_iter(count=1000)
        if redis.ttl(name) == -1 and not name.decode().startswith(LASTING)
    ]
