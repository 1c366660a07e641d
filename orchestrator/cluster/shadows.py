"""Which completed jobs are done again in the shadow, and what says so in the store.

A shadow is a job with other options on the audio of a tenant's job. It is of a tenant of its own,
so that the job's tenant neither sees it nor pays for it. No key, message or setting can name that
tenant: its name breaks the rules for tenants.

    due-shadows/<tenant>/<job>/<run>    the run has completed, and is to have a shadow
    shadows/<tenant>/<job>/<run>        it has one
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

from orchestrator.cluster.job import Status, Summary
from tasks.artifacts import ArtifactStore, exists
from tasks.runs import keys
from tasks.runs.units import TIME_DIGITS, Run, created_at

SHADOW_TENANT = "_shadow"
DUE, MADE = "due-shadows/", "shadows/"
_DIGEST_BYTES = 8
_DIGESTS = 1 << (8 * _DIGEST_BYTES)  # how many there are
_ID_BYTES = 6  # of an id behind its time


def shadow_job(tenant: str, job: str) -> str:
    """Return the id of a job's shadow, always the same, with the time of the job's own id.

    So a process that dies makes no second one, and a deletion finds it without any record.
    """
    time = job[:TIME_DIGITS] if created_at(job) is not None else "0" * TIME_DIGITS
    name = f"{tenant}/{job}".encode()
    return time + blake2b(name, digest_size=_ID_BYTES, person=b"shadow").hexdigest()


def is_shadowed(job: str, share: float, seed: int) -> bool:
    """Tell whether a job is of the share, by a digest of its id; another seed, another share."""
    salt = (seed % _DIGESTS).to_bytes(_DIGEST_BYTES)
    digest = blake2b(job.encode(), digest_size=_DIGEST_BYTES, salt=salt, person=b"shadow")
    return int.from_bytes(digest.digest()) < share * _DIGESTS


def note_shadow(
    store: ArtifactStore, shadow: Mapping[str, Any], run: Run, summary: Summary
) -> None:
    """Note that a run which ends is to have a shadow; called before its open marker goes.

    `shadow` is the setting. A run that is settled again, as after a wipe of Redis, has no open
    marker any more.
    """
    if not shadow or run.tenant == SHADOW_TENANT or summary.status is not Status.COMPLETED:
        return
    share, seed = float(shadow.get("share", 0.0)), int(shadow.get("seed", 0))
    if is_shadowed(run.job, share, seed) and exists(store, keys.open_run(run)):
        store.put(DUE + run.name, b"")
