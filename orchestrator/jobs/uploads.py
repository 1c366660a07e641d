"""Uploads: files that come in before their job: announced, sent, then submitted by id.

On S3 the file goes straight to the bucket, by an address that is signed for its key and its
size. A store in a directory has no such address, so there the API takes the file.

An announced upload has a marker in the store until its job is accepted. A file whose marker is a
day old is removed, so the sweep reads the markers and never what was submitted.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, BinaryIO

import structlog
from redis.exceptions import RedisError

from gpu_worker.errors import AudioOutOfBounds, PermanentError, ScriptoriumError
from orchestrator.access.quotas import quota_of
from orchestrator.cluster.connection import Cluster
from orchestrator.jobs.ids import job_id
from orchestrator.jobs.waiting_uploads import (
    KEPT_SECONDS,
    announced_size,
    announcement,
    leave_place,
    take_place,
)
from tasks.artifacts import exists
from tasks.runs import keys
from tasks.runs.manifest import Source
from tasks.state.claims import release

OPEN_SECONDS = 15 * 60  # how long the address accepts the file
EARLIER_A_SWEEP = 200  # uploads without a marker that one sweep looks at
_TIME_DIGITS = 11  # of an id: its time of creation
log = structlog.get_logger(__name__)


class UnknownUpload(PermanentError):
    """There is no upload with that id."""

    code = "unknown_upload"
    hint = "Make one with POST /v1/uploads, put the file to its url, and submit it within a day."


class UploadExists(PermanentError):
    """The file of this upload is there already; it was not replaced."""

    code = "upload_exists"
    hint = "Submit it, or make another upload."


class UploadSize(PermanentError):
    """The file does not have the size that was announced."""

    code = "upload_size"
    hint = "Make an upload of the file's exact size in bytes."


@dataclass(frozen=True, slots=True)
class Upload:
    """An announced file."""

    id: str
    name: str  # for display only
    size: int  # bytes
    expires_at: float  # seconds since 1970
    url: str | None  # signed address; None: send the file to the API


def announce(cluster: Cluster, tenant: str, name: str, size: int) -> Upload:
    """Announce a file of `size` bytes.

    Raises AudioOutOfBounds for more bytes than a job may have, and QuotaExceeded if too many
    uploads of the tenant, or too many bytes, wait for their jobs.
    """
    quota = quota_of(cluster.settings, tenant)
    if size > quota.source_bytes:
        raise AudioOutOfBounds(f"{name!r} has {size} bytes, more than are accepted.")
    upload = job_id()
    expires_at = round(time.time() + OPEN_SECONDS, 3)
    record = json.dumps({"name": name, "size": size, "expires_at": expires_at})
    take_place(cluster, tenant, upload, size, quota)
    try:
        # Before the marker: a request that finds this looks there for the size.
        cluster.redis.set(announcement(tenant, upload), record, ex=KEPT_SECONDS)
        cluster.store.put(keys.pending(tenant, upload), b"")
        url = cluster.store.presigned_put(keys.upload(tenant, upload), size, OPEN_SECONDS)
    except ScriptoriumError:
        leave_place(cluster, tenant, upload, size)
        cluster.redis.delete(announcement(tenant, upload))
        raise
    return Upload(upload, name, size, expires_at, url)


def announced(cluster: Cluster, tenant: str, upload: str) -> Upload:
    """Return an upload that still accepts its file. Raises UnknownUpload."""
    found = cluster.redis.get(announcement(tenant, upload))
    record = json.loads(found) if found else None
    if record is None or record["expires_at"] < time.time():
        raise UnknownUpload(f"There is no upload {upload!r} that takes a file.")
    return Upload(upload, record["name"], record["size"], record["expires_at"], None)


def take_upload(cluster: Cluster, tenant: str, upload: Upload, file: BinaryIO) -> None:
    """Store the file of an upload. Raises UploadExists."""
    if not cluster.store.put_stream(keys.upload(tenant, upload.id), file):
        raise UploadExists()


def uploaded(cluster: Cluster, tenant: str, upload: str) -> Source:
    """Return the file of an upload as a job's source. Raises UnknownUpload or AudioOutOfBounds."""
    key = keys.upload(tenant, upload)
    found = cluster.redis.get(announcement(tenant, upload))
    size = cluster.store.size(key)
    if size is None:
        raise UnknownUpload(f"No file was put for upload {upload!r}.")
    if size > quota_of(cluster.settings, tenant).source_bytes:
        raise AudioOutOfBounds(f"The upload has {size} bytes, more than are accepted.")
    return Source(name=json.loads(found)["name"] if found else "audio", artifact=key)


