"""Look at a collection, cancel it, and retry the lines that failed."""

from __future__ import annotations

import time
from collections.abc import Collection as Several
from dataclasses import asdict
from typing import Any

from gpu_worker.errors import InvalidOption, ScriptoriumError
from orchestrator.cluster.connection import Cluster, UnknownJob
from orchestrator.cluster.unreadable import FAULTS, note
from orchestrator.collections import places
from orchestrator.collections.acceptance import find, get
from orchestrator.collections.description import NAMES, RoundFacts, describe
from orchestrator.collections.records import ROUND_STATUSES, Collection
from orchestrator.collections.rounds import Rounds, Wanted
from orchestrator.collections.states import CANCELED, FAILED, PARTIAL, REFUSED, State
from orchestrator.jobs.runs import IllegalTransition
from tasks.artifacts import encode, exists
from tasks.runs.units import Run
from tasks.state.claims import await_releases

_LETTERS = {"failed": (FAILED, REFUSED), "partial": (PARTIAL,), "canceled": (CANCELED,)}


def show(cluster: Cluster, tenant: str, collection: str) -> dict[str, Any]:
    """Return a collection as it is now. Raises UnknownCollection."""
    return _shown(cluster, get(cluster, tenant, collection))


def newest(
    cluster: Cluster, tenant: str, limit: int, before: str | None = None
) -> tuple[list[dict[str, Any]], str | None]:
    """Return up to `limit` collections, newest first, and the id behind which the next page is."""
    names = sorted(places.names_of(cluster.store, places.ACCEPTED, tenant), reverse=True)
    rest = [name for name in names if before is None or name < before]
    page = rest[:limit]
    found = list[dict[str, Any]]()
    for name in page:
        try:
            if (record := find(cluster, tenant, name)) is not None:
                found.append(_shown(cluster, record))
        except FAULTS as error:  # asked for alone it is told why it cannot be read
            note(f"{tenant}/{name}", error)
    return found, page[-1] if len(rest) > limit else None


def lines_of(
    cluster: Cluster,
    tenant: str,
    collection: str,
    statuses: Several[str],
    limit: int,
    after: int = 0,
) -> tuple[list[dict[str, Any]], int | None]:
    """Return lines that have an outcome, by number, and the number behind which the next page is.

    Raises UnknownCollection.
    """
    record = get(cluster, tenant, collection)
    rounds = Rounds(cluster)
    turn = places.newest_round(cluster.store, tenant, collection)
    states = rounds.read(record, turn, rounds.ended(turn))
    fitting = [it for it in states if not statuses or NAMES[it.letter] in statuses]
    rest = sorted((it for it in fitting if it.number > after), key=lambda it: it.number)
    notes = rounds.states.notes(turn)
    page = [_line(cluster, tenant, it, notes.get(it.number, {})) for it in rest[:limit]]
    return page, rest[limit - 1].number if len(rest) > limit else None


def cancel(cluster: Cluster, tenant: str, collection: str) -> dict[str, Any]:
    """Cancel all that is open of a collection; the reconciler does it, line by line.

    Raises UnknownCollection, or IllegalTransition once it has ended.
    """
    record, rounds = get(cluster, tenant, collection), Rounds(cluster)
    turn = places.newest_round(cluster.store, tenant, collection)
    ended = rounds.ended(turn)
    if ended is None:
        cluster.store.put(places.canceled(turn), b"")
        ended = rounds.ended(turn)  # it may have ended just before that
        if ended is None or rounds.is_canceled(turn, ended):
            return _shown(cluster, record)
    raise IllegalTransition(f"Collection {collection} has ended.", hint=_LOOK)


