"""Legal holds: a job, or all of a tenant, that is not deleted while the hold stands.

A hold is an artifact: `holds/<tenant>/job/<job>` or `holds/<tenant>/all`. It holds off deletions by
people and by the rules of retention; what a deletion has begun it does not bring back.

A deletion looks for holds under a mark on the job, and writes its tombstone before it takes the
mark away. A command that puts a hold waits for the mark and then looks for the tombstone. So of a
hold and a deletion at the same time either the hold stops the deletion, or `deletions_begun` names
the job.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from gpu_worker.errors import InvalidOption, PermanentError
from tasks.artifacts import ArtifactStore, encode, exists
from tasks.runs import keys
from tasks.runs.units import created_at
from tasks.state.claims import await_releases
from tasks.state.leases import Leases

FOLDER = "holds/"
_JOB = re.compile(r"[a-z0-9-]{1,64}")


class JobHeld(PermanentError):
    """There is a legal hold on the job or on its tenant, so it is not deleted."""

    code = "job_held"
    hint = "An operator can end it: `scriptorium hold --release`."


def check_job(job: str) -> None:
    """Raise InvalidOption for what can be no id of a job."""
    if not _JOB.fullmatch(job):
        raise InvalidOption(f"{job!r} is no id of a job.", hint="`scriptorium list` shows them.")


def hold_key(tenant: str, job: str | None) -> str:
    """Return the key of the hold on a job, or on a whole tenant."""
    return f"{FOLDER}{tenant}/all" if job is None else f"{FOLDER}{tenant}/job/{job}"


def hold(store: ArtifactStore, tenant: str, job: str | None, reason: str, at: float) -> None:
    """Put a hold on a job or on a tenant; the first reason stays."""
    store.put(hold_key(tenant, job), encode({"reason": reason, "since": round(at, 3)}))


def deletions_begun(
    store: ArtifactStore, leases: Leases, tenant: str, job: str | None
) -> list[str]:
    """Return the jobs under a new hold whose deletion had begun before it.

    Raises StoreUnavailable if a deletion takes too long to begin.
    """
    if job is not None:
        await_releases(store, leases, tenant, [job])
        return [job] if exists(store, keys.tombstone(tenant, job)) else []
    marks = [_last(key) for key in store.list(keys.releasing(tenant, ""))]
    await_releases(store, leases, tenant, [it for it in marks if _is_job(store, tenant, it)])
    return [_last(key) for key in store.list(keys.tombstone(tenant, ""))]


def end_hold(store: ArtifactStore, tenant: str, job: str | None) -> bool:
    """End a hold; return False if there is none."""
    key = hold_key(tenant, job)
    found = exists(store, key)
    store.delete(key)
    return found


def is_held(store: ArtifactStore, tenant: str, job: str) -> bool:
    """Tell whether there is a hold on the job or on its tenant."""
    return exists(store, hold_key(tenant, job)) or exists(store, hold_key(tenant, None))


def holds(store: ArtifactStore) -> Iterator[tuple[str, str | None]]:
    """Yield the tenant of each hold, and its job; None: it is on all of the tenant."""
    for key in store.list(FOLDER):
        tenant, _, rest = key.removeprefix(FOLDER).partition("/")
        yield tenant, rest.removeprefix("job/") if rest != "all" else None


def _is_job(store: ArtifactStore, tenant: str, marked: str) -> bool:
    """Tell whether a mark is of a job, and not of a content; most ids of jobs say it themselves."""
    return created_at(marked) is not None or exists(store, keys.manifest(tenant, marked))


def _last(key: str) -> str:
    return key.rpartition("/")[2]
