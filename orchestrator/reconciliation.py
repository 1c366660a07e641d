"""Which work is missing: the reconciler's decisions, as pure functions.

A run needs certain units next. One that is neither settled, nor leased, nor queued
for longer than a grace period has been lost and is issued again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, replace

from tasks.manifest import Manifest, Plan
from tasks.stages import CHUNK_STAGES, Stage, Unit


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What is known of one run without a result."""

    manifest: Manifest
    run: int
    plan: Plan | None
    settled: Set[tuple[Stage, int]]  # units with an artifact or a written failure
    failed: Set[tuple[Stage, int]]  # those with a failure


def needed_units(facts: RunFacts) -> tuple[Unit, ...]:
    """The units that must be settled next."""
    unit = Unit(facts.manifest.tenant, facts.manifest.job, facts.run, Stage.ASSEMBLE)
    if any(stage not in CHUNK_STAGES for stage, _ in facts.failed):
        return (unit,)
    if facts.plan is None:
        return (replace(unit, stage=Stage.PREPARE),)
    if facts.manifest.options.language is None and (Stage.DETECT_LANGUAGE, 0) not in facts.settled:
        return (replace(unit, stage=Stage.DETECT_LANGUAGE),)
    chunks = tuple(
        replace(unit, stage=stage, index=index)
        for index in range(len(facts.plan.chunks))
        for stage in CHUNK_STAGES
        if (stage, index) not in facts.settled
    )
    return chunks or (unit,)


def overdue(
    seen: Mapping[Unit, float], idle: Iterable[Unit], now: float, grace: float
) -> tuple[dict[Unit, float], tuple[Unit, ...]]:
    """Since when each idle unit has been idle, and those idle for longer than the grace."""
    since = {unit: seen.get(unit, now) for unit in idle}
    return since, tuple(unit for unit, first in since.items() if now - first >= grace)


def lost(suspects: Iterable[Unit], queued: Set[Unit]) -> tuple[Unit, ...]:
    """The suspects that no message will bring about.

    A chunk whose run is still to be fanned out is not lost: its message is not written yet.
    """
    return tuple(
        unit
        for unit in suspects
        if unit not in queued
        and not (
            unit.stage in CHUNK_STAGES and replace(unit, stage=Stage.FAN_OUT, index=0) in queued
        )
    )
