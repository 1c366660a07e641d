"""Delete a job, all its artifacts, and its source and audio if no other job claims them.

A tombstone is written first. While it exists the job is unknown, and the reconciler
(`orchestrator/jobs/tombstones.py`) removes what running tasks still write; it also finishes a
deletion whose process died. A job's shadow goes with it. Files that were written into a submitter's
bucket stay there.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass

from gpu_worker.errors import StoreUnavailable
from orchestrator.cluster import shadows
from orchestrator.cluster.connection import Cluster, UnknownJob
from orchestrator.cluster.job_index import newest_run
from orchestrator.cluster.unreadable import note, parsed_runs
from orchestrator.jobs.holds import JobHeld, is_held
from orchestrator.jobs.ids import forget_key
from orchestrator.jobs.lines import note_deletion
from tasks.artifacts import ArtifactMissing, ArtifactStore, encode, exists
from tasks.runs import keys, usage_keys
from tasks.runs.json_artifacts import UnreadableRecord, read_record
from tasks.runs.records import Records
from tasks.runs.units import Run
from tasks.state.claims import await_releases, marked, release

# Folders with keys of all jobs
SHARED = (keys.OPEN, keys.OUTBOX, usage_keys.UNCOUNTED, keys.DEAD_LETTERS, shadows.MADE)
Contents = dict[str, tuple[str, ...]]  # by content: its parts, if it has several


@dataclass(frozen=True, slots=True)
class Tombstone:
    """What must be known of a deleted job to finish its deletion."""

    tenant: str
    job: str
    deleted_at: float  # seconds since 1970
    runs: int
    contents: Contents

    @property
    def key(self) -> str:
        """The tombstone's artifact key."""
        return keys.tombstone(self.tenant, self.job)

    def to_bytes(self) -> bytes:
        """Encode the tombstone as the bytes of its artifact."""
        return encode({"deleted_at": self.deleted_at, "runs": self.runs, "contents": self.contents})

    @classmethod
    def read(cls, store: ArtifactStore, tenant: str, job: str) -> Tombstone:
        """Read the tombstone of a deleted job. Raises ArtifactMissing or UnreadableRecord."""
        return read_record(
            store,
            keys.tombstone(tenant, job),
            lambda data: cls(
                tenant=tenant,
                job=job,
                deleted_at=float(data["deleted_at"]),
                runs=int(data["runs"]),
                contents={name: tuple(parts) for name, parts in data["contents"].items()},
            ),
        )


def delete_job(cluster: Cluster, tenant: str, job: str, *, is_marked: bool = False) -> None:
    """Delete a job, even while it runs. Raises UnknownJob, or JobHeld under a legal hold.

    `is_marked`: the caller has marked the job, as the rules of retention do.
    """
    _check_known(cluster, tenant, job)  # nothing is written for the name of no job
    with nullcontext() if is_marked else turn(cluster, tenant, job):
        stone = _checked_and_buried(cluster, tenant, job)
        cluster.jobs.forget(tenant, job)  # unknown from here on, also if this process dies
    erase(cluster, stone)


@contextmanager
def turn(cluster: Cluster, tenant: str, job: str) -> Iterator[None]:
    """Mark a job, so that a hold at the same time waits; of several processes, each in its turn."""
    with marked(cluster.store, cluster.leases, tenant, job) as is_ours:
        if is_ours:
            yield
            return
    with suppress(StoreUnavailable):  # the other one died, and its mark stands for ten minutes
        await_releases(cluster.store, cluster.leases, tenant, [job])
    with marked(cluster.store, cluster.leases, tenant, job):
        yield


def _check_known(cluster: Cluster, tenant: str, job: str) -> None:
    try:
        is_known = exists(cluster.store, keys.manifest(tenant, job))
        is_known = is_known or cluster.jobs.find(tenant, job) is not None
    except ValueError:  # it is not even a name
        is_known = False
    if not is_known:
        raise UnknownJob(f"There is no job {job!r}.")


def _checked_and_buried(cluster: Cluster, tenant: str, job: str) -> Tombstone:
    """Begin the deletion of a job that may be deleted. Raises UnknownJob or JobHeld."""
    cluster.records.forget(tenant, job)
    if exists(cluster.store, keys.tombstone(tenant, job)):
        raise UnknownJob(f"There is no job {job!r}.")
    if is_held(cluster.store, tenant, job):
        raise JobHeld(f"There is a legal hold on job {job}, or on its tenant.")
    return _bury(cluster, tenant, job)


def remove_job(cluster: Cluster, tenant: str, job: str) -> None:
    """Do what `delete_job` does for a job that is there, whether it is held or not."""
    erase(cluster, _bury(cluster, tenant, job))


def _bury(cluster: Cluster, tenant: str, job: str) -> Tombstone:
    known = cluster.jobs.run_number(tenant, job)
    runs = max(newest_run(cluster.store, tenant, job).number, known)
    own = list(cluster.store.list(keys.job(tenant, job)))
    contents = contents_of(cluster.store, cluster.records, tenant, job, own)
    stone = Tombstone(tenant, job, round(time.time(), 3), runs, contents)
    cluster.store.put(stone.key, stone.to_bytes())
    return stone


