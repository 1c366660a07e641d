"""When a job should be ready, and how urgent that makes it. Pure.

A job with a `ready_by` is early while one worker alone would finish it in time: it then waits for
capacity that nothing else needs. When its slack is short, it goes to the interactive lane.
"""

from __future__ import annotations

from dataclasses import dataclass

from tasks.runs.manifest import Manifest, Plan
from tasks.runs.options import JobOptions
from tasks.runs.stages import HEADER_STAGES, STAGES, Lane

# Kept free before a `ready_by`: a machine and a worker start in three minutes, and the last units
# may find others before them.
MARGIN_SECONDS = 900.0
EARLY_WEIGHT = 0.05  # of early work beside the rest of its lane, in the turns of the queues


@dataclass(frozen=True, slots=True)
class WaitingPlace:
    """Where the messages of a job's units wait."""

    lane: Lane
    is_early: bool = False  # behind all that is not early


def slack_seconds(ready_by: float, now: float, work_seconds: float) -> float:
    """Return how long the work can wait; below 0: it has to go before others.

    `work_seconds`: what one worker needs for it. Times are in seconds since 1970.
    """
    return ready_by - MARGIN_SECONDS - work_seconds - now


def may_move_up(ready_by: float, submitted: float, audio_seconds: float) -> bool:
    """Return whether a job may use the interactive lane because of its `ready_by`.

    It must have been submitted early enough for its length: at least as long before as the audio
    lasts. Else a near `ready_by` would give that lane to tenants who may not ask for it.
    """
    return ready_by - submitted >= audio_seconds


def first_guess(audio_seconds: float) -> float:
    """Return what one worker needs for a file, before any speed was measured."""
    return audio_seconds * sum(1.0 / STAGES[stage].first_speed for stage in HEADER_STAGES)


def place_of(
    manifest: Manifest, plan: Plan, now: float, work_seconds: float | None = None
) -> WaitingPlace:
    """Return where a job's chunks and shards wait if their messages are sent now.

    A lane that the options name holds. Past its `ready_by` a job is a job like any other: what is
    late already must not make others late. `work_seconds`: what one worker needs for the units that
    are left; None: not measured.
    """
    options: JobOptions = manifest.options
    usual = WaitingPlace(plan.lane(options))
    ready_by = manifest.ready_by
    if ready_by is None or options.lane is not None or now >= ready_by:
        return usual
    work = first_guess(plan.seconds) if work_seconds is None else work_seconds
    if slack_seconds(ready_by, now, work) > 0:
        return WaitingPlace(Lane.BULK, is_early=True)
    if may_move_up(ready_by, manifest.created_at, plan.seconds):
        return WaitingPlace(Lane.INTERACTIVE)
    return usual


def is_urgent(manifest: Manifest, plan: Plan, now: float) -> bool:
    """Return whether a worker that has a unit of the job should do it before others."""
    return place_of(manifest, plan, now).lane is Lane.INTERACTIVE
