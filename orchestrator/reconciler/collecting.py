"""Do what collections have asked for: make jobs of their lines, end their rounds, delete them.

Collections are done in turn, some lines of each, so that a long one does not hold up the others.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import structlog
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from gpu_worker.errors import ScriptoriumError
from orchestrator.cluster.connection import Cluster
from orchestrator.cluster.unreadable import FAULTS, note, parsed_runs
from orchestrator.collections import places
from orchestrator.collections.acceptance import SETTLED_SECONDS, find
from orchestrator.collections.deletion import deleted_collections, drop, erase
from orchestrator.collections.ending import cancel_rest, end
from orchestrator.collections.making import make_some
from orchestrator.collections.rounds import Rounds
from orchestrator.reconciler.leading import Leading, LeadLost
from tasks.artifacts import ArtifactMissing, exists
from tasks.runs.json_artifacts import UnreadableRecord, read_record
from tasks.runs.units import Run

# Between looks at the open collections; the next pass of the loop begins it.
COLLECTIONS_SECONDS = 2.0
log = structlog.get_logger(__name__)


class Collecting:
    """Two duties for collections. Each raises LeadLost, redis.RedisError and the store's errors."""

    def __init__(
        self, cluster: Cluster, leading: Leading, clock: Callable[[], float] = time.time
    ) -> None:
        self._cluster = cluster
        self._leading = leading
        self._clock = clock
        self._rounds = Rounds(cluster)
        self._troubles: dict[Run, str] = {}  # what each round waits for: said once, not every look

    def go_on(self) -> None:
        """Do some lines of each open round, and again while there is work and room for it."""
        if self._cluster.jobs.is_wiped():  # it is not known how many jobs are open
            return
        busy, seen = list[Run](), set[Run]()
        fault: Exception | None = None
        while turns := [*busy, *(it for it in self._open_rounds() if it not in seen)]:
            seen.update(turns)
            busy = []
            for turn in self._leading.while_held(turns):
                try:
                    if self._step(turn):
                        busy.append(turn)
                    self._troubles.pop(turn, None)
                except UnreadableRecord as error:
                    note(turn.name, error)
                except (LeadLost, RedisError, OperationalError):
                    raise
                except FAULTS as error:
                    note(turn.name, error)
                except ScriptoriumError as error:  # one bucket's trouble, or the store's
                    if self._is_news(turn, error.code):
                        log.warning("collection_waits", round=turn.name, reason=str(error))
                    fault = error
                except Exception as error:
                    if self._is_news(turn, repr(error)):
                        log.exception("collection_failed", round=turn.name)
        for gone in self._troubles.keys() - seen:
            del self._troubles[gone]
        if fault is not None:
            raise fault

    def _is_news(self, turn: Run, trouble: str) -> bool:
        known, self._troubles[turn] = self._troubles.get(turn), trouble
        return known != trouble

    def _open_rounds(self) -> Iterator[Run]:
        return parsed_runs(self._cluster.store.list(places.OPEN), places.OPEN)

    def end_deletions(self) -> None:
        """Remove what deleted collections have left; make due what is owed, after a wipe."""
        places.outbox(self._cluster.store, self._cluster.redis).restore()
        for tenant, collection in deleted_collections(self._cluster.store):
            try:
                erase(self._cluster, tenant, collection, self._leading.while_held)
            except FAULTS as error:  # of one collection: the others are deleted all the same
                note(f"{tenant}/{collection}", error)

    def _step(self, turn: Run) -> bool:
        """Do some lines of a round, or end it; return whether there is more to do at once."""
        cluster, rounds = self._cluster, self._rounds
        record = find(cluster, turn.tenant, turn.job)
        if record is None or not self._is_written(turn):
            self._drop_if_old(turn)
            return False
        if exists(cluster.store, places.canceled(turn)):
            cancel_rest(cluster, rounds, record, turn)
        elif make_some(cluster, rounds, record, turn):
            return True
        if rounds.until(record, turn) >= len(rounds.wanted(record, turn)):
            end(cluster, rounds, record, turn)
        return False

    def _is_written(self, turn: Run) -> bool:
        return turn.number == 1 or exists(self._cluster.store, places.wanted(turn))

    def _drop_if_old(self, turn: Run) -> None:
        """Remove what a request has left that died before its collection or retry was accepted."""
        if not self._is_old(turn):
            return
        store, key = self._cluster.store, places.open_round(turn)
        if turn.number == 1:
            if drop(self._cluster, turn, lambda: self._is_old(turn)):
                log.warning("collection_not_accepted", round=turn.name)
            return
        log.warning("collection_not_accepted", round=turn.name)
        store.delete(key)
        if self._is_written(turn):  # by a request that found the marker: it puts one, or we do
            store.put(key, places.marker(self._clock()))

    def _is_old(self, turn: Run) -> bool:
        """Tell whether the request that has opened a round is over, by the time of its marker."""
        try:
            key = places.open_round(turn)
            since = read_record(self._cluster.store, key, lambda data: float(data["since"]))
        except ArtifactMissing:  # it was deleted meanwhile
            return False
        return self._clock() - since >= SETTLED_SECONDS
