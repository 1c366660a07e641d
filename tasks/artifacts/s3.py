"""Artifacts in S3, or in a store that speaks its protocol.

To write once, it uses conditional writes (`If-None-Match: *`), which the store must enforce, as
Amazon S3 does; `scriptorium doctor` tests it. If the reply to a successful write is lost, the
repeated request finds the key and `put` returns False: the artifact is there all the same.
boto3 takes a while to import, so only an `s3://` URL imports this module.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import boto3.session
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    IncompleteReadError,
    ReadTimeoutError,
    ResponseStreamingError,
)
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from gpu_worker.errors import InvalidOption
from tasks.artifacts import ArtifactMissing
from tasks.artifacts.disk import COPY_BYTES, arriving
from tasks.artifacts.names import checked_key, checked_prefix, checked_range
from tasks.artifacts.opening import PATIENT, Patience
from tasks.artifacts.s3_faults import code_of, pause_before_next, s3_faults

Taken = TypeVar("Taken")

MULTIPART_BYTES = 64 << 20  # a larger file is uploaded in parts
PART_BYTES = 16 << 20  # one is held in memory at a time
MAX_PARTS = 10_000  # S3's limit for one upload
READ_ATTEMPTS = 3  # of a reply's body, which botocore does not ask for again
CONFLICT_ATTEMPTS = 6  # of a write at the same time as another write of its key

_BROKEN_OFF = (IncompleteReadError, ReadTimeoutError, ResponseStreamingError)


def s3_client(
    endpoint_url: str | None = None, patience: Patience = PATIENT, *, attempts: int | None = None
) -> Any:
    """Return a boto3 client that any number of threads may share; make it after a fork.

    `attempts` replaces those of `patience`.

    Credentials and region come from boto3's usual chain. Raises `InvalidOption` for an invalid
    address.
    """
    attempts = attempts or patience.attempts
    config = Config(
        retries={"mode": "standard", "total_max_attempts": attempts},
        connect_timeout=patience.connect_seconds,
        read_timeout=patience.read_seconds,
        max_pool_connections=64,
        signature_version="s3v4",  # others do not sign the file's size in a presigned URL
        # Stores other than Amazon's seldom have a host name for each bucket.
        s3={"addressing_style": "path" if endpoint_url else "auto"},
    )
    try:
        # A session of its own: the default one must not be used from two threads.
        client = boto3.session.Session().client("s3", endpoint_url=endpoint_url, config=config)
    except ValueError as error:
        raise InvalidOption(
            f"{endpoint_url!r} is not the address of an S3 store.",
            hint="Write it with its scheme and port, such as http://minio:9000.",
        ) from error
    if attempts > 1:
        client.meta.events.register("needs-retry.s3", pause_before_next)
    return client


class S3Store:
    """An `ArtifactStore` under a prefix of a bucket.

    Every method may raise `StoreRefused`: there is no such bucket, or the credentials are
    not accepted or not allowed. A missing bucket looks like a missing key to `size`.
    """

    def __init__(self, bucket: str, prefix: str, client: Any) -> None:
        prefix = prefix.strip("/")
        self.url = f"s3://{bucket}/{prefix}".rstrip("/")
        self._bucket = bucket
        self._root = f"{checked_key(prefix)}/" if prefix else ""
        self._client = client

    def put(self, key: str, data: bytes) -> bool:
        named = self._named(key)
        return self._write_once(
            key, lambda: self._client.put_object(**named, Body=data, IfNoneMatch="*")
        )

    def put_file(self, key: str, path: Path) -> bool:
        with path.open("rb") as file:
            return self.put_stream(key, file)

    def put_stream(self, key: str, file: BinaryIO) -> bool:
        size = file.seek(0, os.SEEK_END)
        if size > MULTIPART_BYTES:
            # Looked up first: only the last request of a multipart upload says that the key exists.
            return self.size(key) is None and self.put_in_parts(key, file)
        return self._write_once(key, lambda: self._put_whole(key, file))

    def put_in_parts(self, key: str, file: BinaryIO) -> bool:
        """Write once, in parts whatever the size; not every store refuses that for a known key."""
        size = file.seek(0, os.SEEK_END)
        return self._write_once(key, lambda: self._put_parts(key, file, size))

    def presigned_put(self, key: str, size: int, seconds: int) -> str | None:
        # Not conditional: the client that uses the URL would have to send the header.
        with s3_faults(self._bucket, key):
            url: str = self._client.generate_presigned_url(
                "put_object",
                Params=self._named(key) | {"ContentLength": size},
                ExpiresIn=seconds,
                HttpMethod="PUT",
            )
        return url

    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        checked_range(start, length)
        if length == 0:  # a Range header cannot ask for zero bytes
            if self.size(key) is None:
                raise ArtifactMissing(key)
            return b""
        last = "" if length is None else start + length - 1
        ranged = {"Range": f"bytes={start}-{last}"} if start or length else {}
        with s3_faults(self._bucket, key):
            try:
                return self._read(key, lambda body: bytes(body.read()), **ranged)
            except ClientError as error:
                if code_of(error) == "InvalidRange":  # starts at the end or behind it
                    return b""
                raise

    def fetch(self, key: str, path: Path) -> None:
        def write(body: Any) -> None:
            with arriving(path) as file:
                for piece in body.iter_chunks(COPY_BYTES):
                    file.write(piece)

        with s3_faults(self._bucket, key):
            self._read(key, write)

    def size(self, key: str) -> int | None:
        try:
            with s3_faults(self._bucket, key):
                return int(self._client.head_object(**self._named(key))["ContentLength"])
        except ArtifactMissing:
            return None

    def list(self, prefix: str, after: str = "") -> Iterator[str]:
        behind = {"StartAfter": self._root + after} if after else {}
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=self._root + checked_prefix(prefix), **behind
        )
        with s3_faults(self._bucket):
            for page in pages:
                for item in page.get("Contents", ()):
                    yield item["Key"].removeprefix(self._root)

    def first(self, prefix: str, limit: int, after: str = "") -> Sequence[str]:
        behind = {"StartAfter": self._root + after} if after else {}
        with s3_faults(self._bucket):
            page = self._client.list_objects_v2(
                Bucket=self._bucket,
                Prefix=self._root + checked_prefix(prefix),
                MaxKeys=limit,
                **behind,
            )
        return [item["Key"].removeprefix(self._root) for item in page.get("Contents", ())]

    def delete(self, key: str) -> None:
        with s3_faults(self._bucket, key):
            self._client.delete_object(**self._named(key))

    def _read(self, key: str, take: Callable[[Any], Taken], **ranged: str) -> Taken:
        """Return what `take` makes of the body; ask again for one that breaks off."""
        for attempt in range(1, READ_ATTEMPTS + 1):
            reply = self._client.get_object(**self._named(key), **ranged)
            # Not `with body`: that gives the raw connection, which does not notice a short body.
            with closing(reply["Body"]) as body:
                try:
                    return take(body)
                except _BROKEN_OFF:
                    if attempt == READ_ATTEMPTS:
                        raise
        raise AssertionError("unreachable")

    def _named(self, key: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": self._root + checked_key(key)}

    def _write_once(self, key: str, write: Callable[[], object]) -> bool:
        conflicts = Retrying(
            retry=retry_if_exception(_is_conflict),
            stop=stop_after_attempt(CONFLICT_ATTEMPTS),
            wait=wait_random_exponential(multiplier=0.05, max=1.0),
            reraise=True,
        )
        with s3_faults(self._bucket, key):
            try:
                conflicts(write)
            except ClientError as error:
                if code_of(error) == "PreconditionFailed":
                    return False
                raise
        return True

    def _put_whole(self, key: str, file: BinaryIO) -> None:
        file.seek(0)  # after the first try it has been read to its end
        self._client.put_object(**self._named(key), Body=file, IfNoneMatch="*")

    def _put_parts(self, key: str, file: BinaryIO, size: int) -> None:
        named = self._named(key)
        upload = named | {"UploadId": self._client.create_multipart_upload(**named)["UploadId"]}
        try:
            part_bytes = max(PART_BYTES, -(-size // MAX_PARTS))
            parts = _upload_parts(self._client, upload, file, part_bytes)
            self._client.complete_multipart_upload(
                **upload, MultipartUpload={"Parts": parts}, IfNoneMatch="*"
            )
        except BaseException:
            # An unfinished upload costs money and listings do not show it.
            with suppress(BotoCoreError, ClientError):
                self._client.abort_multipart_upload(**upload)
            raise


def _upload_parts(
    client: Any, upload: dict[str, str], file: BinaryIO, part_bytes: int
) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = []
    file.seek(0)
    while data := file.read(part_bytes):
        number = len(parts) + 1
        reply = client.upload_part(**upload, PartNumber=number, Body=data)
        parts.append({"PartNumber": number, "ETag": reply["ETag"]})
    return parts


def _is_conflict(error: BaseException) -> bool:
    # S3's reply (409) during another write of the same key.
    return isinstance(error, ClientError) and code_of(error) == "ConditionalRequestConflict"
