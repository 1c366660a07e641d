"""A collection at one moment, derived from the states of its lines. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.cluster.job import Status
from orchestrator.collections.records import Collection
from orchestrator.collections.states import (
    CANCELED,
    COMPLETED,
    DELETED,
    FAILED,
    PARTIAL,
    QUEUED,
    REFUSED,
    RUNNING,
    UNKNOWN,
    State,
)

NAMES: Mapping[str, str] = {
    QUEUED: "queued",
    UNKNOWN: "queued",  # Redis was wiped; the job is looked up soon
    RUNNING: "processing",
    COMPLETED: "completed",
    PARTIAL: "partial",
    FAILED: "failed",
    CANCELED: "canceled",
    REFUSED: "refused",
    DELETED: "deleted",
}
OPEN = ("waiting", "queued", "processing")
COUNTED = ("waiting", *dict.fromkeys(NAMES.values()))


@dataclass(frozen=True, slots=True)
class RoundFacts:
    """The facts of a collection's newest round, beside the states of the lines."""

    number: int
    lines: int  # that it does
    undone: frozenset[int]  # lines that still wait for their retry; they were counted before
    began_at: float  # seconds since 1970
    ended_at: float | None
    is_canceled: bool


def describe(
    record: Collection, facts: RoundFacts, states: Sequence[State], now: float
) -> dict[str, Any]:
    """Return a collection as the API and the command line show it; `now`: seconds since 1970."""
    counts = Counter(NAMES[state.letter] for state in states)
    counts["waiting"] = record.lines - len(states)
    open_lines = {state.number for state in states if NAMES[state.letter] in OPEN}
    left = counts["waiting"] + len(open_lines | facts.undone)
    done = facts.lines - left
    return {
        "object": "collection",
        "id": record.id,
        "tenant": record.tenant,
        "name": record.name,
        "round": facts.number,
        "status": _status(facts, counts, left).value,
        "progress": round((record.lines - left) / record.lines, 4),
        "eta_seconds": None if facts.ended_at else _eta(facts, done, left, now),
        "counts": {"total": record.lines} | {name: counts[name] for name in COUNTED},
        "created_at": record.created_at,
        "ready_by": record.ready_by,
        "ended_at": facts.ended_at,
        "metadata": record.metadata,
    }


def _status(facts: RoundFacts, counts: Mapping[str, int], left: int) -> Status:
    bad = counts["failed"] + counts["refused"]
    good = counts["completed"] + counts["partial"]
    if facts.ended_at is None:
        is_begun = good + bad + counts["processing"] > 0
        return Status.PROCESSING if is_begun else Status.QUEUED
    if left:  # a job of it was retried by itself
        return Status.PROCESSING
    if facts.is_canceled:
        return Status.CANCELED
    if bad and not good:
        return Status.FAILED
    return Status.PARTIAL if bad or counts["partial"] else Status.COMPLETED


def _eta(facts: RoundFacts, done: int, left: int, now: float) -> float | None:
    """Estimate the remaining seconds from the average speed of the round."""
    if done <= 0 or not left:
        return None
    return round((now - facts.began_at) * left / done, 1)
