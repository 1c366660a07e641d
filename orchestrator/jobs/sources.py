"""Take in audio: files, stored under the digest of their content, and addresses.

An address is only checked here, without DNS; stage `prepare` fetches it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from hashlib import file_digest
from pathlib import Path
from typing import Any, BinaryIO
from unicodedata import normalize
from urllib.parse import unquote, urlsplit

from config.settings import Settings
from gpu_worker.errors import AudioOutOfBounds, InvalidOption, SourceMissing
from orchestrator.access import SourceNotAllowed
from orchestrator.access.quotas import quota_of
from orchestrator.cluster.connection import Cluster
from orchestrator.jobs.local_files import opened, source_name
from tasks.artifacts import exists
from tasks.artifacts.names import checked_key
from tasks.runs import keys
from tasks.runs.manifest import Manifest, Source
from tasks.web.addresses import AddressPolicy

NAME_CHARACTERS = 255


def upload(cluster: Cluster, path: Path, tenant: str) -> Source:
    """Put a local file, or what a pipe delivers, into the store, named by its content.

    Raises SourceMissing, AudioOutOfBounds, UnreadableAudio for an empty pipe, or DiskFull.
    """
    name, settings = source_name(path), cluster.settings
    largest = quota_of(settings, tenant).source_bytes
    try:
        with opened(path, largest, settings.work_dir) as file:
            return take_file(cluster, file, name, tenant)
    except OSError as error:
        raise SourceMissing(
            f"{name!r} cannot be read: {error.strerror}.",
            hint="Check its path and who may read it.",
        ) from error


def take_file(cluster: Cluster, file: BinaryIO, name: str, tenant: str) -> Source:
    """Put an open file into the store, named by its content; `name` is for display only.

    Raises AudioOutOfBounds for more bytes than the tenant may submit.
    """
    size = file.seek(0, os.SEEK_END)
    if size > quota_of(cluster.settings, tenant).source_bytes:
        raise AudioOutOfBounds(f"{name!r} has {size} bytes, more than are accepted.")
    file.seek(0)
    readable: Any = file  # typeshed's protocol needs more than BinaryIO has
    key = keys.source(tenant, file_digest(readable, "sha256").hexdigest())
    if not exists(cluster.store, key):
        cluster.store.put_stream(key, file)
    return Source(name=name, artifact=key)


def named_source(settings: Settings, address: str, name: str | None = None) -> Source:
    """Return the source at `s3://bucket/key` or `https://host/path`, if the settings allow it.

    Makes no network request. Raises SourceNotAllowed, AddressNotAllowed, or InvalidOption for a
    text that is no such address.
    """
    scheme, separator, rest = address.partition("://")
    scheme = scheme.lower()
    if scheme == "s3" and separator:
        bucket, _, key = rest.partition("/")
        _check_object(settings, bucket, key)
        return Source(name=display_name(name or key), url=f"s3://{bucket}/{key}")
    if scheme in ("http", "https") and separator:
        if not settings.allow_urls:
            raise SourceNotAllowed(
                "This cluster fetches nothing from web addresses.",
                hint="Upload the file, or ask the operator to set SCRIPTORIUM_ALLOW_URLS=true.",
            )
        found = AddressPolicy.of(settings.source_hosts).parse(address)
        path = unquote(found.target.partition("?")[0])
        return Source(name=display_name(name or path or found.host), url=found.url)
    raise InvalidOption(
        "The source is neither an s3:// nor an https:// address.",
        hint="Write it as s3://bucket/key or https://host/path, or upload the file.",
    )


def display_name(text: str) -> str:
    """Return the last part of a name or path, as one printable line of at most 255 characters."""
    last = text.replace("\\", "/").rstrip("/").rpartition("/")[2]
    # isprintable also excludes characters that reverse the direction of writing.
    shown = "".join(c if c.isprintable() else " " * c.isspace() for c in last).strip()
    return shown[:NAME_CHARACTERS] if shown.strip(".") else "audio"


def _check_object(settings: Settings, bucket: str, key: str) -> None:
    if bucket not in settings.buckets:
        raise SourceNotAllowed(f"Sources may not be in bucket {bucket[:80]!r}.")
    try:
        readings = [checked_key(reading) for reading in _readings(key)]
    except ValueError:
        raise SourceNotAllowed(
            "The object's key cannot be read safely.",
            hint="Use one of at most 1024 bytes, without empty, `.` or `..` parts, control "
            "characters, or percent signs that hide these.",
        ) from None
    own, prefix = own_place(settings)
    if own == bucket and any(f"{reading}/".startswith(prefix) for reading in readings):
        raise SourceNotAllowed("The cluster's own artifacts are no sources.")


def _readings(key: str) -> Iterator[str]:
    """Yield the key and every form to which a server could decode or normalize it."""
    while True:
        yield key
        yield normalize("NFKC", key).replace("\\", "/")
        decoded = unquote(key, errors="strict")
        if decoded == key:
            return
        key = decoded


def own_place(settings: Settings) -> tuple[str | None, str]:
    """Return bucket and key prefix of the cluster's store; None and "" for a directory."""
    parts = urlsplit(settings.store_url or "")
    if parts.scheme != "s3":
        return None, ""
    prefix = unquote(parts.path).strip("/")
    return parts.netloc, f"{prefix}/" if prefix else ""


def uploaded_keys(manifest: Manifest) -> list[str]:
    """Return the keys of the uploaded files that a job uses: its source and its speakers' clips."""
    clips = clip_keys(manifest)
    return [manifest.source.artifact, *clips] if manifest.source.artifact else clips


def clip_keys(manifest: Manifest) -> list[str]:
    """Return the keys of the clips of a job's known speakers."""
    return [keys.source(manifest.tenant, it.clip) for it in manifest.options.known_speakers]