def remove_shadow(cluster: Cluster, tenant: str, job: str) -> None:
    """Remove the shadow of a job, and the entries that it has one."""
    own = shadows.SHADOW_TENANT, shadows.shadow_job(tenant, job)
    is_there = exists(cluster.store, keys.manifest(*own))
    if is_there and not exists(cluster.store, keys.tombstone(*own)):  # else it goes already
        remove_job(cluster, *own)
    _delete(cluster.store, list(cluster.store.list(f"{shadows.MADE}{tenant}/{job}/")))


def erase(cluster: Cluster, stone: Tombstone, outside: Sequence[str] | None = None) -> int:
    """Remove all of a deleted job but its tombstone; return the number of removed artifacts.

    `outside`: its keys in the folders that all jobs share; None: they are listed.
    """
    tenant, job, store = stone.tenant, stone.job, cluster.store
    for number in range(1, stone.runs + 2):
        # The flag stops tasks; one run more than known, since a retry may have begun just now.
        run = Run(tenant, job, number)
        cluster.cancellations.flag(run)
        cluster.ledger.forget(run)
    cluster.jobs.forget(tenant, job, stone.runs + 1)
    cluster.ended.remove(tenant, cluster.ended.place(tenant, job))
    own = list(store.list(keys.job(tenant, job)))
    naming = (keys.plan(tenant, job), keys.manifest(tenant, job))
    if naming[1] in own:
        idempotency_key = _idempotency_key(cluster, tenant, job)
        if idempotency_key is not None:
            note_deletion(store, tenant, job, idempotency_key)
            forget_key(store, tenant, job, idempotency_key)
    if outside is None:
        outside = [key for it in SHARED for key in store.list(f"{it}{tenant}/{job}/")]
    if any(key.startswith(shadows.MADE) for key in outside):
        remove_shadow(cluster, tenant, job)
    for run in _uncounted(outside):
        cluster.books.counting.count(run, stone.deleted_at)
    gone = _delete(store, outside)
    named = contents_of(store, cluster.records, tenant, job, own)
    for content, parts in (stone.contents | named).items():
        gone += release(store, cluster.leases, tenant, job, content, parts)
    # Manifest and plan name the contents, so they go last: after a crash they are still readable.
    rest = without_notes(tenant, job, own)
    gone += _delete(store, [key for key in rest if key not in naming])
    gone += _delete(store, [key for key in naming if key in rest])
    cluster.records.forget(tenant, job)
    return gone


def _uncounted(outside: Sequence[str]) -> set[Run]:
    """Return the runs whose use has no record yet: they are open, or marked."""
    folders = (keys.OPEN, usage_keys.UNCOUNTED)
    names = (key.removeprefix(it) for key in outside for it in folders if key.startswith(it))
    return set(parsed_runs(names))


def without_notes(tenant: str, job: str, own: Iterable[str]) -> list[str]:
    """Return the keys of a job's folder without the notes of what it claims, which go last."""
    notes = keys.job(tenant, job, "uses/")
    return [key for key in own if not key.startswith(notes)]


def _delete(store: ArtifactStore, found: Sequence[str]) -> int:
    for key in found:
        store.delete(key)
    return len(found)


def _idempotency_key(cluster: Cluster, tenant: str, job: str) -> str | None:
    """Return the job's idempotency key, also from a manifest of a release that is not ours."""
    try:
        key = read_record(
            cluster.store, keys.manifest(tenant, job), lambda data: data["idempotency_key"]
        )
    except (ArtifactMissing, UnreadableRecord):
        return None
    return key if isinstance(key, str) else None


def contents_of(
    store: ArtifactStore, records: Records, tenant: str, job: str, own: Collection[str]
) -> Contents:
    """Return the contents that the job claims, from its manifest, its plan and its notes.

    `own`: the keys of its folder; what is not among them is not read.
    """
    records.forget(tenant, job)
    found: Contents = {}
    try:
        if keys.manifest(tenant, job) in own:
            manifest = records.manifest(tenant, job)
            if manifest.source.artifact is not None:
                found[keys.content(manifest.source.artifact)] = ()
            found |= {known.clip: () for known in manifest.options.known_speakers}
        if keys.plan(tenant, job) in own:
            plan = records.plan(tenant, job)
            found |= dict.fromkeys((plan.audio, *plan.channels), ())
            if plan.heard not in found:  # language detection listens to all channels together
                found = {plan.heard: tuple(dict.fromkeys(plan.channels))} | found
    except ArtifactMissing:  # another process removes it just now, or has to
        pass
    except UnreadableRecord as error:  # then every claim of the tenant is looked at
        note(f"{tenant}/{job}", error)
        folder = keys.claims(tenant)
        claims = (key.removeprefix(folder).split("/") for key in store.list(folder))
        found |= {content: () for content, *user in claims if user == [job]}
    notes = keys.job(tenant, job, "uses/")
    found |= {key.removeprefix(notes): () for key in own if key.startswith(notes)}
    return found
