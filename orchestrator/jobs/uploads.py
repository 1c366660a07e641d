"""Uploads: files that come in before their job: announced, sent, then submitted by id.

On S3 the file goes straight to the bucket, by an address that is signed for its key and its
size. A store in a directory has no such address, so there the API takes the file. A file that
is never submitted is removed after a day.
"""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO

from redis.exceptions import RedisError

from gpu_worker.errors import AudioOutOfBounds, PermanentError, ScriptoriumError
from orchestrator.access.quotas import quota_of
from orchestrator.cluster.connection import Cluster
from orchestrator.jobs.ids import job_id
from tasks.runs import keys
from tasks.runs.manifest import Source
from tasks.state.claims import release

OPEN_SECONDS = 15 * 60  # how long the address accepts the file
KEPT_SECONDS = 24 * 3600  # how long a file is kept without a job
_TIME_DIGITS = 11  # of an id: its time of creation
_SWEEP_SECONDS = 3600


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
    """Announce a file of `size` bytes. Raises AudioOutOfBounds for more than a job may have."""
    if size > quota_of(cluster.settings, tenant).source_bytes:
        raise AudioOutOfBounds(f"{name!r} has {size} bytes, more than are accepted.")
    sweep_uploads(cluster, tenant)
    upload = job_id()
    url = cluster.store.presigned_put(keys.upload(tenant, upload), size, OPEN_SECONDS)
    expires_at = round(time.time() + OPEN_SECONDS, 3)
    record = json.dumps({"name": name, "size": size, "expires_at": expires_at})
    cluster.redis.set(_record(tenant, upload), record, ex=KEPT_SECONDS)
    return Upload(upload, name, size, expires_at, url)


def announced(cluster: Cluster, tenant: str, upload: str) -> Upload:
    """Return an upload that still accepts its file. Raises UnknownUpload."""
    found = cluster.redis.get(_record(tenant, upload))
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
    found = cluster.redis.get(_record(tenant, upload))
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


def sweep_uploads(cluster: Cluster, tenant: str) -> None:
    """Remove files that were uploaded a day ago and not submitted; does so once an hour."""
    mark = f"scriptorium:uploads-swept:{tenant}"
    if not cluster.redis.set(mark, 1, nx=True, ex=_SWEEP_SECONDS):
        return
    oldest = f"{int((time.time() - KEPT_SECONDS) * 1000):0{_TIME_DIGITS}x}"
    folder = keys.upload(tenant, "")
    for key in cluster.store.list(folder):
        if key.removeprefix(folder)[:_TIME_DIGITS] >= oldest:
            return  # ids sort by time
        drop_unused(cluster, tenant, Source(name="", artifact=key))


def _record(tenant: str, upload: str) -> str:
    return f"scriptorium:upload:{tenant}/{upload}"
