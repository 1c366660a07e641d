"""End the rounds of collections: cancel what is open if asked to, and write how all has ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import islice

import structlog

from orchestrator.cluster.connection import Cluster, UnknownJob
from orchestrator.collections import places
from orchestrator.collections.making import finish_piece, make_again
from orchestrator.collections.records import Collection, Outcome
from orchestrator.collections.rounds import Rounds
from orchestrator.collections.states import (
    COMPLETED,
    DELETED,
    FAILED,
    QUEUED,
    RUNNING,
    UNKNOWN,
    State,
)
from orchestrator.jobs import runs
from tasks.artifacts import encode
from tasks.runs.units import Run

AT_ONCE = 2000  # jobs that one step looks up or cancels
THREADS = 8
log = structlog.get_logger(__name__)


def cancel_rest(cluster: Cluster, rounds: Rounds, record: Collection, turn: Run) -> None:
    """Make no more jobs of a round's lines, and cancel those that are open, some at each call."""
    wanted, first = rounds.wanted(record, turn), rounds.until(record, turn)
    rest = [Outcome(it.number, job=it.job) for it in wanted[first:]]
    if rest:
        finish_piece(cluster, rounds, record, turn, first, rest)
    states = rounds.states.read(turn)
    open_jobs = [it for it in states if it.letter in (QUEUED, RUNNING)]

    def cancel(state: State) -> None:
        with suppress(UnknownJob, runs.IllegalTransition):  # it has ended meanwhile
            runs.cancel(cluster, turn.tenant, state.job or "")

    _each(cancel, open_jobs)


def end(cluster: Cluster, rounds: Rounds, record: Collection, turn: Run) -> None:
    """End a round if all of its lines have: write how, then owe the webhook.

    Looks up the jobs that Redis has not, some at each call. Raises redis.RedisError and the
    store's errors: what was written is not written again by the next call.
    """
    if rounds.ended(turn) is None:
        states = rounds.with_ended(turn, list(rounds.states.read(turn)), noting=True)
        lost = [it for it in states if it.letter == UNKNOWN]
        if lost:
            _each(lambda state: _look_up(cluster, rounds, record, turn, state), lost)
            return
        # Fewer than all: Redis was wiped while they were read.
        if len(states) < record.lines or any(it.letter in (QUEUED, RUNNING) for it in states):
            return
        how = {
            "ended_at": round(time.time(), 3),
            "states": _grouped(states),
            "is_canceled": rounds.is_canceled(turn, None),
        }
        cluster.store.put(places.ended(turn), encode(how))
        log.info("collection_ended", tenant=turn.tenant, collection=turn.job, round=turn.number)
    if record.webhook_url is not None:
        places.outbox(cluster.store, cluster.redis).add(turn)
    cluster.store.delete(places.open_round(turn))


def _grouped(states: Sequence[State]) -> dict[str, list[int]]:
    """Return the numbers of the lines by their letters, without those that are completed."""
    found: dict[str, list[int]] = {}
    for state in states:
        if state.letter != COMPLETED:
            found.setdefault(state.letter, []).append(state.number)
    return found


def _look_up(cluster: Cluster, rounds: Rounds, record: Collection, turn: Run, state: State) -> None:
    """Index a job again that Redis has lost; note one that was deleted or cannot be read.

    One that the store has lost, as a copy of a bucket in use may have, is made again.
    """
    job = state.job or ""
    try:
        found = cluster.job(turn.tenant, job)
    except UnknownJob:
        if not make_again(cluster, rounds, record, state.number, job):
            rounds.states.note(turn, {state.number: DELETED})
        return
    if found.status.final and cluster.jobs.find(turn.tenant, job) is None:
        rounds.states.note(turn, {state.number: FAILED})


def _each(work: Callable[[State], None], states: Iterable[State]) -> None:
    with ThreadPoolExecutor(THREADS, "collection") as threads:
        for future in [threads.submit(work, it) for it in islice(states, AT_ONCE)]:
            future.result()
