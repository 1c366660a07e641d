"""What each unit of work used of its device: its portion of the time, and of the energy.

Threads of a worker use one device at once. A moment in which three of them work counts a third to
each, so that the portions of all together are the time in which the device was in use.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock


@dataclass(eq=False, slots=True)
class Portion:
    """What one unit has used so far; joules are None where no counter tells."""

    seconds: float = 0.0
    joules: float | None = None


def no_energy() -> float | None:
    """Return None: nothing tells what the device uses."""
    return None


class OwnPart:
    """A counter of one user's part of a card's time or energy, of the counter that all users read.

    What the card's counter grows by between two readings is divided equally among the users that
    are busy.
    """

    def __init__(self, of_card: Callable[[], float | None], users: Callable[[], int]) -> None:
        """`of_card` reads that counter; `users`: how many are busy, this one counted."""
        self._of_card, self._users = of_card, users
        self._before: float | None = None
        self._own = 0.0

    def __call__(self) -> float | None:
        """Return this user's part so far; None where the card does not tell."""
        now = self._of_card()
        if now is not None and self._before is not None:
            self._own += max(0.0, now - self._before) / max(1, self._users())
        self._before = now
        return None if now is None else self._own


class Meter:
    """Divides a device's time and energy among the units that use it at the same time."""

    def __init__(
        self,
        energy_joules: Callable[[], float | None] = no_energy,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Take the counters to read, which only grow: of joules, and of seconds."""
        self._energy_joules = energy_joules
        self._clock = clock
        self._lock = Lock()
        self._active: list[Portion] = []
        self._read_at = 0.0
        self._joules: float | None = None

    @contextmanager
    def measured(self) -> Iterator[Portion]:
        """Yield the portion of the block, which is complete when the block has ended."""
        portion = Portion()
        with self._lock:
            self._divide()
            self._active.append(portion)
        try:
            yield portion
        finally:
            with self._lock:
                self._divide()
                self._active.remove(portion)

    def _divide(self) -> None:
        """Give each active portion its part of what was used since the last call."""
        now, joules = self._clock(), self._energy_joules()
        count = len(self._active)
        for portion in self._active:
            portion.seconds += (now - self._read_at) / count
            if joules is not None and self._joules is not None:
                portion.joules = (portion.joules or 0.0) + max(0.0, joules - self._joules) / count
        self._read_at, self._joules = now, joules
