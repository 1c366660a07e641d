"""How much capacity the work needs that has a `ready_by`: earliest deadline first. Pure.

All is in time if by each deadline the work due until then fits:

    needed = the most of (work due by t) ÷ (t − now)     over the deadlines t

So early work calls for few workers, and late work for more.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tasks.runs.deadline import MARGIN_SECONDS

LATE_SECONDS = 300.0  # what is nearly due, or late, should be done in this time
LANES = 2
STEP_SECONDS = 60.0  # deadlines within one are taken together


@dataclass(frozen=True, slots=True)
class Due:
    """Work of a pool that should be done by a time."""

    ready_by: float  # seconds since 1970
    work_seconds: float  # one unit after another


def joined(due: Iterable[Due]) -> tuple[Due, ...]:
    """Return the same work, with the deadlines of one minute taken together; earliest first."""
    found: dict[int, float] = {}
    for one in due:
        step = int(one.ready_by // STEP_SECONDS)
        found[step] = found.get(step, 0.0) + one.work_seconds
    return tuple(Due(step * STEP_SECONDS, found[step]) for step in sorted(found))


def needed_at_once(due: Iterable[Due], now: float) -> float:
    """Return how many units must be worked on at a time, from now on, for all to be in time.

    The margin before each `ready_by` is kept. `now` is in seconds since 1970.
    """
    return _most(due, now + MARGIN_SECONDS, LATE_SECONDS)


def is_crowded(due: Iterable[Due], now: float, most_at_once: float) -> bool:
    """Return whether more is due than the interactive lane's part of a fleet can do.

    Workers take from both lanes in turn. To hurry all of it would make all of it late, and to put
    it off would make it worse. `most_at_once`: units that the largest fleet does at a time.
    """
    return _most(due, now, MARGIN_SECONDS) > most_at_once / LANES


def _most(due: Iterable[Due], now: float, least_seconds: float) -> float:
    needed = total = 0.0
    for one in sorted(due, key=lambda it: it.ready_by):
        total += one.work_seconds
        needed = max(needed, total / max(one.ready_by - now, least_seconds))
    return needed
