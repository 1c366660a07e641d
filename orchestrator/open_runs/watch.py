"""Which open runs a pass looks at: all, or a part at a time where there are very many. Pure.

To find a lost unit takes some looks with a pause between them. So a run is watched until those were
made, and then gives its place to the next one. Where there are more than find a place, a run whose
messages should wait in long queues sleeps after one look, until it changes or its turn has passed.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.cluster.turns import has_turn_to_come
from tasks.runs.units import Run

UNITS = 10_000  # needed units that a pass looks at; each costs memory, and requests to Redis
LATE_LOOKS = 2  # looks at a run that has been watched for the grace: missing twice is lost
SLEEP_SECONDS = 900.0  # then a run is looked at again, whatever the queues say


@dataclass(slots=True)
class _Look:
    since: float
    late: int = 0
    queues: frozenset[str] | None = None  # where its messages should wait; None: it is worked on


@dataclass(frozen=True, slots=True)
class _Sleep:
    since: float
    receipts: int
    queues: frozenset[str]


class Watch:
    """Chooses the runs of each pass, in turn. Times are in seconds since 1970."""

    def __init__(self, grace_seconds: float, units: int = UNITS) -> None:
        self._grace_seconds = grace_seconds
        self._units = units
        self._looks: dict[Run, _Look] = {}
        self._asleep: dict[Run, _Sleep] = {}
        self._next = ""  # name of the first run that found no place
        self.is_partial = False  # whether the last choice left runs out

    def choose(
        self,
        runs: Sequence[Run],
        receipts: Mapping[Run, int],
        units_of: Callable[[Run], int],
        firsts: Mapping[str, float],
        now: float,
    ) -> Sequence[Run]:
        """Return the runs to look at now; `runs` are all, in the order of their names.

        `receipts`: how many each has; `units_of` estimates how many units it needs next; `firsts`:
        when the first message of each long queue was sent.
        """
        among = set(runs)
        self._wake(among, receipts, firsts, now)
        self._leave(among, receipts, firsts, now)
        total = sum(map(units_of, self._looks))
        start = bisect_left(runs, self._next, key=lambda run: run.name)
        self.is_partial = bool(self._asleep)
        for run in (*runs[start:], *runs[:start]):
            if run in self._looks or run in self._asleep:
                continue
            units = units_of(run)
            if self._looks and total + units > self._units:
                self._next, self.is_partial = run.name, True
                break
            self._looks[run] = _Look(now)
            total += units
        for look in self._looks.values():
            look.late += now - look.since >= self._grace_seconds
        return [run for run in runs if run in self._looks]

    def waits_in(self, run: Run, queues: frozenset[str] | None) -> None:
        """Take note in which queues the run's messages should be; None: it is worked on."""
        look = self._looks.get(run)
        if look is not None:
            look.queues = queues

    def drop(self, run: Run) -> None:
        """Give a run's place to another: it could not be looked at."""
        self._looks.pop(run, None)

    def _leave(
        self, among: set[Run], receipts: Mapping[Run, int], firsts: Mapping[str, float], now: float
    ) -> None:
        kept = {}
        for run, look in self._looks.items():
            if run not in among:
                continue
            if self.is_partial and look.queues:
                sleep = _Sleep(now, receipts[run], look.queues)
                if _sleeps(sleep, receipts[run], firsts, now):
                    self._asleep[run] = sleep
                    continue
            if look.late < LATE_LOOKS:
                kept[run] = look
        self._looks = kept

    def _wake(
        self, among: set[Run], receipts: Mapping[Run, int], firsts: Mapping[str, float], now: float
    ) -> None:
        self._asleep = {
            run: sleep
            for run, sleep in self._asleep.items()
            if run in among and _sleeps(sleep, receipts[run], firsts, now)
        }


def _sleeps(sleep: _Sleep, receipts: int, firsts: Mapping[str, float], now: float) -> bool:
    return (
        sleep.receipts == receipts
        and now - sleep.since < SLEEP_SECONDS
        and all(
            name in firsts and has_turn_to_come(firsts[name], sleep.since, now)
            for name in sleep.queues
        )
    )
