"""Walk over a whole store and yield what is unsound: without Redis, and without a change.

Memory does not grow with what a job has; each job's id takes eight bytes. What looks unsound is
looked at once more by itself before it is told, so a store may be in use.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

from orchestrator.cluster.ended_jobs import FINAL, EndedJobs
from orchestrator.cluster.job import Status
from orchestrator.collections import places
from orchestrator.collections.acceptance import SETTLED_SECONDS
from orchestrator.jobs.deletion import SHARED
from orchestrator.jobs.ids import job_id
from orchestrator.soundness.collections import collections_of, look_at_collection
from orchestrator.soundness.contents import Contents
from orchestrator.soundness.ended import Ends
from orchestrator.soundness.findings import (
    Action,
    Finding,
    JobFacts,
    Kind,
    collection_findings,
    content_findings,
    end_findings,
    has_end,
    job_findings,
    open_findings,
)
from orchestrator.soundness.jobs import jobs_of, look_at_job
from orchestrator.soundness.names import Names
from orchestrator.soundness.records import look_at_records
from tasks.artifacts import ArtifactMissing, ArtifactStore
from tasks.runs import keys
from tasks.runs.records import Records
from tasks.runs.units import created_at

PAGE = 1000  # jobs whose places in the index of ended jobs are listed at once
Told = Callable[[str, int], None]  # of a tenant, and how many jobs were looked at


class Walk:
    """One look at a store. Methods raise what the store raises."""

    def __init__(
        self,
        store: ArtifactStore,
        told: Told = lambda tenant, jobs: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._records = Records(store)
        self._ends = Ends(store, self._records, clock)
        self._ended = EndedJobs(store, self._records)
        self._told = told
        self._clock = clock
        self.jobs = 0  # that were looked at

    def findings(self, *, with_contents: bool = True) -> Iterator[Finding]:
        """Yield what is unsound, tenant by tenant; `with_contents`: also what no job claims."""
        for tenant in tenants_of(self._store):
            known = Names()
            yield from self._jobs(tenant, known)
            for name in collections_of(self._store, tenant):
                known.add_all((name,))
                yield from self._collection(tenant, name)
            yield from self._contents(tenant, known, with_contents=with_contents)

    def _jobs(self, tenant: str, known: Names) -> Iterator[Finding]:
        found = jobs_of(self._store, tenant, self._clock)
        while page := list(islice(found, PAGE)):
            known.add_all(facts.folder.job for facts in page)
            listed = self._listed(tenant, page)
            for facts in page:
                self.jobs += 1
                if any(self._of_job(facts, listed.get(facts.folder.job, set()))):
                    job = facts.folder.job  # told after a second look, by itself
                    again = look_at_job(self._store, tenant, job, self._clock())
                    yield from self._of_job(again, None)
            self._told(tenant, self.jobs)

    def _of_job(self, facts: JobFacts, listed: set[Status] | None) -> Iterator[Finding]:
        found = job_findings(facts)
        yield from found
        folder, run = facts.folder, facts.newest
        if facts.is_deleted or facts.is_young or not folder.is_accepted:
            return
        if facts.has_result:
            yield from end_findings(self._ends.look(facts, listed))
        elif not has_end(folder, run):
            try:
                looked = look_at_records(self._store, self._records, run)
            except ArtifactMissing:  # it was deleted just now
                return
            yield from open_findings(looked)

    def _listed(self, tenant: str, page: Sequence[JobFacts]) -> dict[str, set[Status]]:
        """Return what the index of ended jobs says of a page of jobs whose ids say their time."""
        times = [at for it in page if (at := created_at(it.folder.job)) is not None]
        found: dict[str, set[Status]] = {}
        if times:
            for status in FINAL:
                for _, job in self._ended.between(tenant, status, min(times), max(times)):
                    found.setdefault(job, set()).add(status)
        return found

    def _collection(self, tenant: str, name: str) -> Iterator[Finding]:
        facts = look_at_collection(self._store, tenant, name, self._clock())
        if facts is None:
            key = places.record(tenant, name)
            yield Finding(Kind.UNREADABLE, key, Action.NOTHING, tenant, name)
        elif collection_findings(facts):
            again = look_at_collection(self._store, tenant, name, self._clock())
            if again is not None:
                yield from collection_findings(again)

    def _contents(self, tenant: str, known: Names, *, with_contents: bool) -> Iterator[Finding]:
        contents = Contents(self._store, tenant)
        for job, claimed in contents.claims_without_jobs(known).items():
            facts = look_at_job(self._store, tenant, job, self._clock())
            is_young = job.startswith(places.PREFIX) and not self._is_settled(job)
            if not facts.folder.is_accepted and not is_young:
                yield from job_findings(replace(facts, claims=claimed))
        for key in contents.stray:
            yield Finding(Kind.STRAY, key, Action.NOTHING, tenant)
        if with_contents:
            for content in contents.without_claims():
                yield from content_findings(tenant, content, job_id())

    def _is_settled(self, collection: str) -> bool:
        created = created_at(collection.removeprefix(places.PREFIX)) or 0.0
        return created < self._clock() - SETTLED_SECONDS


def tenants_of(store: ArtifactStore) -> list[str]:
    """Return the tenants that have anything in the store, also markers alone."""
    folders = (keys.TENANTS, places.ACCEPTED, places.OPEN, *SHARED)
    return sorted({tenant for folder in folders for tenant in _below(store, folder)})


def _below(store: ArtifactStore, folder: str) -> Iterator[str]:
    """Yield the names of the folders in a folder; each costs one request."""
    after = ""
    while True:
        key = next(iter(store.list(folder, after)), None)
        if key is None:
            return
        name, slash, _ = key.removeprefix(folder).partition("/")
        if slash:
            yield name
        after = keys.behind(f"{folder}{name}/") if slash else key
