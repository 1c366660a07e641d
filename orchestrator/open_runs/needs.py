"""Which work is missing: the reconciler's decisions, as pure functions.

A run needs certain units next. One that is neither settled, nor leased, nor queued
for longer than a grace period has been lost and is issued again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass

from tasks.runs.dependencies import fan_in, header_chains, needs_detection, open_units
from tasks.runs.manifest import Manifest, Plan
from tasks.runs.stages import EARLY_STAGES, Stage
from tasks.runs.units import Run, Unit

PAUSE_FACTOR = 4.0  # at least so many times what the last pass took, before the next
LONGEST_PAUSE_SECONDS = 10.0  # for that reason


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What is known of one run without a result."""

    manifest: Manifest
    run: Run
    plan: Plan | None
    settled: Set[tuple[Stage, int]]  # units with an artifact or a written failure
    failed: Set[tuple[Stage, int]]  # those with a failure


def needed_units(facts: RunFacts) -> tuple[Unit, ...]:
    """Return the units that must be settled next."""
    run, options = facts.run, facts.manifest.options
    if any(stage in EARLY_STAGES for stage, _ in facts.failed):
        return (run.unit(Stage.ASSEMBLE),)
    if facts.plan is None:
        return (run.unit(Stage.PREPARE),)
    if needs_detection(options) and (Stage.DETECT_LANGUAGE, 0) not in facts.settled:
        return (run.unit(Stage.DETECT_LANGUAGE),)
    pending = [
        waiting[0]
        for chain in header_chains(run, options, facts.plan)
        if (waiting := open_units(chain, facts.settled, facts.failed))
    ]
    if pending:
        return tuple(pending)
    last = fan_in(run, options, facts.plan)
    return (open_units(last, facts.settled, facts.failed) or last[-1:])[:1]


def overdue(
    seen: Mapping[Unit, float], idle: Iterable[Unit], now: float, grace: float
) -> tuple[dict[Unit, float], tuple[Unit, ...]]:
    """Return since when each idle unit has been idle, and those idle longer than the grace."""
    since = {unit: seen.get(unit, now) for unit in idle}
    return since, tuple(unit for unit, first in since.items() if now - first >= grace)


def pause_after(took_seconds: float, shortest_seconds: float) -> float:
    """Return the seconds until the next pass.

    With tens of thousands of jobs a pass takes seconds, which are others' too; but what is lost
    meanwhile waits for the next one.
    """
    return max(shortest_seconds, min(took_seconds * PAUSE_FACTOR, LONGEST_PAUSE_SECONDS))