def drop_unused(cluster: Cluster, tenant: str, source: Source) -> None:
    """Remove the file of a job that was not accepted, unless another job uses it."""
    if source.artifact is not None:
        with suppress(ScriptoriumError, RedisError):
            content = keys.content(source.artifact)
            release(cluster.store, cluster.leases, tenant, None, content)


def submitted(cluster: Cluster, tenant: str, upload: str) -> None:
    """Remove the marker of an upload whose job was accepted; the job's claim keeps its file."""
    with suppress(ScriptoriumError, RedisError):  # else the sweep removes it
        cluster.store.delete(keys.pending(tenant, upload))
        leave_place(cluster, tenant, upload, announced_size(cluster, tenant, upload))


def unused_uploads(cluster: Cluster) -> Iterator[tuple[str, str]]:
    """Yield tenant and id of each upload that was announced a day ago and not submitted."""
    oldest = _oldest()
    for key in cluster.store.list(keys.PENDING):
        tenant, _, upload = key.removeprefix(keys.PENDING).partition("/")
        if upload and "/" not in upload and upload < oldest:
            yield tenant, upload


def remove_upload(cluster: Cluster, tenant: str, upload: str) -> None:
    """Remove the file of an upload unless a job claims it, and then its marker.

    What fails is logged, and tried again by the next sweep.
    """
    key, store = keys.upload(tenant, upload), cluster.store
    try:
        if exists(store, key):
            release(store, cluster.leases, tenant, None, upload)
            if exists(store, key) and not any(store.list(keys.uses(tenant, upload))):
                return  # another release is in progress
        store.delete(keys.pending(tenant, upload))
    except (ScriptoriumError, RedisError) as error:
        log.warning("upload_not_removed", tenant=tenant, upload=upload, reason=str(error))


def mark_earlier_uploads(cluster: Cluster, tenant: str) -> None:
    """Give markers to unsubmitted uploads that earlier releases of Scriptorium took without one.

    Looks at EARLIER_A_SWEEP uploads a call and remembers in Redis where it stopped. It is over,
    and reads nothing, once it has seen all uploads of its first day: until then a process of an
    earlier release may have run. After a wipe of Redis it begins again.
    """
    name, now = f"scriptorium:earlier-uploads:{tenant}", time.time()
    found: Any = cluster.redis.get(name)
    state: dict[str, Any] = {"began": now, "last": "", "over": False}
    state |= json.loads(found) if found else {}
    if state["over"]:
        return
    folder, oldest, seen = keys.upload(tenant, ""), _oldest(), 0
    for key in cluster.store.list(folder):
        upload = key.removeprefix(folder)
        if upload <= state["last"]:
            continue
        if upload >= oldest or seen == EARLIER_A_SWEEP:
            break  # ids sort by time
        if not any(cluster.store.list(keys.uses(tenant, upload))):
            cluster.store.put(keys.pending(tenant, upload), b"")
        state["last"], seen = upload, seen + 1
    state["over"] = seen < EARLIER_A_SWEEP and now >= state["began"] + 2 * KEPT_SECONDS
    cluster.redis.set(name, json.dumps(state))


def _oldest() -> str:
    """Return the beginning of the ids that are a day old."""
    return f"{int((time.time() - KEPT_SECONDS) * 1000):0{_TIME_DIGITS}x}"
