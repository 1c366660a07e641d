"""Whose turn has not come yet in a queue that is not read, by the time of its first message.

Workers take messages in the order in which they were sent. So a unit's message may still wait
while the queue's first message was sent before the unit was first asked about. Pure but for the
records that name a unit's lane.
"""

from __future__ import annotations

from tasks.artifacts import ArtifactMissing
from tasks.runs.json_artifacts import UnreadableRecord
from tasks.runs.records import Records
from tasks.runs.stages import HEADER_STAGES, Lane, Stage
from tasks.runs.units import Run, Unit

# Clocks of machines differ, and a message is sent a little later than the receipt before it.
MARGIN_SECONDS = 15.0
FORGET_SECONDS = 3600.0  # longer than a unit waits for the next question about it
TIMES = 8  # kept of each run and stage; the oldest are joined


class Turns:
    """Remembers since when units have been asked about: a million of them, in a few megabytes.

    The units of one run and stage that were first asked about together are the bits of one number.
    """

    def __init__(self) -> None:
        self._asked: dict[tuple[Run, Stage], list[tuple[float, int]]] = {}
        self._last: dict[tuple[Run, Stage], float] = {}

    def first_asked(self, unit: Unit, now: float) -> float:
        """Return when the unit was first asked about: `now` if it was not yet."""
        group, bit = (unit.run, unit.stage), 1 << unit.index
        times = self._asked.setdefault(group, [])
        self._last[group] = now
        for at, bits in times:
            if bits & bit:
                return at
        if times and times[-1][0] == now:
            bit |= times.pop()[1]
        times.append((now, bit))
        if len(times) > TIMES:  # the later of two times: a message may wait for longer
            (_, first), (at, second) = times[:2]
            times[:2] = [(at, first | second)]
        return now

    def forget(self, unit: Unit) -> None:
        """Forget a unit, whose message was sent again."""
        group, bit = (unit.run, unit.stage), 1 << unit.index
        kept = [(at, bits & ~bit) for at, bits in self._asked.get(group, ())]
        self._asked[group] = [(at, bits) for at, bits in kept if bits]

    def forget_old(self, now: float) -> None:
        """Forget the runs about which there was no question for FORGET_SECONDS."""
        for group in [one for one, at in self._last.items() if now - at > FORGET_SECONDS]:
            del self._last[group]
            self._asked.pop(group, None)


def has_turn_to_come(first_sent: float, asked_at: float, now: float) -> bool:
    """Return whether a message that was sent by `asked_at` may wait; all in seconds since 1970.

    `first_sent`: when the first message of its queue was sent.
    """
    if first_sent > now + MARGIN_SECONDS:  # the sender's clock is ahead of ours
        return True
    return first_sent <= asked_at + MARGIN_SECONDS


def lanes_of(records: Records, unit: Unit) -> tuple[Lane, ...]:
    """Return the lanes of the unit's messages, by the rule of `tasks/runs/canvas.py`.

    It is one but for a job with a `ready_by`, whose units may have moved from one to the other.
    """
    if unit.stage in (Stage.DIARIZE, Stage.ASSEMBLE):
        return (Lane.INTERACTIVE,)
    try:
        manifest = records.manifest(unit.run.tenant, unit.run.job)
        options = manifest.options
        if unit.stage in HEADER_STAGES:
            if manifest.ready_by is not None and options.lane is None:
                return tuple(Lane)
            return (records.plan(unit.run.tenant, unit.run.job).lane(options),)
    except (ArtifactMissing, UnreadableRecord):  # the job is being deleted, or is broken
        return (Lane.INTERACTIVE,)
    return (options.lane or Lane.INTERACTIVE,)
