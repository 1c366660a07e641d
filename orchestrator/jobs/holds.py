"""Legal holds: a job, or all of a tenant, that is not deleted while the hold stands.

A hold is an artifact: `holds/<tenant>/job/<job>` or `holds/<tenant>/all`. It holds off deletions by
people and by the rules of retention; what a deletion has begun it does not bring back.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpu_worker.errors import PermanentError
from tasks.artifacts import ArtifactStore, encode, exists

FOLDER = "holds/"


class JobHeld(PermanentError):
    """There is a legal hold on the job or on its tenant, so it is not deleted."""

    code = "job_held"
    hint = "An operator can end it: `scriptorium hold --release`."


def hold_key(tenant: str, job: str | None) -> str:
    """Return the key of the hold on a job, or on a whole tenant."""
    return f"{FOLDER}{tenant}/all" if job is None else f"{FOLDER}{tenant}/job/{job}"


def hold(store: ArtifactStore, tenant: str, job: str | None, reason: str, at: float) -> None:
    """Put a hold on a job or on a tenant; the first reason stays."""
    store.put(hold_key(tenant, job), encode({"reason": reason, "since": round(at, 3)}))


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
