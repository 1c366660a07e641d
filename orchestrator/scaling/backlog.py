"""Compute what is still to be done for each run, in seconds of audio for each stage. Pure.

A unit that has begun counts in full until it is done. Of a run that was not prepared only
`prepare` counts, because the length of the file is not known yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from orchestrator.open_runs.needs import RunFacts
from orchestrator.scaling.policy import Load, StageLoad
from orchestrator.scaling.pools import WorkerPool
from tasks.runs.dependencies import fan_in, header_chains, needs_detection, open_units
from tasks.runs.stages import EARLY_STAGES, Stage
from tasks.state.speeds import Speed, SpeedName

FIRST_JOB_SECONDS = 600.0  # assumed length of a file, until one was prepared


@dataclass(frozen=True, slots=True)
class StageWork:
    """The open units of one run in one stage."""

    stage: Stage
    model: str
    audio_seconds: float
    units: int


def remaining_work(
    facts: RunFacts, job_seconds: float = FIRST_JOB_SECONDS
) -> tuple[StageWork, ...]:
    """Return one run's open work, by stage; `job_seconds`: assumed length of an unknown file."""
    options = facts.manifest.options
    run = facts.run
    if facts.plan is None:
        waiting = [(run.unit(Stage.PREPARE), job_seconds)]
    else:
        first = (run.unit(Stage.DETECT_LANGUAGE),) if needs_detection(options) else ()
        headers = header_chains(run, options, facts.plan)
        waiting = [
            (unit, facts.plan.seconds_of(unit, options))
            for chain in (first, *headers, fan_in(run, options, facts.plan))
            for unit in open_units(chain, facts.settled, facts.failed)
        ]
    found: dict[Stage, tuple[float, int]] = {}
    for unit, seconds in waiting:
        audio, count = found.get(unit.stage, (0.0, 0))
        found[unit.stage] = (audio + seconds, count + 1)
    return tuple(
        StageWork(stage, options.model, audio, count) for stage, (audio, count) in found.items()
    )


def pool_load(
    pool: WorkerPool,
    work: Iterable[StageWork],
    in_flight: Mapping[Stage, int],
    speeds: Mapping[SpeedName, Speed],
) -> Load:
    """Return one pool's part of all runs' work, at the speed measured in this pool."""
    stages: dict[Stage, StageLoad] = {}
    is_early = False
    for item in work:
        is_early = is_early or item.stage in EARLY_STAGES
        if item.stage not in pool.work:
            continue
        speed = speed_of(pool, item.stage, item.model, speeds)
        old = stages.get(item.stage, StageLoad(0.0, speed))
        audio = old.audio_seconds + item.audio_seconds
        seconds = old.audio_seconds / old.speed + item.audio_seconds / speed
        # With several models, the speed is that of the mixture.
        stages[item.stage] = StageLoad(
            audio, audio / seconds if seconds else speed, old.units + item.units
        )
    loads = {
        stage: replace(load, in_flight=in_flight.get(stage, 0)) for stage, load in stages.items()
    }
    return Load(loads, is_expected=is_early and not loads and Stage.TRANSCRIBE in pool.work)


def speed_of(
    pool: WorkerPool, stage: Stage, model: str, speeds: Mapping[SpeedName, Speed]
) -> float:
    """Return seconds of audio per second of one unit at a time.

    Takes the speed measured in this pool, else the lowest of another model there, else the first
    speed of the stage's definition.
    """
    measured = speeds.get(SpeedName(pool.name, stage, model))
    if measured is None:
        others = [
            speed
            for name, speed in speeds.items()
            if name.pool == pool.name and name.stage is stage
        ]
        measured = min(others, key=lambda one: one.audio_seconds_per_second, default=None)
    return measured.audio_seconds_per_second if measured else stage.definition.first_speed
