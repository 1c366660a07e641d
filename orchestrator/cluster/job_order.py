"""The order in which jobs are listed, newest first, and how lists in it are put together. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain

from tasks.runs.units import created_at

Place = tuple[float, str]  # of a job in the list: its time, in seconds since 1970, and its id


def place_of(job: str, told: float) -> Place:
    """Return a job's place. An id of ours says its time, any other has the time that is told."""
    time = created_at(job)
    return (told if time is None else time), job


def in_order(place: Place) -> tuple[float, str]:
    """Return what places are sorted by: from the newest time on, jobs of one time by their ids."""
    return -place[0], place[1]


def is_behind(place: Place, before: Place | None) -> bool:
    """Tell whether a place follows another one; any place follows None."""
    return before is None or in_order(place) > in_order(before)


def merged(parts: Iterable[Sequence[Place]], size: int) -> list[Place]:
    """Merge the first places of several lists into those that come first in all of them.

    A part of `size` places may go on: what would come behind its last place is left out.
    """
    parts = list(parts)
    found = sorted(set(chain.from_iterable(parts)), key=in_order)
    ends = [in_order(part[-1]) for part in parts if len(part) >= size]
    return [it for it in found if not ends or in_order(it) <= min(ends)]