def retry(
    cluster: Cluster, tenant: str, collection: str, statuses: Several[str] = ("failed",)
) -> dict[str, Any]:
    """Begin a round with the lines that ended so; lines that were refused count as failed.

    Raises UnknownCollection, IllegalTransition while the last round goes on, or if no line ended
    so, and InvalidOption for another status.
    """
    record = get(cluster, tenant, collection)
    store, rounds = cluster.store, Rounds(cluster)
    turn = places.newest_round(store, tenant, collection)
    ended = rounds.ended(turn)
    if ended is None:
        if exists(store, places.open_round(turn)):
            raise IllegalTransition(f"Collection {collection} has not ended yet.", hint=_LOOK)
        store.put(
            places.open_round(turn), places.marker(time.time())
        )  # the process that began this round has died
        return _shown(cluster, record)
    unknown = set(statuses) - set(ROUND_STATUSES)
    if unknown:
        raise InvalidOption(f"Lines that are {unknown.pop()!r} cannot be retried.", hint=_RETRY)
    letters = {letter for status in statuses for letter in _LETTERS[status]}
    states = rounds.read(record, turn, ended)
    wanted = [_wanted(cluster, tenant, it) for it in states if it.letter in letters]
    if not wanted:
        raise IllegalTransition(
            f"No line of collection {collection} is {' or '.join(sorted(statuses))}.", hint=_RETRY
        )
    following = Run(tenant, collection, turn.number + 1)
    lines = [asdict(it) for it in sorted(wanted, key=lambda it: it.number)]
    # The marker first: the reconciler passes over one whose lines are not written yet.
    store.put(places.open_round(following), places.marker(time.time()))
    _keep(cluster, following)
    store.put(places.wanted(following), encode({"began_at": time.time(), "lines": lines}))
    # And again: that of a request that died long ago was perhaps removed just then.
    store.put(places.open_round(following), places.marker(time.time()))
    return _shown(cluster, record)


def _keep(cluster: Cluster, turn: Run) -> None:
    """Wait for a rule of retention that deletes the collection; a later one sees the marker."""
    try:
        await_releases(cluster.store, cluster.leases, turn.tenant, [turn.job])
        get(cluster, turn.tenant, turn.job)
    except ScriptoriumError:
        cluster.store.delete(places.open_round(turn))
        raise


_LOOK = "`scriptorium collections status COLLECTION` shows where it stands."
_RETRY = "Lines that are failed, partial or canceled can be retried."


def facts_of(
    rounds: Rounds, record: Collection, turn: Run, ended: dict[str, Any] | None
) -> RoundFacts:
    """Return the facts of a round; `ended`: how it has ended, None while it is open."""
    lines, began_at, undone = record.lines, record.created_at, frozenset[int]()
    if turn.number > 1:
        found = rounds.retry_record(turn)
        lines, began_at = len(found["lines"]), float(found["began_at"])
        if ended is None:
            rest = found["lines"][rounds.until(record, turn) :]
            undone = frozenset(int(it["number"]) for it in rest)
    at = ended["ended_at"] if ended else None
    is_canceled = rounds.is_canceled(turn, ended)
    return RoundFacts(turn.number, lines, undone, began_at, at, is_canceled)


def _shown(cluster: Cluster, record: Collection) -> dict[str, Any]:
    rounds = Rounds(cluster)
    turn = places.newest_round(cluster.store, record.tenant, record.id)
    ended = rounds.ended(turn)
    facts, states = facts_of(rounds, record, turn, ended), rounds.read(record, turn, ended)
    return describe(record, facts, states, time.time())


def _wanted(cluster: Cluster, tenant: str, state: State) -> Wanted:
    if state.job is None:
        return Wanted(state.number)
    known = cluster.jobs.find(tenant, state.job)  # None: it ended over a day ago
    run = known[1].number if known else cluster.job(tenant, state.job).run
    return Wanted(state.number, state.job, run)


def _line(cluster: Cluster, tenant: str, state: State, note: dict[str, Any]) -> dict[str, Any]:
    status: str = NAMES[state.letter]
    shown = {
        "line": state.number,
        "name": note.get("shown", ""),
        "status": status,
        "job": state.job,
        "error": note.get("error"),
    }
    if state.job is not None and status != "deleted":
        try:
            job = cluster.job(tenant, state.job)
        except UnknownJob:
            return shown | {"status": "deleted"}
        shown |= {"name": job.name, "error": job.error, "status": job.status.value}
    return shown
