"""Compare the open runs of Redis with those of the store, and give back what either lacks.

It runs now and then, and at once after a wipe: then each run is also issued, since its messages are
gone with Redis. The loop goes on meanwhile: each run that is back is surveyed by its next pass.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

import structlog

from gpu_worker.errors import StoreUnavailable
from orchestrator.cluster.connection import Cluster
from orchestrator.cluster.job_folder import JobFolder, job_folder
from orchestrator.cluster.job_index import open_runs
from orchestrator.cluster.unreadable import FAULTS, note
from orchestrator.jobs.costing import cost_of
from orchestrator.reconciler.leading import Leading, LeadLost
from orchestrator.soundness.findings import Finding, Kind, has_end, open_findings
from orchestrator.soundness.jobs import SETTLED_SECONDS, SUBMITTING_SECONDS
from orchestrator.soundness.mending import mend
from orchestrator.soundness.records import look_at_records
from tasks.artifacts import ArtifactMissing, exists
from tasks.runs import keys
from tasks.runs.canvas import run_canvas
from tasks.runs.manifest import Manifest
from tasks.runs.stages import EARLY_STAGES, Stage
from tasks.runs.units import Run, created_at
from tasks.state.claims import await_releases
from tasks.state.receipts import Receipt

THREADS = 16  # runs restored at once: each waits for the store most of the time
Item = TypeVar("Item")
log = structlog.get_logger(__name__)


class Restoring:
    """Makes Redis and the store agree on what is open; without `adopt` only on runs in `seen`."""

    def __init__(
        self,
        cluster: Cluster,
        leading: Leading,
        *,
        adopt: bool,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._cluster = cluster
        self._leading = leading
        self._adopt = adopt  # take up runs that others left open
        self._clock = clock
        self.seen: Collection[Run] = frozenset()  # those that were open at the last pass
        self._wiped_at = float("-inf")  # a job that is older is not just being submitted

    def restore(self) -> None:
        """Compare once: what Redis lacks, what the store lacks, then what is owed.

        Raises LeadLost, redis.RedisError, kombu's OperationalError and what the store raises. The
        next call goes on with what is left: a run that was restored is not restored again.
        """
        jobs = self._cluster.jobs
        wiped = jobs.is_wiped()
        if wiped:
            self._wiped_at = self._clock()
        before = jobs.open_runs()  # first: a run of Redis is in the store's listing, or is over
        listed = set(open_runs(self._cluster.store))
        lacking = sorted(listed.difference(before), key=lambda run: run.name)
        self.each(lambda run: self._take_up(run, is_wiped=wiped), lacking, _name)
        if wiped:  # from here on the load can be measured
            jobs.restored(lists_ended=not self._adopt)
        self.each(self._doubt, [run for run in before if run not in listed], _name)
        if self._adopt:
            self._cluster.outbox.restore()

    def reopen(self, folder: JobFolder) -> None:
        """Open the newest run of a job again that has neither a result nor an open marker.

        So are jobs in a copy of a bucket that was written to meanwhile. Does nothing for a job
        that is perhaps being submitted. Raises what `restore` raises.
        """
        run = folder.newest
        if self.is_submitting(folder):
            return
        store = self._cluster.store
        if exists(store, keys.open_run(run)) or exists(store, keys.of_run(run, keys.RESULT)):
            return
        if exists(store, keys.tombstone(run.tenant, run.job)):
            return
        log.warning("run_reopened", run=run.name)
        store.put(keys.open_run(run), b"")
        if not self._cluster.jobs.is_open(run):
            self._restore(run, folder, is_wiped=False)

    def now(self) -> float:
        """Return the time by which jobs are young, in seconds since 1970."""
        return self._clock()

    def _take_up(self, run: Run, *, is_wiped: bool) -> None:
        """Restore a run that the store has open and Redis has not."""
        cluster = self._cluster
        if not (self._adopt or run in self.seen) or cluster.jobs.is_open(run):  # a new one, or not
            return
        if exists(cluster.store, keys.tombstone(run.tenant, run.job)):
            return
        folder = job_folder(cluster.store, run.tenant, run.job)
        if folder.is_accepted:
            self._restore(run, folder, is_wiped=is_wiped)
        elif not self.is_submitting(folder):  # refused, deleted, or lost by a copy of the bucket
            cluster.store.delete(keys.open_run(run))

    def _restore(self, run: Run, folder: JobFolder, *, is_wiped: bool) -> None:
        cluster = self._cluster
        newest = folder.newest if folder.newest.number > run.number else run
        if not has_end(folder, newest):
            folder = self._mended(newest, folder)
        manifest = cluster.records.manifest(run.tenant, run.job)
        if folder.has(newest, "canceled"):
            cluster.cancellations.flag(newest)
        # The receipts first: once the run is in the index a pass looks at what it needs.
        plan = cluster.plan(run.tenant, run.job) if folder.is_prepared else None
        if folder.is_prepared:
            cluster.ledger.record(
                newest.unit(Stage.PREPARE), Receipt("cached", finished_at=time.time())
            )
        given_up = list(folder.given_up(newest))
        for stage, index in given_up:
            cluster.ledger.record(newest.unit(stage, index), Receipt("failed"))
        ended = [one for one in {run, newest} if has_end(folder, one)]
        for one in ended:  # first: what dies here has told Redis of no run without an end
            cluster.settle(one)
        cost = cost_of(cluster, manifest, plan)
        cluster.jobs.add(manifest, newest, is_open=newest not in ended, cost=cost)
        if newest in ended:
            return
        log.info("run_restored", run=newest.name)
        is_plain = not EARLY_STAGES & {stage for stage, _ in given_up}
        if is_wiped and is_plain and not cluster.settings.broker_url:
            self._issue(manifest, newest, folder)

    def _mended(self, run: Run, folder: JobFolder) -> JobFolder:
        """Mend what an open run needs, as far as a copy of a bucket lacks it; return its folder."""
        found = self._mend(run)
        if not found:
            return folder
        claimed = [keys.content(it.key) for it in found if it.kind is Kind.NOT_CLAIMED]
        if claimed:  # a deletion that had begun did not see the claim: look at what it has left
            with suppress(StoreUnavailable):  # or it died, and its mark stands for ten minutes
                await_releases(self._cluster.store, self._cluster.leases, run.tenant, claimed)
            self._mend(run)
        return job_folder(self._cluster.store, run.tenant, run.job)

    def _mend(self, run: Run) -> Sequence[Finding]:
        store, records = self._cluster.store, self._cluster.records
        found = open_findings(look_at_records(store, records, run))
        for finding in found:
            log.warning("unsound", kind=finding.kind, artifact=finding.key, action=finding.action)
            mend(store, finding)
        if found:
            records.forget(run.tenant, run.job)
        return found

    def _issue(self, manifest: Manifest, run: Run, folder: JobFolder) -> None:
        """Send the run's first message, as a retry does: what is done is found by its artifact."""
        self._leading.confirm()
        canvas = run_canvas(self._cluster.celery, manifest, run, prepared=folder.is_prepared)
        canvas.apply_async(ignore_result=True)

    def _doubt(self, run: Run) -> None:
        """Look at a run that Redis has open and the store has not."""
        cluster = self._cluster
        store, jobs = cluster.store, cluster.jobs
        if not jobs.is_open(run) or exists(store, keys.open_run(run)):
            return  # it has ended meanwhile; or it began while the store was listed
        folder = job_folder(store, run.tenant, run.job)
        is_deleted = exists(store, keys.tombstone(run.tenant, run.job))
        if is_deleted or not folder.is_accepted:  # deleted, or a submission that was refused
            log.info("run_dropped", run=run.name)
            jobs.forget(run.tenant, run.job, run.number)
            cluster.ledger.forget(run)
        elif has_end(folder, run):
            cluster.settle(run)
        elif run.number < folder.newest.number:
            jobs.drop(run)
        else:
            self.reopen(folder)

    def is_submitting(self, folder: JobFolder) -> bool:
        """Return whether the job has perhaps no open marker yet.

        One from before a wipe of Redis has: its submission has ended, or is another cluster's.
        """
        created = self._created_at(folder)
        return created > max(self._wiped_at, self._clock() - SUBMITTING_SECONDS)

    def is_young(self, folder: JobFolder) -> bool:
        """Return whether the job is so young that it may just be submitted or refused."""
        return self._clock() - self._created_at(folder) < SETTLED_SECONDS

    def _created_at(self, folder: JobFolder) -> float:
        created = created_at(folder.job)
        if created is None:
            try:
                return self._cluster.records.manifest(folder.tenant, folder.job).created_at
            except ArtifactMissing:
                return float("-inf")
        return created

    def each(
        self, work: Callable[[Item], None], items: Iterable[Item], name: Callable[[Item], str]
    ) -> None:
        """Do the work for each item, many at once; what cannot be read of one is its own trouble.

        Once the lead was lost or after an outage no more are begun; raises the first fault.
        """

        def one(item: Item) -> None:
            if not self._leading.is_held:
                raise LeadLost
            try:
                work(item)
            except FAULTS as error:
                note(name(item), error)

        with ThreadPoolExecutor(THREADS, "restoring") as threads:
            begun = [threads.submit(one, item) for item in items]
            try:
                for future in begun:
                    future.result()
            finally:
                threads.shutdown(cancel_futures=True)


def _name(run: Run) -> str:
    return run.name
