"""The lines of a collection that is a prefix of a bucket: the objects that are there now."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gpu_worker.errors import InvalidOption
from orchestrator.cluster.connection import Cluster
from orchestrator.collections.records import CollectionOutOfBounds, Line
from orchestrator.jobs.sources import named_source


def below(cluster: Cluster, prefix: str, suffixes: Sequence[str], *, checks: bool) -> list[Line]:
    """Return a line for each object below `s3://bucket/prefix` that ends with one of the suffixes.

    `checks`: the settings must allow the bucket. Raises SourceNotAllowed, InvalidOption,
    CollectionOutOfBounds, StoreRefused or StoreUnavailable.
    """
    scheme, _, rest = prefix.partition("://")
    bucket, slash, begin = rest.partition("/")
    if scheme != "s3" or not bucket or not slash:
        raise InvalidOption(
            f"{prefix[:80]!r} is no prefix of a bucket.", hint="Write it as s3://bucket/prefix/."
        )
    if checks:
        named_source(cluster.settings, f"s3://{bucket}/{begin}x")  # raises if it is not allowed
    most, found = cluster.settings.collection_lines, list[Line]()
    for key in _objects(cluster.settings.s3_endpoint_url, bucket, begin):
        if key.endswith("/") or not key.endswith(tuple(suffixes) or ""):
            continue  # consoles make a folder as an empty object
        if len(found) == most:
            raise CollectionOutOfBounds(f"There are more than {most} objects below the prefix.")
        found.append(Line(len(found) + 1, source=f"s3://{bucket}/{key}"))
    if not found:
        raise CollectionOutOfBounds(
            f"There is no such object below {prefix[:80]!r}.", hint="Check prefix and suffix."
        )
    return found


def _objects(endpoint_url: str | None, bucket: str, begin: str) -> Iterator[str]:
    from tasks.artifacts.s3 import s3_client  # boto3 takes long to import
    from tasks.artifacts.s3_faults import s3_faults

    with s3_faults(bucket, begin):
        client = s3_client(endpoint_url)
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=begin)
        for page in pages:
            for item in page.get("Contents", ()):
                yield str(item["Key"])
