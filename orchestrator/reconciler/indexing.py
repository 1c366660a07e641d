"""Make the store's index of ended jobs say what the jobs' folders say.

What is there and fits costs a request for a thousand jobs of each status. What is missing is
written: jobs that an earlier release ended, or that were copied into the bucket. Names of jobs that
are gone are deleted.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from orchestrator.cluster.connection import Cluster
from orchestrator.cluster.ended_jobs import FINAL
from orchestrator.cluster.job import Status, Summary
from orchestrator.cluster.job_folder import JobFolder, job_folder
from orchestrator.reconciler.restoring import Restoring
from tasks.artifacts import ArtifactMissing, exists
from tasks.runs import keys
from tasks.runs.json_artifacts import UnreadableRecord, read_record
from tasks.runs.units import created_at

Known = dict[str, set[Status]]  # by job: how it ended, as the index says


class Indexing:
    """Compares the index with folders that were listed, some at a time."""

    def __init__(self, cluster: Cluster, restoring: Restoring) -> None:
        self._cluster = cluster
        self._store = cluster.store
        self._ended = cluster.ended
        self._restoring = restoring

    def compare(
        self, tenant: str, after: str, folders: Sequence[JobFolder], busy: Collection[str]
    ) -> None:
        """Compare the index with all folders behind the one of job `after`, up to the last of them.

        `busy`: jobs that are open or being deleted; they are left as they are. Raises LeadLost and
        what the store raises.
        """
        known = self._known(tenant, after, folders)
        seen = {folder.job for folder in folders}
        gone = [job for job in known if job not in seen and job not in busy]
        self._restoring.each(lambda job: self._doubt(tenant, job), gone, lambda job: job)
        ended = (it for it in folders if it.job not in busy and it.has(it.newest, keys.RESULT))
        unsure = [it for it in ended if it.is_accepted and not _fits(it, known.get(it.job))]
        self._restoring.each(
            lambda it: self._write(it, is_doubtful=it.job in known),
            unsure,
            lambda it: it.newest.name,
        )

    def _known(self, tenant: str, after: str, folders: Sequence[JobFolder]) -> Known:
        """Return the jobs of ours that are in the index and whose ids are in that range."""
        first, found = created_at(after) or 0.0, Known()
        times = [time for it in folders if (time := created_at(it.job)) is not None]
        if not times:
            return found
        for status in FINAL:
            for _, job in self._ended.between(tenant, status, first, times[-1]):
                if after < job <= folders[-1].job and created_at(job) is not None:
                    found.setdefault(job, set()).add(status)
        return found

    def _doubt(self, tenant: str, job: str) -> None:
        """Remove a job that has no folder, unless it was made just now."""
        if not exists(self._store, keys.manifest(tenant, job)):
            self._ended.remove(tenant, self._ended.place(tenant, job))

    def _write(self, folder: JobFolder, *, is_doubtful: bool = False) -> None:
        """Write how a job has ended, unless it runs again."""
        run, tenant, job = folder.newest, folder.tenant, folder.job
        opened = self._store.list(f"{keys.OPEN}{tenant}/{job}/")
        if next(iter(opened), None) is not None or exists(self._store, keys.tombstone(tenant, job)):
            return
        # A copy of a bucket in use may lack the name of a unit that was given up.
        status = self._read(folder) if is_doubtful else self._status(folder)
        place = self._ended.place(tenant, job)
        if status is not None:
            self._ended.add(run.tenant, place, status)
            self._ended.remove(run.tenant, place, but=status)
            self._look_again(folder)

    def _look_again(self, folder: JobFolder) -> None:
        """Put right what was written of a job that ran again, or was deleted, meanwhile."""
        tenant, job = folder.tenant, folder.job
        if exists(self._store, keys.tombstone(tenant, job)):
            self._ended.remove(tenant, self._ended.place(tenant, job))
            return
        now = job_folder(self._store, tenant, job)
        if now.newest != folder.newest and now.has(now.newest, keys.RESULT):
            self._write(now)

    def _status(self, folder: JobFolder) -> Status | None:
        """Return how a job has ended; only what cannot be told by names is read."""
        return Status.COMPLETED if folder.is_completed else self._read(folder)

    def _read(self, folder: JobFolder) -> Status | None:
        """Return how a job has ended, by its result."""
        try:
            key = keys.of_run(folder.newest, keys.RESULT)
            return read_record(self._store, key, Summary.of_result).status
        except ArtifactMissing:
            return None
        except UnreadableRecord:
            return Status.FAILED


def _fits(folder: JobFolder, known: Collection[Status] | None) -> bool:
    """Tell whether the index says of an ended job what its folder says, as far as names tell."""
    if not known or len(known) > 1:
        return False
    return Status.COMPLETED in known or not folder.is_completed
