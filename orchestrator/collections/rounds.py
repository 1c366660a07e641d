"""The rounds of collections, read from the store: which lines, how far, and in what state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from cachetools import LRUCache

from orchestrator.cluster.connection import Cluster
from orchestrator.cluster.job_order import place_of
from orchestrator.collections import places
from orchestrator.collections.records import (
    Collection,
    Line,
    Outcome,
    json_end,
    json_retry,
    read_lines,
    read_outcomes,
)
from orchestrator.collections.states import COMPLETED, LETTERS, UNKNOWN, State, States
from tasks.artifacts import ArtifactMissing, exists
from tasks.runs.json_artifacts import read_record
from tasks.runs.units import Run, created_at

LISTS = 4  # whose lines are kept in memory
THREADS = 16  # pieces that are read at once
LOOKED_UP = 20_000  # jobs that one call looks for in the index of those that have ended


@dataclass(frozen=True, slots=True)
class Wanted:
    """A line that a round does: submit it, or retry its job if that is still in this run."""

    number: int
    job: str | None = None
    run: int | None = None


class Rounds:
    """Reads rounds. Methods raise redis.RedisError, the store's errors, and UnreadableRecord."""

    def __init__(self, cluster: Cluster) -> None:
        self._store = cluster.store
        self._ended = cluster.ended
        self.states = States(cluster.redis)
        self._lines: LRUCache[str, Mapping[int, Line]] = LRUCache(LISTS)
        self._wanted: LRUCache[Run, Sequence[Wanted]] = LRUCache(LISTS)

    def lines(self, record: Collection) -> Mapping[int, Line]:
        """Return the lines of a collection by their numbers."""
        key = places.lines(record.tenant, record.id)
        if key not in self._lines:
            self._lines[key] = {it.number: it for it in read_lines(key, self._store.get(key))}
        return self._lines[key]

    def wanted(self, record: Collection, turn: Run) -> Sequence[Wanted]:
        """Return the lines of a round, in order. Raises ArtifactMissing before they are written."""
        if turn not in self._wanted:
            if turn.number == 1:
                self._wanted[turn] = [Wanted(number) for number in self.lines(record)]
            else:
                found = self.retry_record(turn)
                self._wanted[turn] = [Wanted(**it) for it in found["lines"]]
        return self._wanted[turn]

    def retry_record(self, turn: Run) -> dict[str, Any]:
        """Return what a retry has written: its time and its lines."""
        return read_record(self._store, places.wanted(turn), json_retry)

    def until(self, record: Collection, turn: Run) -> int:
        """Return how many of a round's lines have an outcome."""
        found = self.states.until(turn)
        if found is None:
            self.restore(Run(turn.tenant, turn.job, 1), turn.number)
            found = self.states.until(turn)
        return found or 0

    def restore(self, first: Run, rounds: int) -> None:
        """Tell Redis again what became of the lines, in all rounds up to a number."""
        for number in range(1, rounds + 1):
            turn = Run(first.tenant, first.job, number)
            folder = places.made(turn)
            starts = [_start_of(key, folder) for key in self._store.list(folder)]
            with ThreadPoolExecutor(THREADS, "pieces") as threads:
                pieces = list(threads.map(lambda it, of=turn: self._piece(of, it), starts))
            done = list[Outcome]()
            for start, piece in zip(starts, pieces, strict=True):
                if start != len(done):  # a piece is lacking before it, as in a copy of a bucket
                    self._store.delete(places.piece(turn, start))  # in use: done once more
                    continue
                done += piece
            self.states.add(turn, done, len(done))

    def outcomes(self, turn: Run) -> Iterator[Outcome]:
        """Yield what became of a round's lines, piece by piece from the store."""
        folder = places.made(turn)
        for key in self._store.list(folder):
            yield from self._piece(turn, _start_of(key, folder))

    def take_piece(self, turn: Run, start: int) -> list[Outcome]:
        """Read the piece that begins at a place, and tell Redis what it says."""
        done = self._piece(turn, start)
        self.states.add(turn, done, start + len(done))
        return done

    def ended(self, turn: Run) -> dict[str, Any] | None:
        """Return how a round has ended; None if it has not."""
        try:
            return read_record(self._store, places.ended(turn), json_end)
        except ArtifactMissing:
            return None

    def is_canceled(self, turn: Run, ended: Mapping[str, Any] | None) -> bool:
        """Tell whether a round is canceled; one that has ended is not, if that came too late.

        `ended` is how it has ended; an earlier release did not write whether it was canceled.
        """
        told = None if ended is None else ended.get("is_canceled")
        return exists(self._store, places.canceled(turn)) if told is None else bool(told)

    def at_end(self, record: Collection, ended: Mapping[str, Any]) -> list[State]:
        """Return the states of all lines at the end of a round, before any was retried."""
        known = _letters(ended)
        return [State(number, known.get(number, COMPLETED)) for number in self.lines(record)]

    def read(self, record: Collection, turn: Run, ended: dict[str, Any] | None) -> list[State]:
        """Return the states of all lines with an outcome; `ended` fills in what Redis lacks."""
        self.until(record, turn)  # restores what Redis has lost
        found = list(self.states.read(turn))
        if ended is None:
            return self.with_ended(turn, found)
        known = _letters(ended)
        return [
            replace(it, letter=known.get(it.number, COMPLETED)) if it.letter == UNKNOWN else it
            for it in found
        ]

    def with_ended(self, turn: Run, states: list[State], *, noting: bool = False) -> list[State]:
        """Look in the index of ended jobs for those that Redis has not: they ended over a day ago.

        Of very many some stay unknown. With `noting` Redis keeps what was found.
        """
        lost = {it.job: it.number for it in states if it.letter == UNKNOWN and it.job is not None}
        some = [place_of(job, 0.0) for job in islice(lost, LOOKED_UP) if created_at(job)]
        found = self._ended.statuses(turn.tenant, some)
        letters = {lost[job]: LETTERS[status] for job, status in found.items()}
        if noting:
            self.states.note(turn, letters)
        return [replace(it, letter=letters.get(it.number, it.letter)) for it in states]

    def _piece(self, turn: Run, start: int) -> list[Outcome]:
        return read_record(self._store, places.piece(turn, start), read_outcomes)


def _letters(ended: Mapping[str, Any]) -> dict[int, str]:
    """Return by line how it has ended, of those that are not completed."""
    return {number: letter for letter, them in ended["states"].items() for number in them}


def _start_of(key: str, folder: str) -> int:
    return int(key.removeprefix(folder).removesuffix(".json"))
