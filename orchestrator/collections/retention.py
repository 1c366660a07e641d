"""Delete collections of which nothing is left: those whose jobs are all gone by their age.

A collection's list holds addresses, names and metadata of its files, so it goes by the rule
`transcripts` of its tenant, once its rounds have ended and no job of it is there any more. Its age
is the time since its submission, or since its last retry. A retry at the same moment waits for the
mark under which it goes, or is seen.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Iterator
from contextlib import suppress

from orchestrator.cluster.connection import Cluster
from orchestrator.collections import places
from orchestrator.collections.acceptance import find
from orchestrator.collections.deletion import delete
from orchestrator.collections.records import Collection, UnknownCollection
from orchestrator.collections.rounds import Rounds
from orchestrator.jobs import lines
from orchestrator.jobs.holds import JobHeld, is_held
from orchestrator.jobs.retention import COLLECTION, TRANSCRIPTS, Gone, ages, note_gone
from tasks.artifacts import exists
from tasks.runs import keys
from tasks.runs.units import Run, created_at
from tasks.state.claims import marked


class CollectionRetention:
    """Applies the rule to one collection at a time.

    Every method may raise redis.RedisError and what the store and the records raise.
    """

    def __init__(self, cluster: Cluster, clock: Callable[[], float] = time.time) -> None:
        self._cluster = cluster
        self._clock = clock

    def old(self, tenant: str, after: str = "") -> Iterator[str]:
        """Yield the collections behind `after` that are old enough by their ids, oldest first."""
        rule = ages(self._cluster.settings, tenant).get(TRANSCRIPTS)
        if rule is None:
            return
        for name in places.names_of(self._cluster.store, places.ACCEPTED, tenant):
            created = created_at(name.removeprefix(places.PREFIX))
            if created is not None and self._clock() - created < rule:
                return  # ids sort by time
            if name > after:
                yield name

    def apply(
        self, tenant: str, collection: str, *, dry_run: bool = False, going: Container[str] = ()
    ) -> Gone | None:
        """Delete a collection if it is due; return it, or with `dry_run` what would go.

        `going`: jobs that are there, and would go by a rule.
        """
        gone = self._due(tenant, collection, going)
        if gone is None or dry_run:
            return gone
        cluster = self._cluster
        with marked(cluster.store, cluster.leases, tenant, collection) as is_ours:
            if not is_ours or self._is_open(tenant, collection):
                return None
            with suppress(UnknownCollection, JobHeld):
                delete(cluster, tenant, collection)
                note_gone(cluster, gone)
                return gone
        return None

    def _due(self, tenant: str, collection: str, going: Container[str]) -> Gone | None:
        record = find(self._cluster, tenant, collection)
        rule = ages(self._cluster.settings, tenant).get(TRANSCRIPTS)
        if record is None or rule is None or self._is_open(tenant, collection):
            return None
        newest = places.newest_round(self._cluster.store, tenant, collection)
        age = self._clock() - self._began_at(record, newest)
        if age < rule or is_held(self._cluster.store, tenant, collection):
            return None
        if any(self._is_there(tenant, job, going) for job in self._jobs(newest)):
            return None
        # Notes of deleted jobs do not count: there is one more for each job that goes before.
        notes = lines.gone(tenant, collection, "")
        names = self._cluster.store.list(places.folder(tenant, collection))
        artifacts = sum(not name.startswith(notes) for name in names)
        return Gone(tenant, collection, COLLECTION, artifacts + 1, age)

    def _is_open(self, tenant: str, collection: str) -> bool:
        """Tell whether a round goes on, or a webhook of one is still to be delivered."""
        folders = (f"{top}{tenant}/{collection}/" for top in (places.OPEN, places.OWED))
        return any(next(iter(self._cluster.store.list(it)), None) for it in folders)

    def _began_at(self, record: Collection, newest: Run) -> float:
        if newest.number == 1:
            return record.created_at
        return float(Rounds(self._cluster).retry_record(newest)["began_at"])

    def _jobs(self, newest: Run) -> Iterator[str]:
        """Yield the jobs of all rounds, the newest first: those are likely to be there."""
        rounds = Rounds(self._cluster)
        for number in range(newest.number, 0, -1):
            for outcome in rounds.outcomes(Run(newest.tenant, newest.job, number)):
                if outcome.job is not None:
                    yield outcome.job

    def _is_there(self, tenant: str, job: str, going: Container[str]) -> bool:
        return job not in going and exists(self._cluster.store, keys.manifest(tenant, job))
