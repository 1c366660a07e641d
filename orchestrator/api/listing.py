"""List a tenant's jobs by pages, newest first.

A cursor is the place where the last page ended, a time and an id, so jobs that are submitted in
between do not shift the pages.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from math import isfinite

from fastapi.exceptions import RequestValidationError

from orchestrator.cluster.connection import Cluster, UnknownJob
from orchestrator.cluster.job import Job, Status

SCANNED = 500  # jobs that one request reads to find those of a status
_PIECE = 100

Position = tuple[float, str]


def page(
    cluster: Cluster, tenant: str, limit: int, before: Position | None, status: Status | None
) -> tuple[list[Job], Position | None]:
    """Return up to `limit` jobs after a place, and the place of the next page or None.

    With a status, a page may be short, even empty, and still not be the last.
    """
    found: list[Job] = []
    for _ in range(0, SCANNED, _PIECE):
        wanted = limit - len(found) if status is None else _PIECE
        listed = cluster.jobs.newest(tenant, wanted + 1, before)
        for job, time in listed[:wanted]:
            before = (time, job)
            now = _job(cluster, tenant, job)
            if now is not None and status in (None, now.status):
                found.append(now)
                if len(found) == limit:
                    return found, before if listed[-1][0] != job else None
        if len(listed) <= wanted:
            return found, None
    return found, before


def cursor_of(place: Position | None) -> str | None:
    """Encode a place for clients."""
    if place is None:
        return None
    return urlsafe_b64encode(f"{place[0]!r} {place[1]}".encode()).decode().rstrip("=")


def place_of(cursor: str | None) -> Position | None:
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
        return cluster.job(tenant, job)
    except UnknownJob:  # deleted since it was listed
        return None
