"""List a tenant's jobs by pages, newest first.

A cursor is the place where the last page ended, a time and an id, so jobs that are submitted in
between do not shift the pages.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from math import isfinite
from types import MappingProxyType

from fastapi.exceptions import RequestValidationError

from orchestrator.cluster.connection import Cluster, UnknownJob
from orchestrator.cluster.job import Job, Status
from orchestrator.cluster.job_order import Place
from orchestrator.cluster.listed_jobs import listed_job, listed_jobs
from orchestrator.jobs.labels import has_labels

NO_LABELS: Mapping[str, str] = MappingProxyType({})
SCANNED = 500  # jobs that one request reads to find those of a status
_READ_AT_ONCE = 50  # jobs: for one that ended long ago there are seven requests to the store


def page(
    cluster: Cluster,
    tenant: str,
    limit: int,
    before: Place | None,
    status: Status | None,
    labels: Mapping[str, str] = NO_LABELS,
) -> tuple[list[Job], Place | None]:
    """Return up to `limit` jobs after a place, and the place of the next page or None.

    With a status or labels, a page may be short, even empty, and still not be the last.
    """
    found: list[Job] = []
    rest, scanned = _candidates(cluster, tenant, limit + 1, before, status), 0
    read = partial(_job, cluster, tenant)
    with ThreadPoolExecutor(_READ_AT_ONCE) as threads:
        while len(found) < limit and scanned < SCANNED:
            part = list(islice(rest, min(limit - len(found), SCANNED - scanned)))
            if not part:
                return found, None
            scanned += len(part)
            before = part[-1]
            jobs = threads.map(read, [job for _, job in part])
            found += [
                job
                for job in jobs
                if job is not None
                and status in (None, job.status)
                and has_labels(job.labels, labels)
            ]
    return found, before if next(rest, None) else None


def _candidates(
    cluster: Cluster, tenant: str, size: int, before: Place | None, status: Status | None
) -> Iterator[Place]:
    """Yield the jobs after a place that may have the status, newest first."""
    if status is None:
        yield from listed_jobs(cluster, tenant, size, before)
        return
    read = partial(cluster.ended.newest, statuses=[status]) if status.final else cluster.jobs.newest
    while piece := read(tenant, size, before):
        yield from piece
        before = piece[-1]


def cursor_of(place: Place | None) -> str | None:
    """Encode a place for clients."""
    if place is None:
        return None
    return urlsafe_b64encode(f"{place[0]!r} {place[1]}".encode()).decode().rstrip("=")


def place_of(cursor: str | None) -> Place | None:
    """Decode what `cursor_of` gives. Raises RequestValidationError for any other text."""
    if cursor is None:
        return None
    try:
        text = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
        time, _, job = text.partition(" ")
        place = float(time), job
    except ValueError:
        place = float("nan"), ""
    if not isfinite(place[0]) or not job_like(place[1]):
        error = {"loc": ("query", "cursor"), "msg": "is not a next_cursor of ours", "type": "value"}
        raise RequestValidationError([error])
    return place


def job_like(text: str) -> bool:
    """Tell whether the text could be a job's id."""
    return text.isascii() and text.replace("-", "").isalnum() and len(text) <= 64


def _job(cluster: Cluster, tenant: str, job: str) -> Job | None:
    try:
        return listed_job(cluster, tenant, job)
    except UnknownJob:  # deleted since it was listed
        return None
