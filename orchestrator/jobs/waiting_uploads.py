"""The uploads of a tenant that wait for their jobs, counted in Redis so that a quota bounds them.

A sorted set has each of them with its bytes, until a day after its announcement. After a wipe of
Redis it is made again from the markers in the store: to list these for each announcement would take
longer than all of the rest. So an upload is counted before it has a marker: else another request
that lists just then would count it a second time.
"""

from __future__ import annotations

import json
import time
from typing import Any

from orchestrator.access import QuotaExceeded
from orchestrator.access.quotas import Quota
from orchestrator.cluster.connection import Cluster
from tasks.runs import keys
from tasks.runs.units import created_at

KEPT_SECONDS = 24 * 3600  # how long a file is kept without a job
_SUBMIT_THEM = "Submit them; one that is not submitted is removed after a day."
# One script counts and adds, so that requests at once cannot pass the quota together.
_TAKE = """
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[1])
local others, bytes = redis.call('ZRANGE', KEYS[1], 0, -1), tonumber(ARGV[5])
for _, other in ipairs(others) do bytes = bytes + tonumber(string.match(other, '%d+$')) end
local room = #others < tonumber(ARGV[2]) and bytes <= tonumber(ARGV[3])
if room then redis.call('ZADD', KEYS[1], ARGV[4], ARGV[6]) end
return {room and 1 or 0, #others, string.format('%.0f', bytes)}
"""


def take_place(cluster: Cluster, tenant: str, upload: str, size: int, quota: Quota) -> None:
    """Count an upload of `size` bytes that is to be announced.

    Raises QuotaExceeded if too many uploads of the tenant, or too many bytes, wait.
    """
    name = _waiting(tenant)
    if not cluster.redis.exists(name):
        _restore(cluster, tenant)
    limits = [quota.pending_uploads, quota.pending_upload_bytes]
    found: Any = cluster.redis.register_script(_TAKE)(
        keys=[name],
        args=[time.time(), *limits, _until(upload), size, _member(upload, size)],
    )
    has_room, others, total = (int(it) for it in found)
    if has_room:
        return
    if others >= quota.pending_uploads:
        raise QuotaExceeded(f"{others} uploads wait for their jobs already.", hint=_SUBMIT_THEM)
    raise QuotaExceeded(
        f"With this one the uploads that wait for their jobs have {total} bytes, more than "
        f"{quota.pending_upload_bytes}.",
        hint=_SUBMIT_THEM,
    )


def leave_place(cluster: Cluster, tenant: str, upload: str, size: int) -> None:
    """Count an upload no more: its job was accepted, or it was not announced."""
    cluster.redis.zrem(_waiting(tenant), _member(upload, size))


def announced_size(cluster: Cluster, tenant: str, upload: str) -> int:
    """Return the bytes of an upload, as announced; 0 if Redis was wiped since."""
    found = cluster.redis.get(announcement(tenant, upload))
    return int(json.loads(found)["size"]) if found else 0


def announcement(tenant: str, upload: str) -> str:
    """Return the key of what is known of an announced upload."""
    return f"{_waiting(tenant)}/{upload}"


def _restore(cluster: Cluster, tenant: str) -> None:
    folder = keys.pending(tenant, "")
    uploads = [key.removeprefix(folder) for key in cluster.store.list(folder)]
    members: Any = {
        _member(upload, announced_size(cluster, tenant, upload)): _until(upload)
        for upload in uploads
    }
    if members:
        cluster.redis.zadd(_waiting(tenant), members)


def _until(upload: str) -> float:
    """Return when an upload counts no more, by its id, in seconds since 1970."""
    return (created_at(upload) or time.time()) + KEPT_SECONDS


def _member(upload: str, size: int) -> str:
    return f"{upload}:{size}"


def _waiting(tenant: str) -> str:
    return f"scriptorium:upload:{tenant}"
