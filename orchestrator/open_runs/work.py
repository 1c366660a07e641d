"""What is still to be done for a run, in seconds of audio for each stage. Pure.

A unit that has begun counts in full until it is done. Of a run that was not prepared only
`prepare` counts, because the length of the file is not known yet.
"""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.open_runs.needs import RunFacts
from tasks.runs.dependencies import fan_in, header_chains, needs_detection, open_units
from tasks.runs.stages import Stage
from tasks.runs.units import Unit


@dataclass(frozen=True, slots=True)
class StageWork:
    """The open units of one run in one stage."""

    stage: Stage
    model: str
    audio_seconds: float | None  # None: the file's length is not known yet
    units: int


def remaining_work(facts: RunFacts) -> tuple[StageWork, ...]:
    """Return one run's open work, by stage."""
    options = facts.manifest.options
    run = facts.run
    if facts.plan is None:
        return (StageWork(Stage.PREPARE, options.model, None, 1),)
    first: tuple[Unit, ...] = ()
    if needs_detection(options):
        first = (run.unit(Stage.DETECT_LANGUAGE),)
    headers = header_chains(run, options, facts.plan)
    found: dict[Stage, tuple[float, int]] = {}
    for chain in (first, *headers, fan_in(run, options, facts.plan)):
        for unit in open_units(chain, facts.settled, facts.failed):
            audio, count = found.get(unit.stage, (0.0, 0))
            found[unit.stage] = (audio + facts.plan.seconds_of(unit, options), count + 1)
    return tuple(
        StageWork(stage, options.model, audio, count) for stage, (audio, count) in found.items()
    )
